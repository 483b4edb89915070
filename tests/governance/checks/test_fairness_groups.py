"""What the check of groups shows, what it gates, and what it says where data do not suffice."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from governance.checks import CheckError, CheckInputs, CheckResult, Roles, get, run_check
from governance.checks.pictures import MOST_MARKS


def people(n: int = 600, *, scores: bool = True, **params: Any) -> CheckResult:
    """Two sensitive columns, one of them with a group of a few and some unknown."""
    random = np.random.default_rng(6)
    sex = random.choice(["f", "m"], n)
    age = random.choice(np.array(["young", "old", "rare", None], dtype=object), n, p=[0.5, 0.45, 0.02, 0.03])
    score = np.clip(random.random(n) - 0.2 * (sex == "f"), 0, 1)
    data = pa.table({"y": (random.random(n) < score).astype("int64"), "sex": sex, "age": age.tolist()})
    said = pa.table({"score": score}) if scores else pa.table({"prediction": (score >= 0.5).astype("int64")})
    return run_check(get("fairness.groups"), CheckInputs(data, Roles("y", ("sex", "age")), said), params)


def test_intersections_are_shown_and_gate_only_if_the_policy_says_so() -> None:
    shown = people()
    assert {figure.attribute for figure in shown.figures} == {"sex", "age"}
    assert [table.key for table in shown.tables if "/" in table.key] == ["intersection:sex / age", "spread:sex / age"]
    gated = people(gate_intersections=True)
    assert {figure.attribute for figure in gated.figures} == {"sex", "age", "sex / age"}
    none = people(intersections=1)
    assert [table.key for table in none.tables] == ["groups:sex", "spread:sex", "groups:age", "spread:age"]
    assert none.figures == shown.figures


def test_a_small_group_has_insufficient_data_and_says_so() -> None:
    result = people()
    small = result.figure("selection_rate_ratio", group="rare")
    assert small.value is None
    assert small.note.startswith("Insufficient data: the group “rare” has ")
    table = next(table for table in result.tables if table.key == "groups:age")
    notes = {row[1]: row[-1] for row in table.rows}
    assert notes == {"(unknown)": "shown, not compared", "old": "", "rare": "insufficient data", "young": ""}
    assert any("insufficient data for" in finding for finding in result.findings)


def test_every_comparison_has_its_interval_and_smallest_gap() -> None:
    for figure in people().figures:
        if figure.value is None:
            assert figure.note
            continue
        assert figure.ci_low is not None
        assert figure.ci_high is not None
        assert figure.ci_low <= figure.value <= figure.ci_high
        assert figure.key == "calibration_error" or figure.smallest_gap is not None


def test_labels_alone_have_no_calibration() -> None:
    result = people(scores=False)
    of_scores = [f for f in result.figures if f.key.startswith("calibration") and f.group != "rare"]
    assert {(f.value, f.note) for f in of_scores} == {(None, "The model gives no probabilities, only labels.")}
    assert result.figure("selection_rate_ratio", group="f").value is not None


def test_pictures_hold_aggregates_and_words() -> None:
    result = people()
    assert {picture.key for picture in result.pictures} >= {"rates:sex", "gaps:sex", "rates:age", "rates:sex / age"}
    for picture in result.pictures:
        assert picture.alt
        assert len(picture.spec["data"]["values"]) <= MOST_MARKS
        json.dumps(picture.spec, allow_nan=False)


@pytest.mark.parametrize(
    "bad", [{"intersections": 0}, {"intersections": 5}, {"bins": 1}, {"draws": 50}, {"seed": -1}, {"reference": ["f"]}]
)
def test_parameters_have_bounds(bad: dict[str, Any]) -> None:
    with pytest.raises(CheckError) as error:
        people(**bad)
    assert error.value.code == "params.value"


def test_a_name_that_intersections_use_is_refused() -> None:
    data = pa.table({"y": [0, 1], "a / b": ["x", "y"]})
    with pytest.raises(CheckError) as error:
        run_check(get("fairness.groups"), CheckInputs(data, Roles("y", ("a / b",)), pa.table({"score": [0.1, 0.9]})))
    assert error.value.column == "a / b"


def test_scores_that_are_no_numbers_are_refused() -> None:
    data = pa.table({"y": [0, 1], "a": ["x", "y"]})
    for bad in (float("nan"), 1.5, -0.1, float("inf")):
        with pytest.raises(CheckError) as error:
            run_check(get("fairness.groups"), CheckInputs(data, Roles("y", ("a",)), pa.table({"score": [bad, 0.9]})))
        assert error.value.code == "data.scores_invalid"


@pytest.mark.parametrize("y", [[0] * 60, [1] * 60])
def test_one_class_alone_leaves_what_needs_the_other_unsaid(y: list[int]) -> None:
    data = pa.table({"y": y, "a": ["x", "y"] * 30})
    result = run_check(
        get("fairness.groups"), CheckInputs(data, Roles("y", ("a",)), pa.table({"score": np.linspace(0, 1, 60)}))
    )
    lacking = "equal_opportunity_difference" if y[0] == 0 else "false_positive_rate_difference"
    assert {f.value for f in result.figures if f.key in {lacking, "equalised_odds_difference"}} == {None}
    assert result.figure("selection_rate_ratio").value is not None
