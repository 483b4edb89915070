"""MLflow's search language, against MLflow's own parser where both have an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.mlflow.filters import MODELS, VERSIONS, BadFilter, Condition, order, parse, wants_prompts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("name = 'credit'", [Condition("attribute", "name", "=", "credit")]),
        ('name = "credit"', [Condition("attribute", "name", "=", "credit")]),
        ("attribute.name != 'a'", [Condition("attribute", "name", "!=", "a")]),
        ("name LIKE 'cr%'", [Condition("attribute", "name", "LIKE", "cr%")]),
        ("name ilike 'CR%'", [Condition("attribute", "name", "ILIKE", "CR%")]),
        ("name IN ('a', \"b\")", [Condition("attribute", "name", "IN", ("a", "b"))]),
        ("name not in ('a')", [Condition("attribute", "name", "NOT IN", ("a",))]),
        ("tags.`risk tier` = '1'", [Condition("tag", "risk tier", "=", "1")]),
        ('tag."risk tier" = "1"', [Condition("tag", "risk tier", "=", "1")]),
        ("tags.team != 'x'", [Condition("tag", "team", "!=", "x")]),
        ("tags.mlflow.source.name = 'x'", [Condition("tag", "mlflow.source.name", "=", "x")]),
        (
            "name='a' and tags.k LIKE '%b%'",
            [Condition("attribute", "name", "=", "a"), Condition("tag", "k", "LIKE", "%b%")],
        ),
        (  # MLflow's parser takes AND for granted, and so do filters that programs put together
            "name='a' AND AND tags.k = 'b' AND",
            [Condition("attribute", "name", "=", "a"), Condition("tag", "k", "=", "b")],
        ),
        ("name = 'it''s AND fine'", [Condition("attribute", "name", "=", "it's AND fine")]),
    ],
)
def test_a_search_for_models_is_read(text: str, expected: list[Condition]) -> None:
    assert parse(text, MODELS) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("run_id IN ('a','b')", [Condition("attribute", "run_id", "IN", ("a", "b"))]),
        ("version_number >= 3", [Condition("attribute", "version_number", ">=", 3)]),
        ("version_number = '3'", [Condition("attribute", "version_number", "=", 3)]),
        ("source_path = 'runs:/a/b'", [Condition("attribute", "source_path", "=", "runs:/a/b")]),
    ],
)
def test_a_search_for_versions_is_read(text: str, expected: list[Condition]) -> None:
    assert parse(text, VERSIONS) == expected


@pytest.mark.parametrize(
    "text",
    [
        "name",
        "name =",
        "name = credit",
        "name = 'a' OR name = 'b'",
        "   ",
        "name = 'a';",
        "`name` = 'a'",
        "Tags.k = 'a'",
        "name <> 'a'",
        "name = 'unclosed",
        "name > 'a'",
        "name IN 'a'",
        "name IN ('a'",
        "name IN ()",
        "colour = 'red'",
        "param.x = '1'",
        "tags.k IN ('a')",
        "tags.k > 'a'",
        "tags.k = 1",
        "'name' = 'a'",
        "name == 'a'",
        "; DROP TABLE x",
    ],
)
def test_what_is_not_in_the_language_is_refused(text: str) -> None:
    with pytest.raises(BadFilter):
        parse(text, MODELS)


@pytest.mark.parametrize("text", ["version_number LIKE '3'", "version_number = 1.5", "version_number = 'x'"])
def test_a_version_number_is_a_number(text: str) -> None:
    with pytest.raises(BadFilter):
        parse(text, VERSIONS)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text, VERSIONS)
    except BadFilter:
        return


@given(st.text(max_size=30), st.sampled_from(["=", "!=", "LIKE", "ILIKE"]))
def test_any_value_survives_quoting(value: str, operator: str) -> None:
    single, double = value.replace("'", "''"), value.replace('"', '""')
    assert parse(f"name {operator} '{single}'", MODELS) == [Condition("attribute", "name", operator, value)]
    assert parse(f'name {operator} "{double}"', MODELS) == [Condition("attribute", "name", operator, value)]


def test_orders_are_read() -> None:
    assert order(["name DESC", "last_updated_timestamp"], MODELS) == [("name", False), ("updated", True)]
    assert order(["`version_number` asc"], VERSIONS) == [("number", True)]


@pytest.mark.parametrize(
    "clauses",
    [["colour"], ["name UP"], ["name", "name DESC"], ["timestamp", "last_updated_timestamp"], ["name ASC x"], [""]],
)
def test_a_bad_order_is_refused(clauses: list[str]) -> None:
    with pytest.raises(BadFilter):
        order(clauses, MODELS)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", False),
        ("tags.`mlflow.prompt.is_prompt` = 'true'", True),
        ("tags.`mlflow.prompt.is_prompt` != 'false'", True),
        ("tags.`mlflow.prompt.is_prompt` = 'false'", False),
    ],
)
def test_prompts_are_wanted_only_when_asked_for(text: str, wanted: bool) -> None:
    assert wants_prompts(parse(text, MODELS)) is wanted
