"""Keyset pagination: stable under writes, the same cost on every page."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from rest_framework.pagination import CursorPagination

from config.errors import Invalid

Row = TypeVar("Row", bound=Model)


class KeysetPagination(CursorPagination):
    """DRF's cursor pagination with the house's page sizes. A view sets ``ordering``."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"
    ordering = "-pk"


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One page of rows and the token of the next (empty at the end)."""

    rows: list[Row]
    next: str
    size: int


def encode(values: Sequence[Any]) -> str:
    """An opaque token for the last row's key values."""
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps(plain, default=str, separators=(",", ":")).encode()).decode().rstrip("=")


def decode(token: str, length: int) -> list[Any]:
    """The key values in a token.

    Raises:
        Invalid: the token was not made by ``encode`` for this list.

    """
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        values = json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, UnicodeError):
        values = None
    if not isinstance(values, list) or len(values) != length or not all(_is_key(value) for value in values):
        raise Invalid("This page token is not one of ours.", code="page_token", field="after")
    return values


def _is_key(value: object) -> bool:
    """Say whether PostgreSQL could compare with it: an integer, or text without U+0000 and lone surrogates."""
    if isinstance(value, str):
        return not any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in value)
    return isinstance(value, int)


def page_of(queryset: QuerySet[Row], *, after: str, size: int, keys: Sequence[str]) -> Page[Row]:
    """The ``size`` rows after token ``after`` (empty: from the start), ordered by ``keys`` ("-name" descends).

    The last key must be unique. No column named may be null.

    Raises:
        Invalid: the token is not one of ours.

    """
    names = [key.removeprefix("-") for key in keys]
    if after:
        values = decode(after, len(keys))
        beyond = Q(pk__in=[])
        # Said twice, since an index is not found through the alternatives: where in it the page begins.
        first = Q(**{f"{names[0]}__{'lte' if keys[0].startswith('-') else 'gte'}": values[0]})
        for position, key in enumerate(keys):
            operator = "lt" if key.startswith("-") else "gt"
            step = Q(**{f"{names[position]}__{operator}": values[position]})
            for name, value in zip(names[:position], values[:position], strict=True):
                step &= Q(**{name: value})
            beyond |= step
        try:
            queryset = queryset.filter(first, beyond)
        except (ValueError, TypeError, ValidationError) as error:
            raise Invalid("This page token is not one of ours.", code="page_token", field="after") from error
    rows = list(queryset.order_by(*keys)[: size + 1])
    more = len(rows) > size
    rows = rows[:size]
    token = encode([_value(rows[-1], name) for name in names]) if more else ""
    return Page(rows=rows, next=token, size=size)


def _value(row: Model, name: str) -> Any:  # noqa: ANN401 - whatever the column holds
    value: Any = row
    for part in name.split("__"):
        value = getattr(value, part)
    return value
