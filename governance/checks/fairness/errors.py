"""Errors of a regression over one group, from exact sums: mean, mean absolute and root mean squared error, with intervals.

Mean: Student's t. Mean absolute and root mean squared error: as :mod:`governance.checks.statistics.tails` says, which gives
no interval where errors are too one-sided. Coverage: benchmarks/checks/coverage_fairness.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from scipy import stats

from governance.checks.statistics import tails
from governance.checks.statistics.intervals import Interval


@cache
def _t(freedom: float) -> float:
    return float(stats.t.ppf(0.975, freedom))


@dataclass(frozen=True, slots=True)
class Errors:
    """Σw, Σw², and Σwe, Σw|e|, Σwe², Σwe⁴ of errors in units of 2^exponent; Σwy of the truth likewise; their L-skewness."""

    n: int
    weight: float
    square: float
    error: float
    size: float
    squared: float
    fourth: float
    exponent: int = 0
    truth: float = 0.0
    skew: float = 0.0

    @property
    def effective(self) -> float:
        """How many equal rows these are worth (Kish 1965); without weights their number."""
        return self.weight**2 / self.square if self.square else 0.0

    @property
    def mean_truth(self) -> float:
        """What happened, on average: shown beside the errors."""
        return self._scaled(self.truth / self.weight)

    def enough(self, least: int) -> bool:
        """Whether there are that many rows, and their weights leave at least the worth of three."""
        return self.n >= least and self.effective >= 3

    def mean(self) -> tuple[float, Interval]:
        """Prediction minus truth, on average. For three rows and more, as all of these."""
        mean = self.error / self.weight
        half = self._half(mean)
        return self._scaled(mean), (self._scaled(mean - half), self._scaled(mean + half))

    def mean_size(self) -> tuple[float, Interval]:
        """How far the mean error lies from 0."""
        mean, (low, high) = self.mean()
        inside = low <= 0 <= high
        return abs(mean), (0.0 if inside else min(abs(low), abs(high)), max(abs(low), abs(high)))

    def absolute(self) -> tuple[float, Interval | None]:
        """Mean absolute error."""
        mean = self.size / self.weight
        return self._scaled(mean), self._both(tails.size_interval(mean, self._error(mean), self._tails()))

    def root(self) -> tuple[float, Interval | None]:
        """Root mean squared error."""
        root = math.sqrt(self.squared / self.weight)
        return self._scaled(root), self._both(tails.root_interval(root, self._tails()))

    def _tails(self) -> tails.Tails:
        mean = self.squared / self.weight
        if mean <= 0:
            return tails.Tails(1.0, 1.0, 0.0, 0.0, self.effective)
        root = math.sqrt(mean)
        ratio, off = self.size / self.weight / root, self.error / self.weight / root
        return tails.Tails(self.fourth / self.weight / mean / mean, ratio, off, self.skew, self.effective)

    def _error(self, mean: float) -> float:
        """Standard error of a mean."""
        rows = self.effective
        return math.sqrt(max(0.0, self.squared / self.weight - mean * mean) / (rows - 1))

    def _half(self, mean: float) -> float:
        return _t(self.effective - 1) * self._error(mean)

    def _both(self, ends: Interval | None) -> Interval | None:
        return None if ends is None else (self._scaled(ends[0]), self._scaled(ends[1]))

    def _scaled(self, value: float) -> float:
        return math.ldexp(value, self.exponent)
