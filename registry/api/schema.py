"""How the REST API describes itself: OpenAPI through drf-spectacular."""

# ruff: noqa: ANN401 - the signatures are the REST framework's

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers

BYTES: Final = OpenApiTypes.BINARY
DOCUMENT: Final = OpenApiTypes.OBJECT
"""A JSON object that is given as it was signed or written; what is in it is described where it is specified."""
DOCUMENTS: Final[Mapping[str, Any]] = {"type": "array", "items": {"type": "object", "additionalProperties": {}}}
PROBLEM: Final = "application/problem+json"
View = TypeVar("View", bound=Callable[..., Any])


class FieldError(serializers.Serializer[Any]):
    """One input at fault."""

    field = serializers.CharField(allow_blank=True)
    message = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """RFC 9457 problem details. ``code`` is stable; ``detail`` is for people. There may be further members."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    errors = FieldError(many=True, required=False)  # type: ignore[assignment]
    instance = serializers.CharField(required=False, allow_blank=True)
    request_id = serializers.CharField(required=False, allow_blank=True)


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """``Authorization: Bearer prefix.secret``."""

    target_class = "registry.api.authentication.TokenAuthentication"
    name = "bearerAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the security scheme."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API token, made under /api/v1/tokens or by an administrator.",
        }


IDEMPOTENCY_KEY: Final = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="1 to 128 visible ASCII characters. The same key with the same body is answered from memory, and "
    "with `Idempotency-Replayed: true`; with another body it is refused with 422.",
)
IF_MATCH: Final = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description='The `ETag` you read, such as `"3"`. Refused with 412 if it moved on.',
)
_WHY: Final = {
    400: "The input is malformed; `errors` names each field.",
    401: "No valid credentials.",
    403: "You may not do this; `detail` says why.",
    404: "There is no such thing, or you may not see it.",
    409: "Not in the present state.",
    411: "Content-Length is missing.",
    412: "Somebody changed it since you read it.",
    413: "Larger than accepted.",
    415: "Not a media type that is read here.",
    422: "Understood, and wrong; `errors` names the field.",
    429: "Tried too often.",
    503: "Busy or not ready; try again.",
}
_READ: Final = (400, 401, 403, 404)
_WRITE: Final = (*_READ, 409, 413, 415, 422)


def documented(
    operation: str,
    summary: str,
    *,
    tag: str,
    answer: Any = None,
    answers: Mapping[Any, Any] | None = None,
    status: int = HTTPStatus.OK,
    request: Any = None,
    query: Any = None,
    parameters: Sequence[OpenApiParameter] = (),
    errors: Sequence[int] = (),
    examples: Sequence[OpenApiExample] = (),
    writes: bool = False,
    description: str = "",
) -> Callable[[View], View]:
    """Describe one operation: what it takes, what it gives, and every way it says no."""
    codes = sorted({*(_WRITE if writes else _READ), *errors, *([422] if query is not None else [])})
    responses: dict[Any, Any] = dict(answers) if answers is not None else {status: answer}
    for code in codes:
        responses[code, PROBLEM] = OpenApiResponse(Problem, description=_WHY[code])
    asked = [query] if query is not None else []
    return extend_schema(
        operation_id=operation,
        summary=summary,
        description=description or summary,
        tags=[tag],
        request=request,
        parameters=[*asked, *parameters],
        responses=responses,
        examples=list(examples),
    )


def page_of(kind: type[serializers.BaseSerializer[Any]]) -> serializers.Serializer[Any]:
    """The schema of one page of a list."""
    return inline_serializer(
        name=f"{kind.__name__}Page",
        fields={
            "next": serializers.URLField(allow_null=True, help_text="Address of the next page; null at the end."),
            "results": kind(many=True),
        },
    )
