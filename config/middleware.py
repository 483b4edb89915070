"""The request's id, and which middlewares a request passes: pages all of them, programs only what programs need."""

import inspect
import re
import uuid
from collections.abc import Callable
from typing import Final

import structlog
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase

from config.errors import Refusal
from config.pages import page_not_found, refused

_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")


Handler = Callable[[HttpRequest], HttpResponseBase]


class RequestId:
    """Set ``request.id`` and the ``X-Request-Id`` answer header.

    It is the caller's if that is a sane one, else made here; it is on every log line, answer and ledger entry.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _SANE.fullmatch(given) else uuid.uuid4().hex
        request.id = request_id  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response = self.get_response(request)
        response["X-Request-Id"] = request_id
        return response


_PROGRAMS: Final = re.compile(r"/(?:ajax-)?api/[23]\.0/|/(?:version|health)$")
_FOR_PROGRAMS: Final = {
    "Cache-Control": "private, no-store",
    # Nothing here is a page. What a run logged may look like one, and a browser may be led to it.
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}


class Programs:
    """The short way for MLflow's client, past what only browsers need: sessions, CSRF, messages, static files, htmx.

    Its addresses answer to tokens, which no browser sends by itself, and never look at a cookie. What is above this in the
    settings holds for both ways: the id, and Django's security headers.
    """

    def __init__(self, get_response: Handler) -> None:
        self.pages = get_response
        self.view = _innermost(get_response)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if _PROGRAMS.match(request.path_info) is None:
            return self.pages(request)
        request.get_host()  # refuses a host that is not ours, as CommonMiddleware does for pages
        response = self.view(request)
        for name, value in _FOR_PROGRAMS.items():
            response.headers.setdefault(name, value)
        if not response.streaming:
            response.headers.setdefault("Content-Length", str(len(response.content)))  # type: ignore[attr-defined]
        return response


def _innermost(handler: Handler) -> Handler:
    """What resolves the address and calls the view, below every middleware. Errors become answers in it and around it."""
    inner = inspect.unwrap(handler)
    while (further := getattr(inner, "get_response", None)) is not None:
        handler, inner = further, inspect.unwrap(further)
    return handler


class Private:
    """What an account gets to see is for nobody's cache, on the way or on a shared machine's disk.

    Every answer says so that does not say otherwise itself; static files are answered before this.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not response.has_header("Cache-Control"):
            response["Cache-Control"] = "private, no-store"
        return response


class Refusals:
    """A ``Refusal`` that a page's view did not handle becomes that status, with its sentence, in the page's form.

    An address of a page with a null byte is nowhere: no text in the database can hold one. The API's edges name the field.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "\x00" in request.path and not request.path.startswith(("/api/", "/ajax-api/")):
            return page_not_found(request, Http404())
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer refusals; everything else goes on to Django, which logs it."""
        return refused(request, exception) if isinstance(exception, Refusal) else None
