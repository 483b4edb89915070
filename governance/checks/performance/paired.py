"""Two versions on the same rows: decisions, losses and errors of a regression, each as a paired difference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy import stats

from governance.checks.contract import CheckInputs
from governance.checks.performance import errors_of
from governance.checks.rows import columns, weighting
from governance.checks.statistics import estimates, exact
from governance.checks.statistics.intervals import Interval, Z

_BEYOND = 10**100
"""A ratio of errors above that says only that one of them is none."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The figure of this version, the live one's, and their difference with its interval."""

    own: float
    live: float
    value: float
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Discordant:
    """Rows that only this version, or only the live one, decides right; McNemar's p, two-sided."""

    own: int
    live: int

    @property
    def exact_p(self) -> float:
        """The conditional test."""
        few, all_of = min(self.own, self.live), self.own + self.live
        return min(1.0, 2 * float(stats.binom.cdf(few, all_of, 0.5))) if all_of else 1.0

    @property
    def mid_p(self) -> float:
        """M. W. Fagerland, S. Lydersen, P. Laake, BMC Med. Res. Methodol. 13 (2013) 91: half of the observed point."""
        few, all_of = min(self.own, self.live), self.own + self.live
        if not all_of:
            return 1.0
        point = float(stats.binom.pmf(few, all_of, 0.5))
        return 1 - point / 2 if self.own == self.live else 2 * float(stats.binom.cdf(few, all_of, 0.5)) - point


def of_decisions(
    own: np.ndarray, live: np.ndarray, count: np.ndarray, weight: np.ndarray
) -> tuple[Difference, Discordant]:
    """Accuracy: 1 where a version is right. Interval by D. G. Bonett, R. M. Price, J. Educ. Behav. Stat. 37 (2012) 479-488."""
    mass = count * weight
    total, n = float(mass.sum()), weighting.effective(count, weight)
    only_own, only_live = own & ~live, live & ~own
    up, down = (float(mass[one].sum()) / total for one in (only_own, only_live))
    more, less = (up * n + 1) / (n + 2), (down * n + 1) / (n + 2)
    half = Z * math.sqrt(max(0.0, more + less - (more - less) ** 2) / (n + 2))
    middle, rate = more - less, float(mass[own].sum()) / total
    gap = up - down
    ends = max(-1.0, min(middle - half, gap)), min(1.0, max(middle + half, gap))
    rows = Discordant(int(count[only_own].sum()), int(count[only_live].sum()))
    return Difference(rate, rate - gap, gap, ends), rows


def of_losses(own: np.ndarray, live: np.ndarray, count: np.ndarray, weight: np.ndarray) -> Difference:
    """Mean losses: Student's interval of the mean of the rows' differences."""
    first, second = (estimates.mean_of(one, count, weight)[0] for one in (own, live))
    gap, error, n = estimates.mean_of(own - live, count, weight)
    worth = weighting.effective(count, weight)
    return Difference(first, second, gap, estimates.around(gap, error, worth - 1) if n > 1 else None)


def errors_state(shard: CheckInputs) -> pa.Table:
    """Exact sums of both versions' errors, of one shard of a regression."""
    given = shard.prepared or {}
    power = int(given["power"])
    label = np.ldexp(errors_of.doubles(columns.number_label(shard)), -power)
    weight = errors_of.doubles(weighting.units(shard)) / weighting.UNIT
    own, live = (
        label - np.ldexp(errors_of.doubles(errors_of.predicted(shard, which)), -power)
        for which in ("predictions", "champion")
    )
    twice = weight**2
    a, b, s, t = np.abs(own), np.abs(live), own**2, live**2
    quantities = {
        "n": np.ones(len(label)), "w": weight, "ww": twice, "wa": weight * a, "wb": weight * b, "ws": weight * s,
        "wt": weight * t, "wws": twice * s, "wwt": twice * t, "wwab": twice * a * b, "wwss": twice * s**2,
        "wwtt": twice * t**2, "wwst": twice * s * t, "changed": (own != live).astype("float64"),
    }  # fmt: skip
    none = np.zeros(len(label), dtype="int64")
    return exact.merged([exact.summed(quantities, none), exact.constants({"power": [float(power)]})])


class Errors:
    """What the sums of both versions' errors say."""

    def __init__(self, state: pa.Table) -> None:
        self._sums = exact.Sums(state)
        self._power = int(self._sums.constants["power"][0])
        self.n = int(self._sums.of("n"))
        self.worth = float(self._sums.of("w") ** 2 / self._sums.of("ww"))
        self.changed = int(self._sums.of("changed"))

    def rmse(self) -> Difference | None:
        """1 - RMSE of this version / RMSE of the live one; None where the live one makes no error."""
        made = self._compared("ws", "wt", "wwss", "wwst", "wwtt", half=0.5, lost=3, more=6)
        if made is None:
            return None
        roots = [math.ldexp(math.sqrt(max(one, 0.0)), self._power) for one in (made.own, made.live)]
        return Difference(roots[0], roots[1], made.value, made.interval)

    def mae(self) -> Difference | None:
        """The same of the mean absolute errors."""
        made = self._compared("wa", "wb", "wws", "wwab", "wwt", half=1.0, lost=1)
        if made is None:
            return None
        means = [math.ldexp(one, self._power) for one in (made.own, made.live)]
        return Difference(means[0], means[1], made.value, made.interval)

    def _compared(
        self,
        own: str,
        live: str,
        own_square: str,
        both: str,
        live_square: str,
        *,
        half: float,
        lost: int,
        more: int = 0,
    ) -> Difference | None:
        """The variance of the logarithm is widened by (n + ``more``) / (n - ``lost``): of squares for few rows by simulation."""
        total = self._sums.of("w")
        first, second = self._sums.of(own) / total, self._sums.of(live) / total
        if first > _BEYOND * second or not second:
            return None
        if not first:
            return Difference(0.0, float(second), 1.0, None)
        ratio = float(first / second) ** half
        squares = (
            self._sums.of(own_square) / first**2 - 2 * self._sums.of(both) / (first * second)
            + self._sums.of(live_square) / second**2
        )  # fmt: skip
        interval = None
        if self.n > lost + 1 and self.worth > lost:
            error = half * math.sqrt(max(0.0, float(squares / total**2)) * (self.worth + more) / (self.worth - lost))
            low, high = estimates.positive(ratio, ratio * error, self.worth - 1)
            interval = 1 - high, 1 - low
        return Difference(float(first), float(second), 1 - ratio, interval)
