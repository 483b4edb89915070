"""Intervals cover what they say: nominal 95 % within 93 to 97 % from 30 rows on.

The whole grid is benchmarks/checks/coverage_fairness.py. Coverage of intervals of counts is added up over every outcome, not
simulated; that of the others is simulated by seed.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.checks import coverage_fairness as coverage
from governance.checks.fairness.calibration import calibration
from governance.checks.fairness.errors import Errors
from governance.checks.fairness.spread import RATES as ALL_RATES
from governance.checks.fairness.spread import drawn, spreads
from governance.checks.statistics.intervals import katz, miettinen_nurminen, mover, newcombe, of_the_larger, wilson

RATES = (0.2, 0.5, 0.8)


@pytest.mark.parametrize(("n", "m"), [(30, 30), (30, 200)])
def test_ratio_and_difference_of_two_rates_cover_95_percent(n: int, m: int) -> None:
    ratios = coverage.ratios(miettinen_nurminen, n, m, RATES)
    differences = coverage.differences(newcombe, n, m, RATES)
    for found in (ratios, differences):
        assert min(found) >= 0.93
        assert max(found) <= 0.97
        assert 0.94 <= np.mean(found) <= 0.96


def test_a_rate_covers_95_percent() -> None:
    found = coverage.shares(wilson, 30, np.linspace(0.1, 0.9, 41).tolist())
    assert 0.93 <= float(np.mean(found)) <= 0.97


def test_katz_misses_it_where_the_reference_is_large() -> None:
    assert min(coverage.ratios(katz, 30, 1000, (0.1, 0.9))) < 0.93


@pytest.mark.parametrize("case", ["calibrated", "shifted"])
def test_calibration_error_covers_95_percent(case: str) -> None:
    found = coverage.calibrations(case, n=100, rounds=400, seed=1)
    assert 0.92 <= found <= 0.985  # 400 rounds: ± 0.011


@pytest.mark.parametrize("case", sorted(coverage.ALIKE))
def test_the_spread_over_groups_covers_95_percent_also_where_they_are_alike(case: str) -> None:
    for found in coverage.spread(case, n=50, rounds=200, seed=6):
        assert found >= 0.89  # three standard errors below 93 %


@pytest.mark.parametrize("spread", [0.0, 0.5])
@pytest.mark.parametrize("shape", coverage.HOLDS)
def test_sizes_and_roots_of_errors_cover_95_percent(shape: str, spread: float) -> None:
    for measure in ("absolute", "root"):
        found = coverage.errors(measure, shape, n=40, rounds=1000, seed=5, spread=spread, large=1_000_000)
        assert 0.915 <= found.holds <= 0.986, measure  # 93 to 97 % with three standard errors
        assert found.withheld <= 0.02


@pytest.mark.parametrize("shape", ["exponential", "gamma (4)", "lognormal (½)", "Student's t (5)"])
def test_of_a_hundred_samples_with_one_sided_or_heavy_errors_at_most_seven_have_an_interval_that_misses(
    shape: str,
) -> None:
    for measure in ("absolute", "root"):
        found = coverage.errors(measure, shape, n=30, rounds=1000, seed=7, large=1_000_000)
        assert found.misses <= 0.094, measure  # three standard errors above 7 %


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(*(st.integers(0, 40) for _ in range(4))), min_size=2, max_size=6), st.floats(0.1, 1))
def test_the_spread_lies_in_its_interval(rows: list[tuple[int, int, int, int]], light: float) -> None:
    count = np.array(rows)
    weight, square = count * light, count * light**2
    least = dict.fromkeys(ALL_RATES, 1)
    for one in spreads(count, weight, square, least=least, draws=100, seed=0):
        assert one.difference_interval is not None
        assert 0 <= one.difference_interval[0] <= one.difference + 1e-12
        assert one.difference - 1e-12 <= one.difference_interval[1] <= 1
        if one.ratio is not None:
            assert one.ratio_interval is not None
            assert 0 <= one.ratio_interval[0] <= one.ratio + 1e-12
            assert one.ratio - 1e-12 <= one.ratio_interval[1] <= 1


@pytest.mark.parametrize("measure", ["mean", "absolute", "root"])
def test_errors_of_a_regression_cover_95_percent(measure: str) -> None:
    found = coverage.errors(measure, "normal", n=30, rounds=2000, seed=2, large=1_000_000)
    assert 0.925 <= found.holds <= 0.975


def test_weighted_rates_cover_95_percent() -> None:
    assert 0.93 <= coverage.weighted(n=60, rounds=3000, seed=3) <= 0.97


def test_equalised_odds_covers_95_percent() -> None:
    assert 0.93 <= coverage.larger(n=30, rounds=3000, seed=4) <= 0.975


@settings(max_examples=200, deadline=None)
@given(a=st.integers(0, 40), more=st.integers(0, 40), b=st.integers(0, 40), rest=st.integers(0, 40))
def test_intervals_hold_their_estimate_and_turn_with_the_groups(a: int, more: int, b: int, rest: int) -> None:
    n, m = a + more or 1, b + rest or 1
    a, b = min(a, n), min(b, m)
    made = miettinen_nurminen(a, n, b, m)
    if b == 0:
        assert made is None
        return
    assert made is not None
    low, high = made
    assert 0 <= low <= (a / n) / (b / m) <= high
    turned = miettinen_nurminen(b, m, a, n)
    if turned is not None and low > 0:
        assert turned[0] == pytest.approx(1 / high, rel=1e-6)
        assert turned[1] == pytest.approx(1 / low, rel=1e-6)


def test_miettinen_and_nurminen_is_the_published_example() -> None:
    """Where the interval ends, the score statistic is 1.96 with the rates restricted to that ratio (found by brute force)."""
    hits, n, others, m = 10, 20, 5, 25
    ends = miettinen_nurminen(hits, n, others, m)
    assert ends is not None
    for ratio in ends:
        grid = np.linspace(1e-6, min(1, 1 / ratio) - 1e-6, 400_001)
        likely = (
            hits * np.log(ratio * grid) + (n - hits) * np.log1p(-ratio * grid)
            + others * np.log(grid) + (m - others) * np.log1p(-grid)
        )  # fmt: skip
        second = grid[np.argmax(likely)]
        first = ratio * second
        spread = (first * (1 - first) / n + ratio**2 * second * (1 - second) / m) * (n + m) / (n + m - 1)
        assert abs(hits / n - ratio * others / m) / np.sqrt(spread) == pytest.approx(1.959964, abs=1e-4)


def test_the_mover_of_wilsons_intervals_is_newcombes() -> None:
    assert mover(0.8, wilson(56, 70), 0.6, wilson(48, 80)) == pytest.approx(newcombe(56, 70, 48, 80))
    assert of_the_larger((0.1, 0.4), (0.2, 0.3)) == (0.2, 0.4)


def test_the_bootstrap_is_the_same_bits_and_keeps_what_rows_say() -> None:
    count = np.array([[40, 10, 5, 45], [30, 5, 25, 40]])
    first, again = (drawn(count, count.astype(float), count.astype(float), draws=2000, seed=7) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert (first.sum(axis=(1, 2)) == count.sum()).all()
    assert np.abs(first.mean(axis=0) - count).max() < 0.5
    expected = count * (1 - count / count.sum())
    assert np.abs(first.var(axis=0) / expected - 1).max() < 0.15
    least = dict.fromkeys(["selection_rate", "true_positive_rate", "false_positive_rate", "false_negative_rate", "precision",
                           "accuracy"], 1)  # fmt: skip
    for one in spreads(count, count.astype(float), count.astype(float), least=least, draws=500, seed=0):
        assert one.difference_interval is not None
        assert one.difference_interval[0] <= one.difference_interval[1]


def test_weights_of_a_cell_are_drawn_by_their_mean_and_variance() -> None:
    random = np.random.default_rng(5)
    rows = random.exponential(size=400)
    count, weight, square = (np.array([[float(v), 0, 0, 0]]) for v in (400, rows.sum(), (rows**2).sum()))
    made = drawn(count.astype("int64"), weight, square, draws=4000, seed=1)[:, 0, 0]
    by_hand = rows[random.integers(0, 400, (4000, 400))].sum(axis=1)
    assert made.mean() == pytest.approx(by_hand.mean(), rel=0.01)
    assert made.std() == pytest.approx(by_hand.std(), rel=0.06)


def test_errors_that_are_all_alike_have_no_width_and_none_at_all_no_size() -> None:
    alike = Errors(10, 10.0, 10.0, 20.0, 20.0, 40.0, 160.0)
    assert alike.mean() == (2.0, (2.0, 2.0))
    assert alike.absolute()[0] == 2.0
    none = Errors(10, 10.0, 10.0, 0.0, 0.0, 0.0, 0.0)
    assert (none.mean()[0], none.absolute(), none.root()) == (0.0, (0.0, (0.0, 0.0)), (0.0, (0.0, 0.0)))


def test_a_group_without_rows_has_no_calibration() -> None:
    nothing = np.zeros(10)
    assert calibration(nothing, nothing, nothing, nothing, draws=100, seed=0, about="x") is None
