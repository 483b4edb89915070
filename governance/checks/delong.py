"""AUC and its variance from a table of distinct scores, with ties, in O(k log k).

E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44 (1988) 837-845; X. Sun, W. Xu, IEEE SPL 21 (2014) 1389-1393.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from governance.checks.intervals import Interval, Z, wilson


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


def auc(score: np.ndarray, y: np.ndarray, count: np.ndarray) -> Auc:
    """AUC of weighted rows. Both classes must be present."""
    placements = _placements(score, y, count)
    weights = (count * y, count * (1 - y))
    m, n = (int(w.sum()) for w in weights)
    value = float((placements * weights[0]).sum() / m)
    return Auc(value, _variance(placements, placements, weights), m, n)


def difference(
    first: np.ndarray, second: np.ndarray, y: np.ndarray, count: np.ndarray
) -> tuple[Auc, Auc, float | None]:
    """Both AUCs on the same rows and the variance of their difference."""
    places = [_placements(score, y, count) for score in (first, second)]
    weights = (count * y, count * (1 - y))
    m, n = (int(w.sum()) for w in weights)
    made = [Auc(float((p * weights[0]).sum() / m), _variance(p, p, weights), m, n) for p in places]
    gap = places[0] - places[1]
    return made[0], made[1], _variance(gap, gap, weights)


def _placements(score: np.ndarray, y: np.ndarray, count: np.ndarray) -> np.ndarray:
    """For a positive: the share of negatives below it; for a negative: of positives above it; ties count half."""
    values, at = np.unique(score, return_inverse=True)
    positive = np.bincount(at, weights=count * y, minlength=len(values))
    negative = np.bincount(at, weights=count * (1 - y), minlength=len(values))
    below = np.cumsum(negative) - negative
    above = positive.sum() - np.cumsum(positive)
    of_positive = (below + negative / 2) / negative.sum()
    of_negative = (above + positive / 2) / positive.sum()
    placed: np.ndarray = np.where(y == 1, of_positive[at], of_negative[at])
    return placed


def _variance(a: np.ndarray, b: np.ndarray, weights: tuple[np.ndarray, np.ndarray]) -> float | None:
    total = 0.0
    for weight in weights:
        size = float(weight.sum())
        if size < 2:
            return None
        mean_a, mean_b = float((a * weight).sum() / size), float((b * weight).sum() / size)
        total += float((weight * (a - mean_a) * (b - mean_b)).sum()) / (size - 1) / size
    return max(0.0, total)


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
