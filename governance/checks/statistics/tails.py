"""How heavy and how lopsided the tails of errors are, and the intervals of their mean square and mean size that follow.

No interval holds its level for every population: of a rare large error a sample may have none (R. R. Bahadur and L. J.
Savage, Ann. Math. Stat. 27, 1956). What can be seen in a sample widens the interval; where that is not enough, there is none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from governance.checks.statistics import estimates
from governance.checks.statistics.intervals import Interval

LOPSIDED: Final = 0.4
"""L-skewness halfway between exponential errors (1/3), of which intervals hold, and lognormal ones (0.46), of which none do."""
_RESTS_ON: Final = 500
_RESTS_ON_SIZES: Final = 20
_MOST_ROWS: Final = 1_000_000
_NORMAL: Final = math.sqrt(2 / math.pi)
_OF_RATIO: Final = math.sqrt(1 - 3 / math.pi)
"""Standard error of Geary's ratio of n normal errors, times √n."""
_HALVINGS: Final = 60
_FLATTEST, _STEEPEST = math.log(0.3), math.log(30.0)


def skewness(values: np.ndarray, weight: np.ndarray | None = None) -> float:
    """L-skewness τ₃ = l₃ / l₂, from -1 to 1 (J. R. M. Hosking, J. R. Stat. Soc. B 52, 1990); 0 where values do not vary.

    0 of symmetric errors, 1/3 of exponential ones. Of few rows it says much more than the third moment does. Integrals of
    the weighted quantile function, made unbiased by n / (n - 2), n the rows that the weighted ones are worth. ``weight`` are
    whole numbers. Of more than a million rows every k-th is looked at.
    """
    step = max(1, -(-len(values) // _MOST_ROWS))
    values = values[::step]
    weight = np.ones(len(values), dtype="int64") if weight is None else weight[::step].astype("int64")
    order = np.lexsort((weight, values))
    values, weight = values[order], weight[order]
    total = float(weight.sum())
    if len(values) < 3 or total <= 0:
        return 0.0
    worth = total**2 / float((weight.astype("float64") ** 2).sum())
    largest = float(np.abs(values).max())
    if worth <= 2 or largest == 0:
        return 0.0
    u = np.concatenate([[0.0], np.cumsum(weight) / total])
    scaled = values / largest
    spread = float((scaled * np.diff(u * (u - 1))).sum())
    third = float((scaled * np.diff(u * (u - 1) * (2 * u - 1))).sum())
    if spread <= 1e-12:
        return 0.0
    return max(-1.0, min(1.0, third / spread * worth / (worth - 2)))


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


@dataclass(frozen=True, slots=True)
class Tails:
    """What a sample says of its errors' tails.

    ``sample``: its kurtosis around zero. ``ratio``: Geary's, mean size by root mean square. ``mean``: by root mean square.
    ``skew``: L-skewness. ``rows``: how many equal rows they are worth.
    """

    sample: float
    ratio: float
    mean: float
    skew: float
    rows: float

    @property
    def shown(self) -> float:
        """The kurtosis that the sample shows: what the lower end of an interval goes by."""
        return kurtosis(self.sample, self.ratio)

    @property
    def skewed(self) -> float:
        """The same, or what lopsided errors have: around their own mean 3 + 100 τ₃², as lognormal errors have.

        Those whose logarithm has the standard deviation ½; gamma distributed errors of that τ₃ have less (3 + 54 τ₃²). Around
        zero a bias makes it less. Where a tail has not shown itself, the other side of the sample still says that there is one.
        """
        own = max(0.0, 1 - self.mean**2)
        third = math.sqrt(100 / 1.5) * self.skew  # third moment; 1.5 times its square is the excess
        fourth = min(3.0, self.shown) + 1.5 * third**2
        moved = self.mean**4 + 6 * self.mean**2 * own + 4 * self.mean * own**1.5 * third + own**2 * fourth
        return max(self.shown, float(moved))

    @property
    def hidden(self) -> float:
        """The same again, or what tails have that Geary's ratio hides by 1.4 of its standard errors.

        What the upper end of the interval of a root mean square goes by: where large errors are missing, both the root and
        the kurtosis are too small.
        """
        return max(self.skewed, geary(self.ratio_less(1.4)))

    def ratio_less(self, errors: float) -> float:
        """Geary's ratio less so many of its standard errors, as normal errors have them."""
        return max(0.03, self.ratio - errors * _OF_RATIO / math.sqrt(max(self.rows, 1.0)))

    @property
    def lopsided(self) -> bool:
        """Whether the errors are more one-sided than exponential ones, as far as a bias does not outweigh that."""
        return abs(self.skew) * max(0.0, 1 - self.mean**2) > LOPSIDED

    @property
    def squares_fail(self) -> bool:
        """Whether intervals of mean squares are withheld: lopsided, and the sum of squares rests on fewer than 500 rows.

        On n / kurtosis of them: Kish's effective number with the squares for weights.
        """
        return self.lopsided and self.rows < _RESTS_ON * self.hidden

    @property
    def sizes_fail(self) -> bool:
        """The same of mean sizes, with 20 rows."""
        return self.lopsided and self.rows < _RESTS_ON_SIZES * self.hidden


@cache
def _student(degrees: float) -> float:
    return estimates.student(degrees)


def root_interval(root: float, tails: Tails) -> Interval | None:
    """Of a root mean square of more than one row; None where it would be too short.

    Student's on the log scale, with the constants of D. G. Bonett (Comput. Stat. Data Anal. 50, 2006) for few rows: n - 3,
    and the centre moved up by √(n / (n - t)), since a sample with few of the large errors is the rule.
    """
    if root <= 0:
        return 0.0, 0.0
    if tails.squares_fail:
        return None
    rows = tails.rows
    t = _student(rows - 1)
    below, above = (t * math.sqrt(max(0.0, of - 1) / max(1.0, rows - 3)) / 2 for of in (tails.shown, tails.hidden))
    moved = root * (math.sqrt(rows / (rows - t)) if rows > 2 * t else 1.0)
    return min(root, moved * math.exp(-min(below, 700.0))), moved * math.exp(min(above, 700.0))


def size_interval(mean: float, error: float, tails: Tails) -> Interval | None:
    """Of a mean size with that standard error; None where it would be too short.

    Student's on the log scale. For the upper end the variance is that which sizes have if Geary's ratio is too large by its
    standard error: (E|e|)² · (1 / ratio² - 1).
    """
    if mean <= 0:
        return 0.0, 0.0
    if tails.sizes_fail:
        return None
    less = min(tails.ratio, tails.ratio_less(1.0))
    wider = math.sqrt(max(1.0, (1 / less**2 - 1) / (1 / tails.ratio**2 - 1))) if tails.ratio < 1 else 1.0
    degrees = tails.rows - 1
    low, _ = estimates.positive(mean, error, degrees)
    _, high = estimates.positive(mean, error * wider, degrees)
    return low, high
