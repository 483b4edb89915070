"""One value, one text: against the reference implementation of RFC 8785, and everything outside the profile."""

from enum import StrEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import LARGEST, NotCanonical, canonical, parse

KEYS = st.from_regex(r"[a-z0-9_]{1,12}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=30,
)


@given(VALUES)
def test_the_bytes_are_those_of_the_reference_implementation(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(VALUES)
def test_what_is_written_can_be_read_back(value: Any) -> None:
    assert parse(canonical(value)) == value


@given(st.dictionaries(KEYS, VALUES, min_size=2, max_size=6))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


@pytest.mark.parametrize(
    ("value", "place", "problem"),
    [
        (1.5, "", "is a float"),
        ({"a": {"b": [1, 2.0]}}, "a.b[1]", "is a float"),
        ({"A": 1}, "", "must match"),
        ({"a": {"no-dash": 1}}, "a", "must match"),
        ({"": 1}, "", "must match"),
        ({1: 1}, "", "must match"),
        ({"a": LARGEST + 1}, "a", "beyond 2**53 - 1"),
        ([-LARGEST - 1], "[0]", "beyond 2**53 - 1"),
        ({"a": "\ud800"}, "a", "lone surrogate"),
        ({"a": "x\x00"}, "a", "U+0000"),
        ({"a": b"bytes"}, "a", "bytes has no canonical form"),
        ({"a": {1, 2}}, "a", "set has no canonical form"),
        ({"a": object()}, "a", "object has no canonical form"),
    ],
)
def test_what_is_outside_the_profile_is_refused_by_place_and_cause(value: object, place: str, problem: str) -> None:
    with pytest.raises(NotCanonical) as refusal:
        canonical(value)
    assert refusal.value.path == place
    assert problem in refusal.value.problem


def test_nesting_without_end_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(NotCanonical, match="nested deeper"):
        canonical(value)


def test_an_enumeration_counts_as_its_value() -> None:
    class Colour(StrEnum):
        RED = "red"

    assert canonical({"colour": Colour.RED}) == b'{"colour":"red"}'


@pytest.mark.parametrize(
    "text",
    [
        '{"b":1,"a":2}',
        '{"a": 1}',
        '{"a":1,"a":1}',
        '{"a":1.0}',
        '{"a":1e3}',
        '{"a":NaN}',
        '{"a":-0}',
        '"\\u0041"',
        '"\\/"',
        '"\\ud800"',
        '{"a":1}\n',
        "{",
        "",
    ],
)
def test_text_that_is_not_canonical_is_refused(text: str) -> None:
    with pytest.raises(NotCanonical):
        parse(text)


def test_bytes_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(NotCanonical):
        parse(b'"\xff"')
