"""Commitments and what opens them: RFC 9901's own example, and what a key makes of a value."""

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import commitments
from audit.commitments import BadDisclosure, Keys, Personal

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40)
PERSONAL = st.builds(Personal, TEXT, TEXT, TEXT)


def test_the_digest_is_that_of_rfc_9901() -> None:
    """Its example of section 4.2.1 and 4.2.3, whose array is not canonical JSON: spaces, and so not one of ours."""
    disclosure = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"

    assert commitments.digest_of(disclosure) == "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"
    with pytest.raises(BadDisclosure):
        commitments.read(disclosure)


@given(PERSONAL)
def test_a_disclosure_is_checked_with_the_standard_library_alone(one: Personal) -> None:
    disclosure = commitments.disclosure_of(one, Keys.of(bytes(32)))

    salt, field, value = json.loads(base64.urlsafe_b64decode(disclosure + "=" * (-len(disclosure) % 4)))
    assert (field, value) == (one.field, one.value) == commitments.read(disclosure)
    assert len(base64.urlsafe_b64decode(salt + "==")) == 16
    digest = hashlib.sha256(disclosure.encode("ascii")).digest()
    assert commitments.digest_of(disclosure) == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@given(PERSONAL, PERSONAL)
def test_one_value_of_one_person_has_one_commitment_and_no_other_has_it(one: Personal, other: Personal) -> None:
    keys = Keys.of(b"k" * 32)
    digests = {commitments.digest_of(commitments.disclosure_of(each, keys)) for each in (one, one, other)}

    assert len(digests) == len({one, other})


@given(PERSONAL)
def test_without_the_key_a_guess_of_the_value_is_not_confirmed(one: Personal) -> None:
    mine, theirs = (commitments.disclosure_of(one, Keys.of(commitments.new_key())) for _ in range(2))

    assert commitments.digest_of(mine) != commitments.digest_of(theirs)


@given(PERSONAL)
def test_what_is_sealed_opens_under_its_key_in_its_place_only(one: Personal) -> None:
    keys = Keys.of(commitments.new_key())
    disclosure = commitments.disclosure_of(one, keys)
    sealed = commitments.seal(disclosure, keys, place="user:1 digest")

    assert commitments.unseal(sealed, keys, place="user:1 digest") == disclosure
    assert disclosure.encode() not in sealed
    broken = bytes([sealed[0] ^ 1]) + sealed[1:]
    for blob, key, place in (
        (sealed, keys, "user:2 digest"),
        (sealed, Keys.of(commitments.new_key()), "user:1 digest"),
        (broken, keys, "user:1 digest"),
        (b"", keys, "user:1 digest"),
    ):
        with pytest.raises(BadDisclosure):
            commitments.unseal(blob, key, place=place)


@pytest.mark.parametrize("text", ["", "%", "W10", "e30", "WyJhIiwiYiIsMV0", "WyJhIiwiYiJd", "\u00fc"])
def test_what_is_no_disclosure_is_said_to_be_none(text: str) -> None:
    with pytest.raises(BadDisclosure, match="no disclosure"):
        commitments.read(text)


def test_a_key_has_one_length() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Keys.of(b"short")
