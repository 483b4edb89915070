"""How the product says no. One exception family; each edge (REST, MLflow, pages) owns how it is shown."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any


class Refusal(Exception):
    """A request that is understood and refused, with a stable ``code`` and a sentence for people.

    ``field`` names the input at fault, if one is; ``remedy`` says what to do; ``extra`` carries machine-readable facts
    (never secrets). The same sentence explains a disabled button and fills an API's answer.
    """

    status: HTTPStatus = HTTPStatus.CONFLICT
    code = "refused"

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        field: str = "",
        remedy: str = "",
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.field = field
        self.remedy = remedy
        self.extra = dict(extra or {})

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class Invalid(Refusal):
    """The input is wrong: ``field`` says which."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "invalid"


class Unauthenticated(Refusal):
    """We do not know who asks."""

    status = HTTPStatus.UNAUTHORIZED
    code = "unauthenticated"


class NotAllowed(Refusal):
    """We know who asks, and they may not."""

    status = HTTPStatus.FORBIDDEN
    code = "not_allowed"


class NotFound(Refusal):
    """There is no such thing, or the asker may not know of it."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class Conflict(Refusal):
    """It cannot be done in the present state."""

    status = HTTPStatus.CONFLICT
    code = "conflict"


class StaleEdit(Refusal):
    """``If-Match`` names a version of the object that is no longer the current one (RFC 9110 13.1.1)."""

    status = HTTPStatus.PRECONDITION_FAILED
    code = "stale"


class TooMany(Refusal):
    """Tried too often; wait."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_attempts"
