"""Whether probabilities mean what they say: calibration error, recalibration slope and intercept, reliability table.

D. R. Cox, Biometrika 45 (1958) 562-565; B. Van Calster et al., J. Clin. Epidemiol. 74 (2016) 167-176.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from governance.checks import pictures
from governance.checks.results import Cell, Picture, Table
from governance.checks.statistics import estimates
from governance.checks.statistics.intervals import Interval

EPSILON = 2.0**-52
_STEPS = 100
_HALVINGS = 24
_FURTHEST = 2.0**10


@dataclass(frozen=True, slots=True)
class Rows:
    """Distinct rows: score, truth, how many, and the weight of one."""

    score: np.ndarray
    y: np.ndarray
    count: np.ndarray
    weight: np.ndarray

    @property
    def mass(self) -> np.ndarray:
        """Weight of all rows of the kind."""
        made: np.ndarray = self.count * self.weight
        return made


@dataclass(frozen=True, slots=True)
class Error:
    """Expected calibration error; ``by_chance`` is what a perfectly calibrated model shows on average in such a sample."""

    value: float
    interval: Interval
    by_chance: float


def binned(score: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each score, of equal width."""
    made: np.ndarray = np.minimum((score * bins).astype("int64"), bins - 1)
    return made


def error(rows: Rows, bins: int, *, draws: int, seed: int) -> Error:
    """Σ over bins |Σ w (y - score)| / Σ w, with an interval by inverting the test of its own noise.

    The plug-in estimate is too large, and the percentile bootstrap more so (it covers nothing where a model is
    calibrated). So: gaps of k times the observed ones, with the sampling noise of each bin's gap added by seeded draws,
    are tried for every k; the interval holds those under which the observed value lies between the 2.5 and 97.5 % points.
    """
    at, mass, total = binned(rows.score, bins), rows.mass, float(rows.mass.sum())
    off = rows.y - rows.score
    gaps = np.bincount(at, weights=mass * off, minlength=bins) / total
    value = float(np.abs(gaps).sum())
    n = float(rows.count.sum())
    squares = np.bincount(at, weights=rows.count * (rows.weight * off) ** 2, minlength=bins) / total**2
    random = np.random.Generator(np.random.PCG64(seed))
    noise = random.standard_normal((draws, bins)) * np.sqrt(squares * n / max(n - 1, 1))

    def point(k: float, level: float) -> float:
        return float(np.quantile(np.abs(k * gaps + noise).sum(axis=1), level))

    def scaled(level: float) -> float:
        if point(0.0, level) >= value:
            return 0.0
        low, high = 0.0, 1.0
        while point(high, level) < value and high < _FURTHEST:
            low, high = high, 2 * high
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if point(middle, level) >= value else (middle, high)
        return high * value

    chance = float(np.abs(noise).sum(axis=1).mean())
    return Error(value, (min(scaled(0.975), value), min(1.0, max(scaled(0.025), value))), chance)


@dataclass(frozen=True, slots=True)
class Recalibration:
    """Slope (intercept free) and intercept (slope 1, "in the large") with intervals, or why there are none."""

    slope: float | None
    of_slope: Interval | None
    intercept: float | None
    of_intercept: Interval | None
    note: str = ""


def recalibration(rows: Rows) -> Recalibration:
    """Logistic regression of the truth on the logit of the score.

    Standard errors are robust (H. White, Econometrica 50, 1982): to weights, and to a slope of 1 that is not there.
    """
    clipped = np.clip(rows.score, EPSILON, 1 - EPSILON)
    logit = np.log(clipped) - np.log1p(-clipped)
    ones = np.ones_like(logit)
    large = _fitted(ones[:, None], logit, rows)
    at, of_intercept = (None, None) if large is None else large
    if np.ptp(logit) == 0:
        return Recalibration(None, None, at, of_intercept, "Every row has the same score.")
    fitted = _fitted(np.column_stack([logit, ones]), np.zeros_like(logit), rows)
    if fitted is None:
        note = "The scores separate the classes without overlap, so that no slope fits."
        return Recalibration(None, None, at, of_intercept, note)
    return Recalibration(*fitted, at, of_intercept)


def _fitted(design: np.ndarray, offset: np.ndarray, rows: Rows) -> tuple[float, Interval] | None:
    """The first coefficient with its interval, by Newton's method with halved steps; None where none is finite."""
    mass, y = rows.mass, rows.y
    total = float(mass.sum())
    spread = np.maximum(np.abs(design).max(axis=0), 1e-12)
    design = design / spread
    beta = np.zeros(design.shape[1])

    def loss(of: np.ndarray) -> float:
        z = _line(design, of) + offset
        return float((mass * (np.logaddexp(0, z) - y * z)).sum()) / total

    now = loss(beta)
    for _ in range(_STEPS):
        p = _expit(_line(design, beta) + offset)
        slope = (design * (mass * (y - p))[:, None]).sum(axis=0) / total
        bend = _crossed(design, mass * p * (1 - p)) / total
        try:
            step = np.linalg.solve(bend, slope)
        except np.linalg.LinAlgError:
            return None
        size = 1.0
        while (then := loss(beta + size * step)) > now + 1e-15 and size > 1e-6:
            size /= 2
        beta, before, now = beta + size * step, now, then
        if np.abs(_line(design, beta)).max() > 700 or now < 1e-9:
            return None
        if float(np.abs(size * step).max()) < 1e-12 or (before == now and float(np.abs(slope).max()) < 1e-12):
            break
    p = _expit(_line(design, beta) + offset)
    bend = _crossed(design, mass * p * (1 - p))
    n = float(rows.count.sum())
    spent = _crossed(design, rows.count * (rows.weight * (y - p)) ** 2)
    try:
        inverse = np.linalg.inv(bend)
    except np.linalg.LinAlgError:
        return None
    covariance = inverse @ spent @ inverse * n / max(n - design.shape[1], 1)
    value, error_of = float(beta[0] / spread[0]), math.sqrt(max(0.0, float(covariance[0, 0]))) / float(spread[0])
    if not math.isfinite(value) or not math.isfinite(error_of) or error_of > 1e6:
        return None
    return value, estimates.around(value, error_of, 1e9)


def _line(design: np.ndarray, beta: np.ndarray) -> np.ndarray:
    made: np.ndarray = (design * beta).sum(axis=1)
    return made


def _crossed(design: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Σ mass · xᵢ · xⱼ, added in one order on every machine, as a matrix product is not."""
    size = design.shape[1]
    return np.array([[float((mass * design[:, i] * design[:, j]).sum()) for j in range(size)] for i in range(size)])


def _expit(z: np.ndarray) -> np.ndarray:
    made: np.ndarray = np.exp(-np.logaddexp(0, -z))
    return made


_LABELS = (
    ("from", "From"), ("to", "To"), ("n", "Rows"), ("score", "Mean score"), ("rate", "Observed rate"), ("low", "Low"),
    ("high", "High"),
)  # fmt: skip


def table(rows: Rows, bins: int) -> Table:
    """Mean score against observed rate in each bin that has rows."""
    at, mass = binned(rows.score, bins), rows.mass
    made: list[tuple[Cell, ...]] = []
    for number in range(bins):
        here = at == number
        n = int(rows.count[here].sum())
        if not n:
            continue
        total = float(mass[here].sum())
        rate = float((mass * rows.y)[here].sum()) / total
        worth = total**2 / float((rows.count * rows.weight**2)[here].sum())
        mean = float((mass * rows.score)[here].sum()) / total
        made.append((number / bins, (number + 1) / bins, n, mean, rate, *estimates.rate_interval(rate, worth)))
    return Table("calibration", "Calibration", _LABELS, tuple(made))


def picture(shown: Table, value: float) -> Picture:
    """The reliability diagram."""
    rows = [{"x": row[3], "y": row[4], "low": row[5], "high": row[6]} for row in shown.rows]
    alt = (
        f"Observed rate against mean score in {len(rows)} bins, with Wilson's intervals; on the dashed line scores mean what "
        f"they say. The calibration error is {value:.3f}."
    )
    return pictures.curve("calibration", "Calibration", alt, rows, x="Mean score", y="Observed rate", diagonal=True)
