"""Standard errors and intervals of estimates: SciPy's where it has them, their definition where it has not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from governance.checks.statistics import estimates
from governance.checks.statistics.intervals import newcombe, wilson

VALUES = np.array([3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.3])
ONES = np.ones(len(VALUES))
T = stats.t.ppf(0.975, 6)


def test_the_interval_of_a_mean_is_students() -> None:
    mean, error, n = estimates.mean_of(VALUES, ONES, ONES)
    assert (mean, error, n) == pytest.approx((VALUES.mean(), stats.sem(VALUES), 7))
    expected = stats.t.interval(0.95, n - 1, VALUES.mean(), stats.sem(VALUES))
    assert estimates.around(mean, error, n - 1) == pytest.approx(expected)


def test_rows_that_are_counted_are_rows_that_are_repeated() -> None:
    count = np.array([1, 2, 3, 1, 1, 4, 2])
    repeated = np.repeat(VALUES, count)
    assert estimates.mean_of(VALUES, count, ONES) == pytest.approx(
        (repeated.mean(), stats.sem(repeated), len(repeated))
    )
    influence = (VALUES - repeated.mean()) / len(repeated)
    assert estimates.by_influence(influence, count) == pytest.approx(stats.sem(repeated))


def test_weights_are_given_and_their_unit_does_not_matter() -> None:
    """The linearised error: √(n / (n - 1) Σ (w (x - mean))²) / Σ w."""
    weight = np.array([0.5, 2.0, 1.0, 1.0, 0.25, 3.0, 1.0])
    mean = float(np.average(VALUES, weights=weight))
    error = math.sqrt(7 / 6 * float(((weight * (VALUES - mean)) ** 2).sum())) / weight.sum()
    for unit in (1.0, 1000.0):
        assert estimates.mean_of(VALUES, ONES, unit * weight) == pytest.approx((mean, error, 7))


def test_one_row_has_no_error() -> None:
    assert estimates.mean_of(np.array([2.0]), np.ones(1), np.ones(1)) == (2.0, 0.0, 1)
    assert estimates.by_influence(np.array([2.0]), np.ones(1)) == 0.0


def test_each_scale_has_students_interval_on_itself() -> None:
    """The standard error goes over by the slope of the scale at the value."""
    low, high = estimates.positive(2.0, 0.5, 6)
    assert (math.log(low), math.log(high)) == pytest.approx((math.log(2) - T * 0.25, math.log(2) + T * 0.25))
    of_share = estimates.share(0.8, 0.05, 6)
    assert of_share is not None
    half = T * 0.05 / (0.8 * 0.2)
    assert [math.log(end / (1 - end)) for end in of_share] == pytest.approx([math.log(4) - half, math.log(4) + half])
    of_correlation = estimates.correlation(0.5, 0.1, 6)
    assert of_correlation is not None
    half = T * 0.1 / 0.75
    assert [math.atanh(end) for end in of_correlation] == pytest.approx(
        [math.atanh(0.5) - half, math.atanh(0.5) + half]
    )
    assert estimates.share(1.0, 0.0, 6) is None
    assert estimates.correlation(-1.0, 0.0, 6) is None


def test_few_degrees_of_freedom_are_at_least_one() -> None:
    assert estimates.student(6) == pytest.approx(T)
    assert estimates.student(0.1) == estimates.student(1) == pytest.approx(stats.t.ppf(0.975, 1))


def test_rates_are_wilsons_and_their_difference_newcombes() -> None:
    for hits in (0, 3, 10):
        assert estimates.rate_interval(hits / 10, 10) == pytest.approx(wilson(hits, 10))
    ends = estimates.difference(0.3, wilson(3, 10), 0.6, wilson(12, 20))
    assert ends == pytest.approx(newcombe(3, 10, 12, 20))


def test_the_interval_of_a_ratio_has_the_ratio_in_it_and_turns_with_it() -> None:
    first, second = wilson(30, 100), wilson(60, 100)
    low, high = estimates.ratio(0.3, first, 0.6, second)
    of_other, to_other = estimates.ratio(0.6, second, 0.3, first)
    assert high is not None
    assert to_other is not None
    assert low < 0.5 < high
    assert (low, high) == pytest.approx((1 / to_other, 1 / of_other), rel=1e-9)
    assert estimates.ratio(0.3, first, 0.1, (0.0, 0.4))[1] is None
