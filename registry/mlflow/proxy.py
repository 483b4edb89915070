"""The way to the tracking process: who may pass, and what is put on or held back on the way. Bodies are streamed.

What is proxied is an allow-list of MLflow's own addresses. Who started a run is evidence for the segregation of duties,
so the run's user is what we know, not what the client says (``_stamped``).
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final, Protocol
from urllib.parse import quote

import httpx
import orjson
from django.conf import settings
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from audit.actors import Actor
from config.errors import NotAllowed
from registry.mlflow.auth import check_may_write, check_tracking, endpoint, person
from registry.mlflow.codec import body
from registry.mlflow.errors import ProtocolError, invalid
from registry.sources import SEALED
from registry.tracking import HEADER, USER_HEADER, USER_TAG

CHUNK: Final = 1 << 18
ROOMS: Final = frozenset(
    {"experiments", "runs", "metrics", "logged-models", "traces", "datasets", "artifacts", "server-info"}
)
"""First part of the addresses below ``/api/x.0/mlflow/`` that lead to the tracking process."""

_READING_POSTS: Final = frozenset(
    {
        "experiments/search",
        "experiments/search-datasets",
        "runs/search",
        "logged-models/search",
        "traces/search",
        "traces/batchGetInfos",
        "traces/metrics",
        "traces/calculate-filter-correlation",
        "datasets/search",
        "artifacts/presigned-download-url",
    }
)
# RFC 9110 7.6.1, and what must not leave us: who the caller is to us, and the cookies of our own pages.
_NOT_FORWARDED: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "host",
        "authorization",
        "cookie",
        "content-length",
        "origin",
        "referer",
        "expect",
        HEADER.lower(),
        USER_HEADER.lower(),
    }
)
_NOT_RETURNED: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "upgrade", "trailer", "server", "date", "set-cookie"}
)


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


@cache
def _client() -> httpx.Client:
    """One pool of connections per process. Reading may take long: the tracking process lists and copies files."""
    return httpx.Client(
        timeout=httpx.Timeout(300.0, connect=3.0),
        limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
        follow_redirects=False,
        trust_env=False,
    )


@endpoint
def tracking(request: HttpRequest, by: Actor, rest: str) -> HttpResponseBase:
    """Any address of MLflow's tracking API."""
    parts = rest.split("/")
    if parts[0] not in ROOMS or any(part in {"", ".", ".."} for part in parts):
        raise ProtocolError("ENDPOINT_NOT_FOUND", f"This server does not have {request.path}.")
    reading = request.method in {"GET", "HEAD"} or rest in _READING_POSTS
    return forward(request, by, reading=reading, content=_guarded(request, by, rest))


def forward(
    request: HttpRequest, by: Actor, *, reading: bool | None = None, content: bytes | None = None
) -> HttpResponseBase:
    """Send a request on as it is (or with ``content`` as its body) and stream the answer back.

    Raises ``NotAllowed`` for people without the role, and ``ProtocolError`` (TEMPORARILY_UNAVAILABLE, which the client
    tries again) if the tracking process does not answer.
    """
    reads_only = request.method in {"GET", "HEAD"} if reading is None else reading
    if not reads_only:
        check_may_write(request)
    check_tracking(person(by), write=not reads_only)
    headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_FORWARDED}
    headers[HEADER] = settings.TRACKING_SECRET
    headers[USER_HEADER] = str(person(by).pk)
    sent: bytes | Iterator[bytes] | None = content
    if content is None and request.method not in {"GET", "HEAD"}:
        stream, length = _incoming(request)
        if length is not None:
            headers["Content-Length"] = str(length)
        sent = _chunks(stream)
    query = request.META.get("QUERY_STRING", "")
    url = settings.TRACKING_URL + quote(request.path_info, safe="/:@!$&'()*+,;=~-._") + (f"?{query}" if query else "")
    client = _client()
    try:
        outgoing = client.build_request(request.method or "GET", url, headers=headers, content=sent)
        answer = client.send(outgoing, stream=True)
    except httpx.TransportError as error:
        raise ProtocolError(
            "TEMPORARILY_UNAVAILABLE", "The tracking process does not answer. Runs cannot be read or written right now."
        ) from error
    response = StreamingHttpResponse(_Answer(answer), status=answer.status_code)
    del response["Content-Type"]
    for name, value in answer.headers.items():
        if name.lower() not in _NOT_RETURNED:
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


def _chunks(stream: _Stream) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK):
        yield chunk


# ---- what is looked into on the way -----------------------------------------------------------------------------


def _guarded(request: HttpRequest, by: Actor, rest: str) -> bytes | None:
    """The body to send in place of the client's, for the calls that say whose run it is; ``None`` for all others.

    It is written anew from what was parsed, so that MLflow cannot read it differently than we did.
    """
    guard = _GUARDS.get(rest) if request.method == "POST" else None
    if guard is None:
        return None
    document = body(request)
    guard(document, person(by).username)
    return orjson.dumps(document)


def _stamped(document: dict[str, Any], username: str) -> None:
    """``runs/create``: the run belongs to who asks."""
    tags = document.get("tags") or []
    if not isinstance(tags, list):
        raise invalid("Invalid value for parameter 'tags' supplied: it must be a list.")
    kept = [tag for tag in tags if not (isinstance(tag, dict) and tag.get("key") == USER_TAG)]
    document["tags"] = [*kept, {"key": USER_TAG, "value": username}]
    document.pop("userId", None)
    document["user_id"] = username


def _without_user_tag(document: dict[str, Any], _: str) -> None:
    """``runs/set-tag``, ``runs/delete-tag``: the run's user is not the client's to say."""
    if document.get("key") == USER_TAG:
        raise _not_yours()


def _batch_without_user_tag(document: dict[str, Any], _: str) -> None:
    """``runs/log-batch``: the same, for each of its tags."""
    tags = document.get("tags") or []
    if isinstance(tags, list) and any(isinstance(tag, dict) and tag.get("key") == USER_TAG for tag in tags):
        raise _not_yours()


def _in_our_store(document: dict[str, Any], _: str) -> None:
    """``experiments/create``: artifacts are kept in this server's store, never where the tracking process may reach."""
    for name in ("artifact_location", "artifactLocation"):
        place = document.get(name)
        if place in (None, ""):
            continue
        if not isinstance(place, str) or not _OUR_STORE.fullmatch(place) or place.split("/")[1] == SEALED:
            raise invalid(
                f"Invalid value for parameter 'artifact_location' supplied: {str(place)[:200]!r}. Leave it out, or name a "
                "folder of this server's own store: mlflow-artifacts:/<folder>."
            )


def _not_yours() -> NotAllowed:
    return NotAllowed(
        f"The tag {USER_TAG} is set by the server when a run is created. It says who trained: nobody may change it.",
        code="run.user_is_fixed",
        remedy="Use another key.",
    )


_OUR_STORE: Final = re.compile(r"mlflow-artifacts:(/(?!\.)[\w.\-]{1,100}){1,10}", re.ASCII)
_GUARDS: Final[dict[str, Callable[[dict[str, Any], str], None]]] = {
    "experiments/create": _in_our_store,
    "runs/create": _stamped,
    "runs/set-tag": _without_user_tag,
    "runs/delete-tag": _without_user_tag,
    "runs/log-batch": _batch_without_user_tag,
}
