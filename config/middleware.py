"""Request id: taken from the caller if it is a sane one, else made here; on every log line, answer and ledger entry."""

import re
import uuid
from collections.abc import Callable

import structlog
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase

from config.errors import Refusal
from config.pages import page_not_found, refused

_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestId:
    """Set ``request.id`` and the ``X-Request-Id`` answer header."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
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


class Private:
    """What an account gets to see is for nobody's cache, on the way or on a shared machine's disk.

    Every answer says so that does not say otherwise itself; static files are answered before this.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
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

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "\x00" in request.path and not request.path.startswith(("/api/", "/ajax-api/")):
            return page_not_found(request, Http404())
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer refusals; everything else goes on to Django, which logs it."""
        return refused(request, exception) if isinstance(exception, Refusal) else None
