"""Column roles: their shape, and which exclude each other."""

from typing import Any

import pytest

from config.errors import Invalid
from registry.columns import NEVER_FEATURES, checked, hidden


def test_every_role_is_kept_as_given() -> None:
    given: dict[str, Any] = {
        "label": "y",
        "features": ["a", "b"],
        "sensitive": ["sex", "a"],
        "positive": 1,
        "weight": "w",
        "prediction": "p",
        "score": "s",
        "id": "i",
        "time": "t",
    }

    assert checked(given) == given
    assert hidden(given) == {"sex", "a", "i"}


@pytest.mark.parametrize("role", NEVER_FEATURES)
def test_a_column_with_such_a_role_is_no_feature(role: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked({role: "a", "features": ["a"]})

    assert (refused.value.code, refused.value.field) == ("columns.not_a_feature", "columns.features")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"labels": "x"}, "columns.labels"),
        ({"weight": ""}, "columns.weight"),
        ({"weight": ["w"]}, "columns.weight"),
        ({"time": 3}, "columns.time"),
        ({"features": "a"}, "columns.features"),
        ({"features": ["a", "a"]}, "columns.features"),
        ({"features": ["a"] * 5001}, "columns.features"),
        ({"sensitive": [1]}, "columns.sensitive"),
        ({"label": "a", "weight": "a"}, "columns.weight"),
        ({"id": "a", "time": "a"}, "columns.time"),
        ({"id": "a", "sensitive": ["a"]}, "columns.sensitive"),
        ({"positive": None}, "columns.positive"),
    ],
    ids=str,
)
def test_what_is_no_role_is_refused_by_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked(given)

    assert refused.value.field == field
