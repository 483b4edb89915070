"""Canonical JSON: RFC 8785 restricted so that every language agrees on the bytes.

Text, integers within plus or minus 2**53 - 1, true, false, null, lists and objects whose keys match ``[a-z0-9_]+``.
No floats (write decimals as text, moments as integer microseconds), so the number formatting of RFC 8785 never matters.
No U+0000, which PostgreSQL's jsonb cannot hold, and no lone surrogates, which have no UTF-8.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import orjson

Json = str | int | bool | None | Sequence["Json"] | Mapping[str, "Json"]

LARGEST = 2**53 - 1
DEEPEST = 32
_KEY = re.compile(r"[a-z0-9_]+")
_NUL = b"\\u0000"
_MOST_KEYS = 10_000
_good_keys: set[str] = set()


class NotCanonical(ValueError):
    """The value or text is outside the profile. ``path`` says where, as in ``diff.owner[2]``."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path or 'the value'}: {problem}")
        self.path = path
        self.problem = problem


def canonical(value: object) -> bytes:
    """Return the one UTF-8 form of ``value``. Raises ``NotCanonical`` naming the offending place."""
    if type(value) is dict and within(value):
        try:
            raw = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except TypeError:  # a lone surrogate: the long way says where
            raw = _NUL
        if _NUL not in raw:
            return raw
    return orjson.dumps(_checked(value, "", 0), option=orjson.OPT_SORT_KEYS)


def within(value: dict[str, Any]) -> bool:
    """Whether plain dicts, lists, text and numbers are within the profile, but for what is inside a text. The quick way.

    What it does not recognise at once it answers with False, which decides nothing: ``canonical`` and ``parse`` do.
    """
    return _keys_within(value) and _items_within(value.values(), 1)


def _items_within(items: Iterable[Any], depth: int) -> bool:
    for item in items:
        kind = type(item)
        if kind is str:
            continue
        if kind is dict:
            if depth >= DEEPEST or not _keys_within(item) or not _items_within(item.values(), depth + 1):
                return False
        elif kind is list:
            if depth >= DEEPEST or not _items_within(item, depth + 1):
                return False
        elif kind is int:
            if not -LARGEST <= item <= LARGEST:
                return False
        elif item is not None and kind is not bool:
            return False
    return True


def _keys_within(value: dict[Any, Any]) -> bool:
    return value.keys() <= _good_keys or all(_good(key) for key in value)


def _good(key: object) -> bool:
    """Whether a key matches [a-z0-9_]+; the few that occur are remembered."""
    good = type(key) is str and _KEY.fullmatch(key) is not None
    if good and len(_good_keys) < _MOST_KEYS:
        _good_keys.add(str(key))
    return good


def parse(text: str | bytes) -> Any:  # noqa: ANN401 - JSON
    """Parse text that must already be canonical. Raises ``NotCanonical`` for anything that is not byte for byte so."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        value = json.loads(raw.decode("utf-8"), parse_float=_no_float, parse_constant=_no_float)
    except NotCanonical:
        raise
    except (ValueError, RecursionError) as error:
        raise NotCanonical("", f"not JSON: {error}") from error
    if canonical(value) != raw:
        raise NotCanonical("", "JSON, but not in canonical form (order of keys, spaces, escapes or a repeated key)")
    return value


def _no_float(text: str) -> NoReturn:
    raise NotCanonical("", f"{text} is a float; write decimals as text")


def _checked(value: object, path: str, depth: int) -> object:
    """Return ``value`` with mappings and sequences as plain dicts and lists, all within the profile."""
    if depth > DEEPEST:
        raise NotCanonical(path, f"nested deeper than {DEEPEST} levels")
    # Text and integers are taken by value: an enumeration member counts as what it is made of.
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return _text(str.__str__(value), path)
    if isinstance(value, int):
        number = int(value)
        if abs(number) > LARGEST:
            raise NotCanonical(path, f"{number} is beyond 2**53 - 1; write it as text")
        return number
    if isinstance(value, float):
        raise NotCanonical(path, f"{value!r} is a float; write decimals as text")
    if isinstance(value, Mapping):
        result: dict[str, object] = {}
        for key, item in value.items():
            if not isinstance(key, str) or not _KEY.fullmatch(key):
                raise NotCanonical(path, f"key {key!r} must match [a-z0-9_]+")
            result[str.__str__(key)] = _checked(item, f"{path}.{key}" if path else key, depth + 1)
        return result
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return [_checked(item, f"{path}[{place}]", depth + 1) for place, item in enumerate(value)]
    raise NotCanonical(path, f"{type(value).__name__} has no canonical form; use text, integers, lists and mappings")


def _text(value: str, path: str) -> str:
    if "\x00" in value:
        raise NotCanonical(path, "text holds U+0000")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise NotCanonical(path, "text holds a lone surrogate, which has no UTF-8 form") from None
    return value
