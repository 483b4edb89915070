"""Regression: scikit-learn's numbers from exact sums, with weights, at any magnitude and for any partition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from governance.checks import CheckError, CheckInputs, CheckResult, Roles, get, run_check
from governance.checks.statistics import exact

numbers = st.floats(-1e6, 1e6, allow_nan=False)
ROWS = st.lists(st.tuples(numbers, numbers, st.integers(0, 8)), min_size=3, max_size=60)


def inputs_of(y: Any, said: Any, weight: Any = None) -> CheckInputs:
    data = {
        "y": np.asarray(y, dtype="float64"),
        **({} if weight is None else {"w": np.asarray(weight, dtype="float64")}),
    }
    roles = Roles("y", weight=None if weight is None else "w")
    return CheckInputs(pa.table(data), roles, pa.table({"prediction": np.asarray(said, dtype="float64")}))


def regression(y: Any, said: Any, weight: Any = None, **params: Any) -> CheckResult:
    return run_check(get("performance.regression"), inputs_of(y, said, weight), params)


@settings(max_examples=80, deadline=None)
@given(rows=ROWS)
def test_the_figures_are_scikit_learns(rows: list[tuple[float, float, int]]) -> None:
    y, said, w = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    w = w / 4
    assume(w.sum() > 0)
    result = regression(y, said, w)
    about = {"sample_weight": w}
    assert result.figure("rmse").value == pytest.approx(
        sk.root_mean_squared_error(y, said, **about), rel=1e-9, abs=1e-9
    )
    assert result.figure("mae").value == pytest.approx(sk.mean_absolute_error(y, said, **about), rel=1e-9, abs=1e-9)
    if np.ptp(y[w > 0]) > 1e-3:
        assert result.figure("r2").value == pytest.approx(sk.r2_score(y, said, **about), rel=1e-7, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, shards=st.integers(2, 6), data=st.data())
def test_any_partition_merges_to_the_same_bits(
    rows: list[tuple[float, float, int]], shards: int, data: st.DataObject
) -> None:
    y, said, w = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    assume(w.sum() > 0)
    inputs, check = inputs_of(y, said, w / 3), get("performance.regression")
    params = check.params.from_mapping({})
    whole = check.merge(check.map(part, params) for part in check.plan(inputs, params))
    parts = data.draw(st.permutations(check.plan(inputs, params, shards=shards)))
    states = [check.map(part, params) for part in parts]
    merged = check.merge([check.merge(states[:1]), *states[1:]])
    assert merged.equals(whole)
    assert check.finish(merged, inputs, params).to_json() == check.finish(whole, inputs, params).to_json()


@settings(max_examples=80, deadline=None)
@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=1, max_size=40))
def test_sums_are_exact(values: list[float]) -> None:
    """As ``math.fsum``, which rounds once."""
    state = exact.summed({"x": np.array(values)}, np.zeros(len(values), dtype="int64"))
    try:
        expected = math.fsum(values)
    except OverflowError:
        return
    assert float(exact.Sums(state).of("x")) == expected


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1.0, 1e150, 1e299])
@pytest.mark.parametrize("shift", [0.0, 1e9])
def test_the_magnitude_of_the_label_does_not_matter(scale: float, shift: float) -> None:
    random = np.random.default_rng(2)
    y = random.normal(size=50).round(3)
    said = y + random.normal(size=50).round(3)
    plain, scaled = regression(y, said), regression((y + shift) * scale * 1e-9, (said + shift) * scale * 1e-9)
    for key, unit in (("rmse", scale * 1e-9), ("mae", scale * 1e-9), ("r2", 1.0)):
        one, other = plain.figure(key), scaled.figure(key)
        expected = [end * unit for end in (one.value, one.ci_low, one.ci_high) if end is not None]
        assert [other.value, other.ci_low, other.ci_high] == pytest.approx(expected, rel=1e-5)


def test_a_perfect_regression_has_no_error() -> None:
    result = regression([1.0, 2.0, 3.0] * 10, [1.0, 2.0, 3.0] * 10)
    assert (result.figure("rmse").value, result.figure("rmse").ci_high) == (0.0, 0.0)
    assert result.figure("r2").value == 1.0


def test_few_rows_have_figures_without_intervals() -> None:
    result = regression([1.0, 2.0], [1.0, 3.0])
    assert result.figure("rmse").value == pytest.approx(math.sqrt(0.5))
    assert result.figure("rmse").ci_low is None


def test_the_intervals_hold_the_values() -> None:
    random = np.random.default_rng(3)
    y = random.normal(size=200)
    result = regression(y, y + random.normal(size=200), random.random(200))
    for figure in result.figures:
        assert (figure.ci_low or 0) < (figure.value or 0) < (figure.ci_high or 0)
        assert figure.smallest_gap


def test_residuals_by_prediction_show_where_the_model_tilts() -> None:
    random = np.random.default_rng(4)
    x = random.normal(size=1000)
    result = regression(2 * x + random.normal(size=1000) / 10, x)
    table = result.tables[0]
    assert all(99 <= int(row[2] or 0) <= 101 for row in table.rows)
    residuals = [float(row[5] or 0) for row in table.rows]
    assert residuals[0] < -1 < 1 < residuals[-1]
    assert (table.rows[0][0], table.rows[-1][1]) == (None, None)
    assert result.pictures[0].key == "residuals"
    assert "off zero" in result.pictures[0].alt


def test_a_bias_is_said() -> None:
    result = regression(np.arange(100.0), np.arange(100.0) + np.tile([1.9, 2.1], 50))
    assert result.findings[1].startswith("On average predictions are 2 too high")


@pytest.mark.parametrize(
    ("y", "said", "code"),
    [
        ([1.0, 2.0, 3.0], [1.0, float("nan"), 3.0], "data.predictions_invalid"),
        ([1.0, 2.0, 3.0], [1.0, float("inf"), 3.0], "data.predictions_invalid"),
        ([1.0, 2.0, 1e301], [1.0, 2.0, 3.0], "data.label_huge"),
        ([1.0, float("nan"), 3.0], [1.0, 2.0, 3.0], "data.label_null"),
    ],
)
def test_what_is_no_number_is_refused(y: list[float], said: list[float], code: str) -> None:
    with pytest.raises(CheckError) as error:
        regression(y, said)
    assert error.value.code == code
