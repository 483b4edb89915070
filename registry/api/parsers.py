"""Reading request bodies: strict JSON of a bounded size, and raw chunks that are handed on as a stream."""

# ruff: noqa: ANN401 - the signatures are the REST framework's

import json
from collections.abc import Mapping
from typing import Any, Final

from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

MAX_JSON_BYTES: Final = 256 * 1024
"""Bytes of models travel as uploads. Before and after of a change must fit one ledger entry (1 MiB)."""


class TooLarge(APIException):
    """413."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = f"The JSON body is larger than {MAX_JSON_BYTES} bytes. Send files as uploads."
    default_code = "body_too_large"


class StrictJSONParser(BaseParser):
    """JSON in UTF-8, without duplicate names, NaN or Infinity, at most ``MAX_JSON_BYTES`` long."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        """Return the parsed body.

        Raises ``TooLarge``: the body is over the limit; ``ParseError``: it is not UTF-8, not JSON, nested too
        deeply, or says one name twice.
        """
        raw = stream.read(MAX_JSON_BYTES + 1)
        if len(raw) > MAX_JSON_BYTES:
            raise TooLarge
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ParseError(f"The body is not valid UTF-8, at byte {error.start}.") from error
        try:
            return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        except json.JSONDecodeError as error:
            raise ParseError(
                f"The body is not valid JSON: {error.msg}, at line {error.lineno}, column {error.colno}."
            ) from error
        except RecursionError as error:
            raise ParseError("The body is nested too deeply.") from error
        except ValueError as error:
            raise ParseError(f"The body is not acceptable JSON: {error}.") from error


class ChunkParser(BaseParser):
    """Bytes as they come: the view reads the stream, nothing is buffered here."""

    media_type = "application/octet-stream"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        """Return the stream itself."""
        return stream


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the name {name!r} is there twice")
        found[name] = value
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
