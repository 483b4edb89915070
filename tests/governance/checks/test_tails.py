"""Tails of errors by Geary's ratio, and the interval of a root mean square that follows from them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from governance.checks import CheckInputs, Roles, get, run_check
from governance.checks.performance.calibration import Rows
from governance.checks.performance.gains import lift, ranked
from governance.checks.statistics import estimates, tails
from governance.checks.statistics.tails import Tails


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
    root=st.floats(0, 1e290), heavy=st.floats(1, 1e6), rows=st.floats(1.01, 1e9), more=st.floats(0, 100),
    shape=st.tuples(st.floats(0.05, 1), st.floats(-0.4, 0.4)),
)  # fmt: skip
def test_the_interval_holds_the_root_and_widens_with_the_tails(
    root: float, heavy: float, rows: float, more: float, shape: tuple[float, float]
) -> None:
    ratio, skew = shape
    found = tails.root_interval(root, Tails(heavy, ratio, 0.0, skew, rows))
    wider = tails.root_interval(root, Tails(heavy + more, ratio, 0.0, skew, rows))
    assert found
    assert wider
    assert 0 <= wider[0] <= found[0] <= root <= found[1] <= wider[1]


@given(mean=st.floats(0, 1e290), error=st.floats(0, 10), ratio=st.floats(0.05, 1), rows=st.floats(1.01, 1e9))
def test_the_interval_of_a_size_holds_it_and_is_longer_above(
    mean: float, error: float, ratio: float, rows: float
) -> None:
    found = tails.size_interval(mean, error * mean, Tails(3.0, ratio, 0.0, 0.1, rows))
    assert found
    low, high = found
    assert 0 <= low <= mean <= high
    if low > 0 and mean / low < 1e10 and high < 1e300:
        assert high / mean >= mean / low * (1 - 1e-9)


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (lambda r: r.normal(size=100_000), 0.0), (lambda r: r.exponential(size=100_000) - 1, 1 / 3),
        (lambda r: -r.exponential(size=100_000), -1 / 3), (lambda r: r.uniform(size=100_000), 0.0),
        (lambda r: r.gumbel(size=100_000), 0.1699), (lambda r: r.lognormal(0, 1, 100_000), 0.4625),
    ],
)  # fmt: skip
def test_l_skewness_of_known_populations(draw: Callable[[np.random.Generator], np.ndarray], expected: float) -> None:
    """Hosking (1990), table 1."""
    assert tails.skewness(draw(np.random.default_rng(1))) == pytest.approx(expected, abs=0.012)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-1000, 1000), min_size=5, max_size=40))
def test_l_skewness_is_the_ratio_of_unbiased_l_moments(values: list[int]) -> None:
    """By the definition: expectations of order statistics over all subsets of two and three."""
    x = sorted(float(one) for one in values)
    second = sum(b - a for a, b in combinations(x, 2)) / math.comb(len(x), 2) / 2
    third = sum(c - 2 * b + a for a, b, c in combinations(x, 3)) / math.comb(len(x), 3) / 3
    expected = third / second if second else 0.0
    assert tails.skewness(np.array(x)) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 5)), min_size=3, max_size=30),
    st.randoms(use_true_random=False),
)
def test_l_skewness_does_not_depend_on_the_order_of_rows_nor_on_units(
    rows: list[tuple[int, int]], random: Random
) -> None:
    value, weight = (np.array(one) for one in zip(*rows, strict=True))
    first = tails.skewness(value.astype("float64"), weight)
    shuffled = list(rows)
    random.shuffle(shuffled)
    value, weight = (np.array(one) for one in zip(*shuffled, strict=True))
    assert tails.skewness(value.astype("float64"), weight) == first
    assert tails.skewness(3.5 * value - 7, 10 * weight) == pytest.approx(first, abs=1e-9)
    assert -1 <= first <= 1


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [3.0] * 10, [0.0] * 10, [1e9] * 5])
def test_what_does_not_vary_or_is_too_little_has_no_skew(values: list[float]) -> None:
    assert tails.skewness(np.array(values)) == 0


def test_of_very_many_rows_some_are_looked_at() -> None:
    x = np.random.default_rng(2).exponential(size=2_500_000)
    assert tails.skewness(x) == pytest.approx(1 / 3, abs=0.005)


@pytest.mark.parametrize(
    ("skew", "mean", "rows", "roots", "sizes"),
    [
        (0.39, 0.0, 30, False, False), (0.45, 0.0, 30, True, True), (-0.45, 0.0, 30, True, True),
        (0.45, 0.0, 5_000, True, False), (0.45, 0.0, 50_000, False, False), (0.45, 0.9, 30, False, False),
    ],
)  # fmt: skip
def test_intervals_are_withheld_where_errors_are_lopsided_and_rows_few(
    skew: float, mean: float, rows: float, roots: bool, sizes: bool
) -> None:
    shape = Tails(20.0, 0.7, mean, skew, rows)
    assert (shape.squares_fail, shape.sizes_fail) == (roots, sizes)
    assert (tails.root_interval(1.0, shape) is None, tails.size_interval(1.0, 0.1, shape) is None) == (roots, sizes)


def lopsided(n: int, weighted: bool = False) -> CheckInputs:
    """Errors as the quantiles of a lognormal distribution."""
    error = np.exp(stats.norm.ppf((np.arange(n) + 0.5) / n))
    said = np.tile([0.0, 10.0, 5.0], n)[:n]
    data = {"y": said + error, "w": np.tile([1.0, 2.0], n)[:n], "s": ["a"] * n}
    roles = Roles("y", weight="w" if weighted else None, sensitive=("s",))
    return CheckInputs(pa.table(data), roles, pa.table({"prediction": said + 1.6}))


@pytest.mark.parametrize("weighted", [False, True])
def test_lopsided_errors_have_figures_without_intervals_and_say_so(weighted: bool) -> None:
    inputs = lopsided(40, weighted)
    result = run_check(get("performance.regression"), inputs)
    for key in ("rmse", "mae", "r2"):
        figure = result.figure(key)
        assert figure.value is not None, key
        assert (figure.ci_low, figure.ci_high, figure.smallest_gap) == (None, None, None), key
        assert figure.note.startswith("Insufficient data: the errors are so one-sided"), key
    assert run_check(get("performance.regression"), inputs, shards=3).to_json() == result.to_json()


def test_with_more_rows_lopsided_errors_have_an_interval_of_the_size_first() -> None:
    result = run_check(get("performance.regression"), lopsided(3000), {"bins": 1})
    assert result.figure("rmse").ci_low is None
    assert result.figure("mae").ci_low is not None
    assert result.figure("mae").note == ""


def test_a_group_with_lopsided_errors_has_no_interval_and_is_compared_without_one() -> None:
    one = lopsided(40)
    random = np.random.default_rng(3)
    said = np.zeros(40)
    data = pa.table({"y": random.normal(size=40), "w": np.ones(40), "s": ["b"] * 40})
    assert one.data is not None
    assert one.predictions is not None
    both = CheckInputs(
        pa.concat_tables([one.data, data]),
        one.roles,
        pa.concat_tables([one.predictions, pa.table({"prediction": said})]),
    )
    result = run_check(get("fairness.regression"), both)
    by = {(f.key, f.group): f for f in result.figures}
    for key in ("root_mean_squared_error", "mean_absolute_error"):
        lacks, has = by[key, "a"], by[key, "b"]
        assert lacks.value is not None
        assert (lacks.ci_low, lacks.ci_high) == (None, None)
        assert lacks.note.startswith("Insufficient data")
        assert has.ci_low is not None
        assert has.note == ""
        gap = next(f for f in result.figures if f.key == f"{key}_difference")
        assert gap.value is not None
        assert (gap.ci_low, gap.smallest_gap) == (None, None)
        assert gap.note.startswith("Insufficient data")
    assert by["mean_error", "a"].ci_low is not None
    assert run_check(get("fairness.regression"), both, shards=4).to_json() == result.to_json()


def test_overfitting_says_why_the_growth_has_no_interval() -> None:
    inputs = lopsided(40)
    both = replace(inputs, training=inputs.data, training_predictions=inputs.predictions)
    result = run_check(get("performance.overfitting"), both)
    growth = result.figure("rmse_growth")
    assert (growth.value, growth.ci_low) == (0.0, None)
    assert growth.note.startswith("Insufficient data")
    assert "so one-sided" in result.findings[0]
    assert result.facts["verdict"] == "not known"


def test_too_few_rows_are_said_to_be_too_few() -> None:
    inputs = CheckInputs(pa.table({"y": [1.0, 2.0, 4.0]}), Roles("y"), pa.table({"prediction": [1.0, 3.0, 3.0]}))
    result = run_check(get("performance.regression"), inputs)
    assert result.figure("rmse").note == "Insufficient data: there are too few rows for an interval."


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
