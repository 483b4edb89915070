"""Two groups whose every difference can be worked out on paper: sides, references, and from which size they count."""

from __future__ import annotations

from typing import Any

import pytest

from governance.checks import CheckResult
from tests.governance.checks.tables import fairness

CELLS = {"a": (40, 10, 5, 45), "b": (30, 20, 20, 30)}
"""Of each group: true positives, false negatives, false positives, true negatives; a hundred rows."""


def judged(**params: Any) -> CheckResult:
    y, decision, group = [], [], []
    for name, (tp, fn, fp, tn) in CELLS.items():
        y += [1] * (tp + fn) + [0] * (fp + tn)
        decision += [1] * tp + [0] * fn + [1] * fp + [0] * tn
        group += [name] * 100
    return fairness(y, decision, group, **params)


@pytest.mark.parametrize(
    ("key", "group", "reference", "value"),
    [
        ("selection_rate_ratio", "a", "b", 0.45 / 0.50),
        ("selection_rate_difference", "a", "b", 0.50 - 0.45),
        ("equal_opportunity_difference", "b", "a", 0.8 - 0.6),
        ("false_positive_rate_difference", "b", "a", 0.4 - 0.1),
        ("false_negative_rate_difference", "b", "a", 0.4 - 0.2),
        ("equalised_odds_difference", "b", "a", 0.3),  # the larger of 0.2 and 0.3
        ("predictive_parity_difference", "b", "a", 40 / 45 - 30 / 50),
        ("accuracy_difference", "b", "a", 0.85 - 0.60),
        ("calibration_difference", "b", "a", 0.40 - 0.15),
    ],
)
def test_each_group_is_set_against_the_one_that_fares_best(key: str, group: str, reference: str, value: float) -> None:
    (figure,) = [one for one in judged().figures if one.key == key and one.value is not None]
    assert (figure.group, figure.reference) == (group, reference)
    assert figure.value == pytest.approx(value, abs=1e-12)
    assert figure.scale == ("log" if key == "selection_rate_ratio" else "identity")


def test_each_group_is_set_against_the_one_that_the_policy_names() -> None:
    found = {(one.key, one.group): one.value for one in judged(reference=["group=b"]).figures if one.reference == "b"}
    assert found["equal_opportunity_difference", "a"] == pytest.approx(-0.2)
    assert found["calibration_difference", "a"] == pytest.approx(-0.25)


@pytest.mark.parametrize(
    ("key", "params", "known"),
    [
        ("selection_rate_ratio", {"min_group": 100}, True),
        ("selection_rate_ratio", {"min_group": 101}, False),
        ("calibration_error", {"min_group": 100}, True),
        ("calibration_error", {"min_group": 101}, False),
        ("equal_opportunity_difference", {"min_class": 50}, True),
        ("equal_opportunity_difference", {"min_class": 51}, False),
        ("false_positive_rate_difference", {"min_class": 50}, True),
        ("false_positive_rate_difference", {"min_class": 51}, False),
        ("false_negative_rate_difference", {"min_class": 50}, True),
        ("false_negative_rate_difference", {"min_class": 51}, False),
        ("equalised_odds_difference", {"min_class": 51}, False),
        ("predictive_parity_difference", {"min_class": 45}, True),
        ("predictive_parity_difference", {"min_class": 46}, False),
    ],
)
def test_a_rate_counts_from_the_smallest_number_of_its_own_rows(key: str, params: dict[str, int], known: bool) -> None:
    figures = [one for one in judged(**params).figures if one.key == key]
    assert any(one.value is not None for one in figures) is known
    assert known or all("Insufficient data" in one.note for one in figures)


def test_another_seed_draws_other_intervals_and_the_same_values() -> None:
    first, again, other = (judged(seed=seed, draws=200) for seed in (1, 1, 2))
    of = {id(one): [(f.value, f.ci_low, f.ci_high) for f in one.figures] for one in (first, again, other)}
    assert of[id(first)] == of[id(again)]
    assert first.tables == again.tables
    assert [value for value, _, _ in of[id(first)]] == [value for value, _, _ in of[id(other)]]
    drawn = [one for one in first.figures if one.key == "calibration_error"]
    others = [one for one in other.figures if one.key == "calibration_error"]
    assert [(one.ci_low, one.ci_high) for one in drawn] != [(one.ci_low, one.ci_high) for one in others]
    assert [table.rows for table in first.tables if table.key.startswith("spread")] != [
        table.rows for table in other.tables if table.key.startswith("spread")
    ]
