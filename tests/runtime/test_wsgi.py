"""What stands between gunicorn and Django."""

import io
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from config.wsgi import SMALL_BODY, Request, read_to_the_end


def _answers_without_reading(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("401 Unauthorized", [])
    return [b"no"]


@pytest.mark.parametrize(
    ("length", "left"),
    [("2", 0), (str(SMALL_BODY), 0), ("", 0), ("nonsense", 2), (str(SMALL_BODY + 1), SMALL_BODY + 1)],
)
def test_a_small_body_that_no_view_read_is_read_before_the_answer_goes_out(length: str, left: int) -> None:
    sent = b"x" * (int(length) if length.isdigit() else 2)
    body = io.BytesIO(sent)
    answer = read_to_the_end(_answers_without_reading)(
        {"CONTENT_LENGTH": length, "wsgi.input": body}, lambda *_: lambda _: None
    )
    assert list(answer) == [b"no"]
    assert len(body.read()) == left


@pytest.mark.parametrize(
    "kind", ["charset=cp037", "charset=rot13", "charset=undefined", "charset*=cp037''x", "charset*=no''x"]
)
def test_a_query_is_utf8_whatever_a_request_says(kind: str) -> None:
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "QUERY_STRING": "run_id=caf%C3%A9&a~b",
        "CONTENT_TYPE": f"text/plain; {kind}",
        "wsgi.input": io.BytesIO(),
    }
    request = Request(environ)
    assert request.GET.dict() == {"run_id": "café", "a~b": ""}
    assert request.encoding is None
