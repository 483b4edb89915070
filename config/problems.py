"""Problem details (RFC 9457) for the REST API: every refusal in one shape, with a stable ``code``."""

from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from config.errors import Refusal

CONTENT_TYPE = "application/problem+json"


def problem(
    status: int, *, code: str, detail: str, errors: list[dict[str, str]] | None = None, **extra: Any
) -> dict[str, Any]:
    """One problem document. ``errors`` lists ``{"field", "message"}``; ``extra`` are extension members."""
    body: dict[str, Any] = {
        "type": f"urn:countersign:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if errors:
        body["errors"] = errors
    return {**body, **extra}


def of_refusal(refusal: Refusal) -> dict[str, Any]:
    """The problem document of a ``Refusal``."""
    errors = [{"field": refusal.field, "message": refusal.message}] if refusal.field else None
    extra = {
        key: value for key, value in refusal.extra.items() if key not in {"type", "title", "status", "code", "detail"}
    }
    return problem(refusal.status, code=refusal.code, detail=str(refusal), errors=errors, **extra)


def _field_errors(detail: object, prefix: str = "") -> list[dict[str, str]]:
    if isinstance(detail, dict):
        return [
            error
            for key, value in detail.items()
            for error in _field_errors(value, prefix if key == "non_field_errors" else f"{prefix}.{key}".lstrip("."))
        ]
    if isinstance(detail, list):
        flat: list[dict[str, str]] = []
        for position, value in enumerate(detail):
            nested = isinstance(value, dict | list)
            flat += _field_errors(value, f"{prefix}[{position}]" if nested and value else prefix)
        return flat
    return [{"field": prefix, "message": str(detail)}]


def handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. Unknown errors are left to Django, which logs them and answers 500."""
    headers: dict[str, str] = {}
    if isinstance(error, Refusal):
        body = of_refusal(error)
        if error.status == HTTPStatus.TOO_MANY_REQUESTS and "retry_after" in error.extra:
            headers["Retry-After"] = str(error.extra["retry_after"])
    elif isinstance(error, exceptions.ValidationError):
        errors = _field_errors(error.detail)
        named = "; ".join(f"{e['field']}: {e['message']}" if e["field"] else e["message"] for e in errors)
        body = problem(400, code="invalid", detail=named, errors=errors)
    elif isinstance(error, Http404):
        body = problem(404, code="not_found", detail="There is no such thing here, or you may not see it.")
    elif isinstance(error, PermissionDenied):
        body = problem(403, code="not_allowed", detail=str(error) or "You may not do this.")
    elif isinstance(error, exceptions.APIException):
        body = problem(error.status_code, code=str(error.default_code), detail=str(error.detail))
        if error.status_code == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = getattr(error, "auth_header", "") or 'Bearer realm="countersign"'
    elif isinstance(error, OperationalError) and "lock timeout" in str(error):
        body = problem(503, code="busy", detail="Somebody else is changing this right now. Try again in a moment.")
        headers["Retry-After"] = "1"
    else:
        return None
    set_rollback()
    request = context.get("request")
    if isinstance(request, Request):
        # Whatever the view would have answered in: a refusal is JSON.
        request.accepted_renderer, request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
    body["instance"] = getattr(request, "path", "")
    body["request_id"] = getattr(getattr(request, "_request", request), "id", "")
    return Response(body, status=body["status"], headers=headers, content_type=CONTENT_TYPE)


def answer(request: HttpRequest, status: int, *, code: str, detail: str) -> JsonResponse:
    """A problem answer from outside DRF (error views below ``/api/``)."""
    body = problem(status, code=code, detail=detail, instance=request.path, request_id=getattr(request, "id", ""))
    return JsonResponse(body, status=status, content_type=CONTENT_TYPE)
