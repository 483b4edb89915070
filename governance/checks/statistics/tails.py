"""How heavy the tails of errors are, and the interval of their root mean square that follows from it."""

from __future__ import annotations

import math
from functools import cache
from typing import Final

from governance.checks.statistics import estimates
from governance.checks.statistics.intervals import Interval

_NORMAL: Final = math.sqrt(2 / math.pi)
_HALVINGS: Final = 60
_FLATTEST, _STEEPEST = math.log(0.3), math.log(30.0)


def geary(ratio: float) -> float:
    """The kurtosis E e⁴ / (E e²)² of the generalised normal distribution whose E|e| / √(E e²) is ``ratio``.

    R. C. Geary (Biometrika 27, 1935) measures tails by that ratio: of few rows it says more than the fourth moment, which is
    too small in most samples (D. G. Bonett and E. Seier, Comput. Stat. Data Anal. 40, 2002). Shapes from 0.3 to 30 are looked at.
    """
    low, high = _FLATTEST, _STEEPEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _ratio(math.exp(middle)) < ratio:
            low = middle
        else:
            high = middle
    shape = math.exp((low + high) / 2)
    return math.exp(math.lgamma(5 / shape) + math.lgamma(1 / shape) - 2 * math.lgamma(3 / shape))


def _ratio(shape: float) -> float:
    return math.exp(math.lgamma(2 / shape) - 0.5 * (math.lgamma(1 / shape) + math.lgamma(3 / shape)))


def kurtosis(sample: float, ratio: float) -> float:
    """Of errors with that sample kurtosis and Geary's ratio: the larger of both; of tails lighter than normal their mean."""
    shaped = geary(ratio)
    return max(sample, shaped) if ratio < _NORMAL else (sample + shaped) / 2


@cache
def _student(degrees: float) -> float:
    return estimates.student(degrees)


def root_interval(root: float, tails: float, rows: float) -> Interval:
    """Of a root mean square of so many equal rows, more than one, with kurtosis ``tails``.

    Student's on the log scale, with the constants of D. G. Bonett (Comput. Stat. Data Anal. 50, 2006) for few rows: n - 3,
    and the centre moved up by √(n / (n - t)), since a sample with few of the large errors is the rule.
    """
    if root <= 0:
        return 0.0, 0.0
    t = _student(rows - 1)
    half = t * math.sqrt(max(0.0, tails - 1) / max(1.0, rows - 3)) / 2
    moved = root * (math.sqrt(rows / (rows - t)) if rows > 2 * t else 1.0)
    return min(root, moved * math.exp(-min(half, 700.0))), moved * math.exp(min(half, 700.0))
