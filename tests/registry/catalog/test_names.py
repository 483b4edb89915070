"""Names: what MLflow accepts and no reader could be deceived by."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import Invalid
from registry import names


@pytest.mark.parametrize("name", ["credit-default", "gpt-3.5 turbo", "Ausfallrisiko für Händler", "a" * 256, "模型"])
def test_ordinary_names_are_accepted(name: str) -> None:
    names.check_name(name)


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("", "needs a name"),
        ("   ", "needs a name"),
        ("a/b", "'/'"),
        ("a:b", "':'"),
        (".", "directory"),
        ("..", "directory"),
        ("a\x00b", "null byte, at character 2"),
        ("a\nb", "U+000A"),
        ("a\u202eb", "U+202E"),
        ("a\u200bb", "U+200B"),
        ("\ud800", "U+D800"),
        (" a", "space"),
        ("a" * 300, "300 characters; the limit is 256"),
        ("cafe\u0301", "normal form C"),
    ],
)
def test_a_bad_name_is_refused_naming_field_and_cause(name: str, cause: str) -> None:
    with pytest.raises(Invalid) as refused:
        names.check_name(name, field="new_name")

    assert cause in refused.value.message
    assert refused.value.field == "new_name"


@given(st.text(max_size=300))
def test_no_two_accepted_names_are_canonically_equal_and_none_hides_anything(name: str) -> None:
    try:
        names.check_name(name)
    except Invalid as refused:
        assert refused.field == "name"  # noqa: PT017 - most texts are refused, some are not
    else:
        assert name == unicodedata.normalize("NFC", name) == name.strip()
        assert not any(unicodedata.category(character) in {"Cc", "Cf", "Cs"} for character in name)
        assert not {"/", ":"} & set(name)


@pytest.mark.parametrize("alias", ["production", "champion_2", "blau-grün", "v", "version1"])
def test_ordinary_aliases_are_accepted(alias: str) -> None:
    names.check_alias(alias)


@pytest.mark.parametrize("alias", ["", "latest", "LATEST", "v1", "V22", "a b", "a/b", "prod\n", "a.b", "x" * 256])
def test_a_bad_or_reserved_alias_is_refused(alias: str) -> None:
    with pytest.raises(Invalid) as refused:
        names.check_alias(alias)

    assert refused.value.field == "alias"


@pytest.mark.parametrize("key", ["", "/a", "a//b", "..", "../x", "a\n", "a$b", "k" * 251, "a/."])
def test_a_bad_key_of_a_tag_is_refused(key: str) -> None:
    with pytest.raises(Invalid) as refused:
        names.check_tag(key, "value")

    assert refused.value.field == "key"


@pytest.mark.parametrize("value", ["x" * 100_001, "a\x00b", "\udfff"])
def test_a_bad_value_of_a_tag_is_refused(value: str) -> None:
    with pytest.raises(Invalid) as refused:
        names.check_tag("key", value)

    assert refused.value.field == "value"


@pytest.mark.parametrize(
    "card", [{"Intended use": "x"}, {"k": "a\x00"}, {"k" * 65: ""}, {f"k{n}": "x" * 20_000 for n in range(21)}]
)
def test_a_bad_card_is_refused(card: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refused:
        names.check_card(card)

    assert str(refused.value.field).startswith("card")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True])
def test_a_metric_that_is_no_finite_number_is_refused(value: float) -> None:
    with pytest.raises(Invalid, match="'auc' must be a finite number"):
        names.check_metrics({"auc": value})


@pytest.mark.parametrize(
    ("text", "words"),
    [("a\x00b", "null byte"), ("\ud800", "half of a character pair"), ("x" * 11, "11 characters; the limit is 10")],
)
def test_text_that_cannot_be_kept_is_refused_with_the_cause(text: str, words: str) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        names.check_text(text, field="description", longest=10)
    assert refused.value.field == "description"
