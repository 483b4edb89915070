"""Errors of a regression over one group, from exact sums: mean, mean absolute and root mean squared error, with intervals.

Mean: Student's t. Mean absolute error: Student's t on its logarithm (it is skewed). Root mean squared error: as
:mod:`governance.checks.statistics.tails` says. Coverage: benchmarks/checks/coverage_fairness.py.
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
    """Σw, Σw², and Σwe, Σw|e|, Σwe², Σwe⁴ of errors in units of 2^exponent; Σwy of the truth likewise."""

    n: int
    weight: float
    square: float
    error: float
    size: float
    squared: float
    fourth: float
    exponent: int = 0
    truth: float = 0.0

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

    def absolute(self) -> tuple[float, Interval]:
        """Mean absolute error."""
        mean = self.size / self.weight
        if mean <= 0:
            return 0.0, (0.0, 0.0)
        half = self._half(mean) / mean
        return self._scaled(mean), (self._scaled(mean * math.exp(-half)), self._scaled(mean * math.exp(half)))

    def root(self) -> tuple[float, Interval]:
        """Root mean squared error."""
        mean = self.squared / self.weight
        if mean <= 0:
            return 0.0, (0.0, 0.0)
        root = math.sqrt(mean)
        heavy = tails.kurtosis(self.fourth / self.weight / mean / mean, self.size / self.weight / root)
        low, high = tails.root_interval(root, heavy, self.effective)
        return self._scaled(root), (self._scaled(low), self._scaled(high))

    def _half(self, mean: float) -> float:
        rows = self.effective
        variance = max(0.0, self.squared / self.weight - mean * mean) * rows / (rows - 1)
        return _t(rows - 1) * math.sqrt(variance / rows)

    def _scaled(self, value: float) -> float:
        return math.ldexp(value, self.exponent)
