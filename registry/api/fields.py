"""Building blocks of input serializers: they refuse what the database, the ledger or a reader could not take."""

# ruff: noqa: ANN401 - the signatures are the REST framework's

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from django.http import QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_ANY_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
SHA256: Final = r"^[0-9a-f]{64}$"


class Input(serializers.Serializer[Any]):
    """A request body or query: unknown fields are refused by name."""

    def to_internal_value(self, data: Any) -> Any:
        """Validate. Raises ``ValidationError`` naming every field at fault."""
        values = data.dict() if isinstance(data, QueryDict) else data
        if isinstance(values, Mapping):
            unknown = [name for name in values if name not in self.fields]
            if unknown:
                known = ", ".join(self.fields) or "none"
                raise serializers.ValidationError(
                    {name: [f"There is no such field here. Known: {known}."] for name in unknown}
                )
        return super().to_internal_value(values)


class Text(serializers.CharField):
    """A string without control characters other than tab and line breaks. Not trimmed, and never made from a number."""

    def __init__(self, *, max_length: int, single_line: bool = False, **options: Any) -> None:
        self.forbidden = _ANY_CONTROL if single_line else _CONTROL
        super().__init__(max_length=max_length, trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        """Validate one string."""
        if not isinstance(data, str):
            self.fail("invalid")
        found = self.forbidden.search(data)
        if found:
            raise serializers.ValidationError(
                f"The character U+{ord(found.group()):04X} at position {found.start() + 1} is not allowed."
            )
        return super().to_internal_value(data)


class Name(Text):
    """The name of a model or data set. What a name may be is decided by ``registry.names``, for every edge."""

    def __init__(self, *, max_length: int = 256, **options: Any) -> None:
        super().__init__(max_length=max_length, single_line=True, **options)


class Sha256(serializers.RegexField):
    """64 lower-case hexadecimal digits."""

    def __init__(self, **options: Any) -> None:
        super().__init__(SHA256, **options)
        self.error_messages["invalid"] = "A SHA-256 is 64 lower-case hexadecimal digits."


class Number(serializers.FloatField):
    """A finite JSON number; not a string, not a boolean."""

    def to_internal_value(self, data: Any) -> float:
        """Validate one number."""
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        try:
            value = float(data)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise serializers.ValidationError("The number is too large.")
        return value


class Whole(serializers.IntegerField):
    """A JSON integer; not a string, not a boolean."""

    def to_internal_value(self, data: Any) -> int:
        """Validate one integer."""
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field(OpenApiTypes.ANY)
class Scalar(serializers.Field[Any, Any, Any, Any]):
    """A string, an integer or a boolean: the value that a label takes."""

    def to_internal_value(self, data: Any) -> str | int | bool:
        """Validate one value."""
        if isinstance(data, str):
            return Text(max_length=400, allow_blank=True).run_validation(data) or ""
        if isinstance(data, int) and abs(data) < 2**53:
            return data
        raise serializers.ValidationError("A string, an integer or a boolean is expected.")

    def to_representation(self, value: Any) -> Any:
        """Show it as it is."""
        return value


class Table(serializers.DictField):
    """A JSON object from short names to values of one kind."""

    def __init__(self, *, most: int = 1000, longest_key: int = 250, **options: Any) -> None:
        self.most, self.longest_key = most, longest_key
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Validate names and values."""
        if isinstance(data, Mapping):
            if len(data) > self.most:
                raise serializers.ValidationError(f"There are more than {self.most} entries.")
            for key in data:
                if not key or len(key) > self.longest_key or _ANY_CONTROL.search(key):
                    raise serializers.ValidationError(
                        f"The name {key[:40]!r} is empty, too long, or holds a control character."
                    )
        checked: dict[str, Any] = super().to_internal_value(data)
        return checked
