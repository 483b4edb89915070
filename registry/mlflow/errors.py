"""Errors as MLflow's client understands them: ``{"error_code", "message"}`` and MLflow's status for each code.

The client repeats 408, 429 and 5xx for minutes, so a refusal is never one of those. Statuses: mlflow/exceptions.py.
"""

from http import HTTPStatus
from typing import Final

import orjson
from django.db import OperationalError
from django.http import HttpResponse

from config.errors import Refusal

STATUS: Final[dict[str, int]] = {
    "BAD_REQUEST": 400,
    "INVALID_PARAMETER_VALUE": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "RESOURCE_CONFLICT": 409,
    "TEMPORARILY_UNAVAILABLE": 503,
}

_CODE_OF_STATUS: Final[dict[int, str]] = {
    HTTPStatus.BAD_REQUEST: "INVALID_PARAMETER_VALUE",
    HTTPStatus.UNAUTHORIZED: "UNAUTHENTICATED",
    HTTPStatus.FORBIDDEN: "PERMISSION_DENIED",
    HTTPStatus.NOT_FOUND: "RESOURCE_DOES_NOT_EXIST",
    HTTPStatus.CONFLICT: "RESOURCE_CONFLICT",
    HTTPStatus.PRECONDITION_FAILED: "RESOURCE_CONFLICT",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "INVALID_PARAMETER_VALUE",
    HTTPStatus.UNPROCESSABLE_ENTITY: "INVALID_PARAMETER_VALUE",
    # MLflow's client would repeat a 429 for minutes, in silence. Its user had better read the reason.
    HTTPStatus.TOO_MANY_REQUESTS: "PERMISSION_DENIED",
    HTTPStatus.LOCKED: "PERMISSION_DENIED",
}


class ProtocolError(Exception):
    """An answer other than success, in MLflow's own words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> ProtocolError:
    """An argument is wrong."""
    return ProtocolError("INVALID_PARAMETER_VALUE", message)


def missing(message: str) -> ProtocolError:
    """There is no such thing, or the asker may not know of it."""
    return ProtocolError("RESOURCE_DOES_NOT_EXIST", message)


def of_refusal(refusal: Refusal) -> ProtocolError:
    """Say a ``Refusal`` in MLflow's terms: the reason, the remedy, and the address that helps, if there is one."""
    message = str(refusal)
    url = str(refusal.extra.get("url", ""))
    if url and url not in message:
        message = f"{message} {url}"
    return ProtocolError(_CODE_OF_STATUS.get(refusal.status, "RESOURCE_CONFLICT"), message)


def answer(error: ProtocolError) -> HttpResponse:
    """The HTTP answer for an error."""
    response = HttpResponse(
        orjson.dumps({"error_code": error.code, "message": error.message}),
        content_type="application/json",
        status=STATUS[error.code],
    )
    if error.code == "UNAUTHENTICATED":
        response["WWW-Authenticate"] = 'Bearer realm="countersign", Basic realm="countersign"'
    elif error.code == "TEMPORARILY_UNAVAILABLE":
        response["Retry-After"] = "1"
    return response


def is_lock_timeout(error: OperationalError) -> bool:
    """Whether the database gave up waiting for somebody else's change: worth another try."""
    return "lock timeout" in str(error)
