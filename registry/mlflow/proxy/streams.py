"""Requests on their way to the tracking process, and answers back. Bodies are streamed, or written anew by us."""

from collections.abc import Iterator
from functools import cache
from typing import Final, Protocol, TypeVar
from urllib.parse import quote

import httpx
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from audit.actors import Actor
from registry import tracking
from registry.mlflow.auth import check_may_write, check_tracking, person
from registry.mlflow.errors import ProtocolError, invalid

Answered = TypeVar("Answered", bound=HttpResponseBase)
CHUNK: Final = 1 << 18
_PLAIN: Final = "/:@!$&'()*+,;=~-._"
_FORWARDED: Final = frozenset(
    {"accept", "accept-encoding", "accept-language", "content-encoding", "content-type", "user-agent"}
    | {"if-match", "if-modified-since", "if-none-match", "if-range", "range", "x-request-id"}
)
"""Headers that go on. Not who the caller is to us, their cookies, or a workspace of MLflow's that was not checked."""
_RETURNED: Final = frozenset(
    {"accept-ranges", "cache-control", "content-disposition", "content-encoding", "content-length", "content-range"}
    | {"content-type", "etag", "last-modified", "vary"}
)
_LARGEST_ANSWER: Final = 64 * 2**20


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


@cache
def client() -> httpx.Client:
    """One pool of connections per process. Reading may take long: the tracking process lists and copies files."""
    return httpx.Client(
        timeout=httpx.Timeout(300.0, connect=3.0),
        limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
        follow_redirects=False,
        trust_env=False,
        verify=tracking.trusted(),
    )


def forward(
    request: HttpRequest, by: Actor, *, reading: bool | None = None, content: bytes | None = None
) -> HttpResponseBase:
    """Send a request on as it is (or with ``content`` as its body) and stream the answer back, for whoever holds the role.

    Raises ``NotAllowed`` for people without it, and as ``send``. What the request names was checked by the caller.
    """
    reads_only = request.method in {"GET", "HEAD"} if reading is None else reading
    if not reads_only:
        check_may_write(request)
    check_tracking(person(by), write=not reads_only)
    query = request.META.get("QUERY_STRING", "")
    return send(request, by, path=request.path_info, query=query, content=content)


def send(
    request: HttpRequest, by: Actor, *, path: str, query: str = "", content: bytes | None = None
) -> HttpResponseBase:
    """Send a checked request on and stream the answer back. Without ``content`` the body is streamed as it comes in.

    Raises ``ProtocolError`` (TEMPORARILY_UNAVAILABLE, which the client tries again) if the tracking process does not
    answer, INVALID_PARAMETER_VALUE if the body ends before it is whole.
    """
    answer = _sent(request, by, path=path, query=query, content=content)
    refused = refusal_of_server(answer)
    if refused is not None:
        answer.close()
        raise refused
    response = StreamingHttpResponse(_Answer(answer), status=answer.status_code)
    return _with_headers(response, answer)


def fetch(
    request: HttpRequest, by: Actor, *, path: str, query: str = "", content: bytes | None = None
) -> httpx.Response:
    """Send a checked request on and read the whole answer, to look into it. Raises as ``send``."""
    answer = _sent(request, by, path=path, query=query, content=content or b"", plain=True)
    try:
        refused = refusal_of_server(answer)
        if refused is not None:
            raise refused
        if int(answer.headers.get("content-length") or 0) > _LARGEST_ANSWER:
            raise invalid("The answer is too large. Ask for fewer results at a time.")
        answer.read()
    except httpx.TransportError as error:
        raise unreachable() from error
    finally:
        answer.close()
    return answer


def returned(answer: httpx.Response) -> HttpResponse:
    """The answer as it came."""
    return _with_headers(HttpResponse(answer.content, status=answer.status_code), answer)


def unreachable() -> ProtocolError:
    """The tracking process does not answer."""
    return ProtocolError(
        "TEMPORARILY_UNAVAILABLE", "The tracking process does not answer. Runs cannot be read or written right now."
    )


def refusal_of_server(answer: httpx.Response) -> ProtocolError | None:
    """What an existing MLflow server says to us and not to the client: that it does not take our credentials, or moved."""
    if not tracking.is_elsewhere():
        return None
    if answer.status_code in {401, 403}:
        return ProtocolError(
            "PERMISSION_DENIED",
            f"The MLflow server behind Countersign refused it ({answer.status_code}): the account that the operator gave "
            "Countersign there may not do this. Your own token is not at fault.",
        )
    if answer.is_redirect:
        return ProtocolError(
            "ENDPOINT_NOT_FOUND",
            "The MLflow server behind Countersign redirects. The operator must set MLFLOW_TRACKING_URI to where it leads.",
        )
    return None


def _sent(
    request: HttpRequest, by: Actor, *, path: str, query: str, content: bytes | None, plain: bool = False
) -> httpx.Response:
    # What is looked into is needed whole: whoever asked for the head alone gets that from the answer.
    method = "GET" if plain and request.method == "HEAD" else request.method or "GET"
    headers = {name: value for name, value in request.headers.items() if name.lower() in _FORWARDED}
    if plain:
        headers["Accept-Encoding"] = "identity"
    headers |= tracking.credentials()
    if not tracking.is_elsewhere():
        headers[tracking.USER_HEADER] = str(person(by).pk)
    sent: bytes | Iterator[bytes] | None = content
    if method in {"GET", "HEAD"}:
        sent = None  # MLflow reads the body of a GET without a query
        headers = {name: value for name, value in headers.items() if not name.lower().startswith("content-")}
    elif content is not None:
        headers = {name: value for name, value in headers.items() if name.lower() != "content-encoding"}
    else:
        stream, length = _incoming(request)
        # Our own tracking process is sent chunks: gunicorn reports it when those break off, and passes a body that is
        # shorter than its Content-Length for whole. An existing server may take no chunks, and is sent the length.
        if length is not None and (tracking.is_elsewhere() or not length):
            headers["Content-Length"] = str(length)
        sent = _chunks(stream, length)
    url = tracking.address() + quote(path, safe=_PLAIN) + (f"?{query}" if query else "")
    try:
        outgoing = client().build_request(method, url, headers=headers, content=sent)
        return client().send(outgoing, stream=True)
    except httpx.TransportError as error:
        raise unreachable() from error


def _with_headers(response: Answered, answer: httpx.Response) -> Answered:
    del response["Content-Type"]
    for name, value in answer.headers.items():
        if name.lower() in _RETURNED:
            response[name] = value
    response["X-Content-Type-Options"] = "nosniff"
    return response


class _Answer:
    """The body of an answer as it comes in; closing it gives the connection back."""

    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_raw()

    def close(self) -> None:
        self._answer.close()


def _incoming(request: HttpRequest) -> tuple[_Stream, int | None]:
    """The request's body as a stream, and its length if it was said.

    Django reads no chunked bodies (it takes a missing Content-Length for none); gunicorn's own stream does.
    """
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isdigit():
        return request, int(length)
    if "chunked" not in request.headers.get("Transfer-Encoding", "").lower():
        return request, 0
    if not request.META.get("wsgi.input_terminated"):
        raise invalid("This server needs a Content-Length with every body.")
    stream: _Stream = request.META["wsgi.input"]
    return stream, None


def _chunks(stream: _Stream, length: int | None) -> Iterator[bytes]:
    """The body piece by piece. Raises ``ProtocolError`` if it ends early: then the request upstream breaks off too."""
    passed = 0
    try:
        while chunk := stream.read(CHUNK):
            passed += len(chunk)
            yield chunk
    except OSError as error:  # Django's UnreadablePostError, and gunicorn's for a chunked body
        raise _cut_off(passed) from error
    if length is not None and passed < length:
        raise _cut_off(passed)


def _cut_off(passed: int) -> ProtocolError:
    return invalid(f"The body ended early, after {passed} bytes, so nothing was stored.")
