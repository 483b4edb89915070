"""AUC and its variance from a table of distinct scores, with ties, in O(k log k).

E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44 (1988) 837-845; X. Sun, W. Xu, IEEE SPL 21 (2014) 1389-1393.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from governance.checks.statistics.intervals import Interval, Z, wilson


@dataclass(frozen=True, slots=True)
class Auc:
    """AUC with its variance; ``variance`` None when a class has fewer than two rows."""

    value: float
    variance: float | None
    positives: int
    negatives: int

    def interval(self, z: float = Z) -> Interval | None:
        """On the logit scale, so that it stays within 0 and 1.

        With perfect separation the variance is 0; the Wilson interval of the smaller class is given instead.
        """
        if self.variance is None:
            return None
        if self.value in (0.0, 1.0):
            least = min(self.positives, self.negatives)
            return wilson(least if self.value else 0, least, z)
        logit = math.log(self.value / (1 - self.value))
        half = z * math.sqrt(self.variance) / (self.value * (1 - self.value))
        return _expit(logit - half), _expit(logit + half)


def auc(score: np.ndarray, y: np.ndarray, count: np.ndarray, weight: np.ndarray | None = None) -> Auc:
    """AUC of rows that occur ``count`` times, each of ``weight``. Both classes must be present."""
    of = _Classes(y, count, weight)
    placements = _placements(score, y, of.mass)
    return Auc(of.mean(placements), of.variance(placements), of.positives, of.negatives)


def difference(
    first: np.ndarray, second: np.ndarray, y: np.ndarray, count: np.ndarray, weight: np.ndarray | None = None
) -> tuple[Auc, Auc, float | None]:
    """Both AUCs on the same rows and the variance of their difference."""
    of = _Classes(y, count, weight)
    places = [_placements(score, y, of.mass) for score in (first, second)]
    made = [Auc(of.mean(one), of.variance(one), of.positives, of.negatives) for one in places]
    return made[0], made[1], of.variance(places[0] - places[1])


def _placements(score: np.ndarray, y: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """For a positive: the share of negatives below it; for a negative: of positives above it; ties count half."""
    values, at = np.unique(score, return_inverse=True)
    positive = np.bincount(at, weights=mass * y, minlength=len(values))
    negative = np.bincount(at, weights=mass * (1 - y), minlength=len(values))
    below = np.cumsum(negative) - negative
    above = positive.sum() - np.cumsum(positive)
    of_positive = (below + negative / 2) / negative.sum()
    of_negative = (above + positive / 2) / positive.sum()
    placed: np.ndarray = np.where(y == 1, of_positive[at], of_negative[at])
    return placed


class _Classes:
    """The rows of both classes with their weights."""

    def __init__(self, y: np.ndarray, count: np.ndarray, weight: np.ndarray | None) -> None:
        self.y, self.count = y, count
        self.weight = np.ones(len(y)) if weight is None else weight
        self.mass = count * self.weight
        self.positives, self.negatives = int((count * y).sum()), int((count * (1 - y)).sum())

    def mean(self, placements: np.ndarray) -> float:
        """The AUC: the mean placement of the positives."""
        own = self.mass * self.y
        return float((placements * own).sum() / own.sum())

    def variance(self, placements: np.ndarray) -> float | None:
        """The sum of both classes' variances of a mean; None when a class has fewer than two rows."""
        total = 0.0
        for mine, rows in ((self.y, self.positives), (1 - self.y, self.negatives)):
            if rows < 2:
                return None
            mass = self.mass * mine
            size = float(mass.sum())
            off = placements - float((placements * mass).sum() / size)
            total += float((mass * self.weight * off**2).sum()) / size**2 * rows / (rows - 1)
        return max(0.0, total)


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
