"""``?as_of=`` on the pages and the REST API: the request is answered as of that moment, by the same views.

The reader is found out first, and may see what they may see today. Then everything down to the finished answer is read as
of the moment (``config.as_of``). The answer says which checkpoint that was, in headers and on pages in a banner.
"""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from django.db import Error
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from audit.history import moments
from config import as_of, past_pages
from config.as_of import Moment
from config.errors import Refusal
from config.pages import refused
from config.problems import CONTENT_TYPE, of_refusal
from registry.api.authentication import authenticate_request
from registry.models import User
from registry.reach import everywhere

Handler = Callable[[HttpRequest], HttpResponseBase]
PARAMETER: Final = moments.FIELD

TODAY_ONLY: Final = re.compile(
    r"/(?:admin|sign-in|sign-out|account|first-run|people|webhooks|marks|health|static|mlflow|audit|exports|samples|trust|reports"
    r"|requests/[^/]+/evidence\.zip"
    r"|models/[^/]+/versions/[0-9]+/promote|api/docs|api/reference"
    r"|api/v1/(?:me|accounts|tokens|uploads|webhooks|webhook-events|audit|log|reports"
    r"|openapi\.json|requests/[^/]+/evidence\.zip))(?:/|$)"
)
"""What speaks of the present: accounts and keys, what is under way, reports, which take a moment of their own, and the log,
which is a history already."""

_READ_ONLY: Final = frozenset({"25006", "55000"})
"""What PostgreSQL answers to a write there: the transaction is read-only, and a view of two tables cannot be written."""


class AboutThePast(Refusal):
    """Something was asked about the past that cannot be."""

    status = HTTPStatus.BAD_REQUEST
    code = "as_of.unsupported"

    def __init__(self, message: str, code: str, remedy: str = "") -> None:
        super().__init__(message, code=f"as_of.{code}", field=PARAMETER, remedy=remedy)


class TimeTravel:
    """Below everything that may write for a request: sessions, messages."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        asked = request.GET.getlist(PARAMETER)
        if not asked or (not any(asked) and not _is_api(request)):
            return self.get_response(request)
        try:
            if not _knows(request):
                return self.get_response(request)  # which refuses, or leads to the sign-in and back
            moment = _moment(request, asked)
            if isinstance(request.user, User):
                everywhere(request.user)  # of today, and remembered
            with as_of.travelling(moment):
                response = self.get_response(request)
                if response.streaming and not hasattr(response, "file_to_stream"):
                    response.streaming_content = [b"".join(response.streaming_content)]  # type: ignore[attr-defined]
        except Refusal as refusal:
            return _answer(request, refusal)
        if getattr(request, "wrote_in_the_past", False):
            return _answer(
                request, AboutThePast("Opening this writes to the log, so it can only be done at present.", "writes")
            )
        return _finish(response, moment)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """What tried to write is answered once the past has been left; everything else goes its way."""
        if isinstance(exception, Error) and getattr(exception.__cause__, "sqlstate", "") in _READ_ONLY:
            request.wrote_in_the_past = True  # type: ignore[attr-defined]
            return HttpResponse(status=HTTPStatus.BAD_REQUEST)
        return None


def travels(path: str) -> bool:
    """Whether what is at this path can be read as of a past moment."""
    return not TODAY_ONLY.match(path)


def _moment(request: HttpRequest, asked: list[str]) -> Moment:
    if request.method not in {"GET", "HEAD", "OPTIONS"}:
        raise AboutThePast("The past can be read, not changed.", "read_only", "Leave as_of away to change the present.")
    if not travels(request.path_info):
        raise AboutThePast("This speaks of the present only.", "today_only", "Leave as_of away.")
    if len(set(asked)) > 1:
        raise AboutThePast("There are several as_of.", "malformed", "Give one.")
    return moments.found(asked[0])


def _knows(request: HttpRequest) -> bool:
    """Whether the reader is known. Who that is is found out now: the views ask again, and are told the same."""
    if _is_api(request) and request.headers.get("Authorization"):
        try:
            found = authenticate_request(request)
        except Refusal:
            return False
        if found:
            everywhere(found[0])
        return found is not None
    return bool(request.user.is_authenticated)


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/")


def _finish(response: HttpResponseBase, moment: Moment) -> HttpResponseBase:
    response["As-Of-Entry"] = str(moment.size)
    response["As-Of-Root"] = moment.root.hex()
    response["As-Of-Time"] = moment.at.isoformat()
    location = response.get("Location", "")
    if location and not urlsplit(location).netloc and travels(urlsplit(location).path):
        response["Location"] = past_pages.at(location, moment.kept)
    if isinstance(response, HttpResponse) and response.get("Content-Type", "").startswith("text/html"):
        page = response.content.decode(response.charset)
        response.content = past_pages.rewritten(page, moment.kept, travels).encode(response.charset)
        if response.has_header("Content-Length"):
            response["Content-Length"] = str(len(response.content))
    return response


def _answer(request: HttpRequest, refusal: Refusal) -> HttpResponseBase:
    """Why the past is not shown: a problem document below ``/api/``; a page with the form, and the reason beside the field."""
    if _is_api(request):
        body = {**of_refusal(refusal), "instance": request.path, "request_id": getattr(request, "id", "")}
        return JsonResponse(body, status=int(refusal.status), content_type=CONTENT_TYPE)
    if refusal.field != PARAMETER:
        return refused(request, refusal)
    asked = request.GET.get(PARAMETER, "")
    context = {"refusal": refusal, "asked": asked}
    response = render(request, "errors/as_of.html", context, status=int(refusal.status))
    patch_vary_headers(response, ["HX-Request"])
    return response


def _pairs(request: HttpRequest) -> list[tuple[str, str]]:
    return [(key, value) for key, values in request.GET.lists() for value in values]


def banner(request: HttpRequest) -> dict[str, object]:
    """Context of every page: ``as_of``, the moment it shows, and where the same page of today is; or the offer of a past."""
    moment = as_of.current()
    kept = [pair for pair in _pairs(request) if pair[0] not in {PARAMETER, "after"}]
    if moment is None:
        user = getattr(request, "user", None)  # none yet, if the request was refused before anybody asked who it is
        known = user is not None and user.is_authenticated
        offered = known and request.method in {"GET", "HEAD"} and travels(request.path_info)
        return {"as_of_offered": offered, "as_of_kept": kept}
    query = urlencode(kept)
    return {"as_of": moment, "as_of_kept": kept, "as_of_today": f"{request.path}?{query}" if query else request.path}


def described(result: dict[str, Any], **_context: object) -> dict[str, Any]:
    """Postprocessing of the OpenAPI document: every reading of what has a past can be asked for it."""
    parameter = {
        "in": "query",
        "name": PARAMETER,
        "schema": {"type": "string"},
        "description": "Answer as of a past moment: a day (`2026-03-14`: its end), a time with its zone, or a log size "
        "(`entry:1234`). The headers `As-Of-Entry`, `As-Of-Root` and `As-Of-Time` name the checkpoint whose state it is.",
        "examples": {"a day": {"value": "2026-03-14"}, "a log size": {"value": "entry:1234"}},
    }
    for path, item in result["paths"].items():
        if "get" in item and travels(re.sub(r"\{[^}]*\}", "1", path)):
            item["get"].setdefault("parameters", []).append(parameter)
    return result
