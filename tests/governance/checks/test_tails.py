"""Tails of errors by Geary's ratio, and the interval of a root mean square that follows from them."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.checks import CheckInputs, Roles, get, run_check
from governance.checks.performance.calibration import Rows
from governance.checks.performance.gains import lift, ranked
from governance.checks.statistics import estimates, tails


@pytest.mark.parametrize(
    ("ratio", "expected"), [(math.sqrt(2 / math.pi), 3.0), (math.sqrt(0.5), 6.0), (math.sqrt(3) / 2, 1.8)]
)
def test_the_kurtosis_of_normal_laplace_and_nearly_uniform_errors(ratio: float, expected: float) -> None:
    assert tails.geary(ratio) == pytest.approx(expected, rel=0.01)


def test_the_heavier_of_sample_and_shape_counts_and_light_tails_are_met_half_way() -> None:
    assert tails.kurtosis(4.0, math.sqrt(0.5)) == pytest.approx(6.0)
    assert tails.kurtosis(9.0, math.sqrt(0.5)) == 9.0
    assert 1.8 < tails.kurtosis(1.8, 0.82) < 3.0


@given(
    root=st.floats(0, 1e300), heavy=st.floats(1, 1e6), rows=st.floats(1.01, 1e9), more=st.floats(0, 100)
)  # fmt: skip
def test_the_interval_holds_the_root_and_widens_with_the_tails(
    root: float, heavy: float, rows: float, more: float
) -> None:
    low, high = tails.root_interval(root / 1e10, heavy, rows)
    wider = tails.root_interval(root / 1e10, heavy + more, rows)
    assert 0 <= wider[0] <= low <= root / 1e10 <= high <= wider[1]


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 1)), min_size=2, max_size=60), st.floats(0.05, 0.9))
def test_the_lift_lies_in_its_interval_which_ends_at_one_over_the_share(
    pairs: list[tuple[int, int]], share: float
) -> None:
    score, y = (np.array(one, dtype="float64") for one in zip(*pairs, strict=True))
    if not y.any():
        return
    rows = Rows(score, y, np.ones(len(y)), np.ones(len(y)))
    found = lift(rows, ranked(rows), share)
    low, high = found.interval
    assert 0 <= low <= found.value <= high <= 1 / share + 1e-9


def test_degrees_of_freedom_are_those_of_the_class_that_varies() -> None:
    assert estimates.satterthwaite(np.array([1.0, 0.0]), np.array([7.0, 500.0])) == pytest.approx(7)
    assert estimates.satterthwaite(np.array([1.0, 1.0]), np.array([50.0, 50.0])) == pytest.approx(100)
    assert estimates.satterthwaite(np.array([5.0, 0.0]), np.array([0.0, 9.0])) == 2
    assert math.isinf(estimates.satterthwaite(np.zeros(3), np.ones(3)))


def test_versions_that_decide_alike_are_not_said_to_be_alike_for_certain() -> None:
    y = [list("abc")[at % 3] for at in range(30)]
    table = {"prediction": y}
    result = run_check(get("compare.champion"), classified(y, table, table))
    gap = result.figure("macro_f1_difference")
    assert gap.value == 0
    assert -0.3 < (gap.ci_low or 0) < -0.05
    assert 0.05 < (gap.ci_high or 0) < 0.3


def test_classes_that_are_all_right_have_an_interval_below_one() -> None:
    y = [list("abc")[at % 3] for at in range(30)]
    result = run_check(get("performance.multiclass"), classified(y, {"prediction": y}))
    for key in ("macro_f1", "balanced_accuracy", "weighted_f1", "kappa", "mcc"):
        figure = result.figure(key)
        assert (figure.value, figure.ci_high) == (1, 1), key
        assert 0.5 < (figure.ci_low or 0) < 0.95, key


def classified(y: list[str], own: dict[str, list[str]], live: dict[str, list[str]] | None = None) -> CheckInputs:
    return CheckInputs(pa.table({"y": y}), Roles("y"), pa.table(own), None if live is None else pa.table(live))
