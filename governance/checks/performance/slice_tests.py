"""One slice against all other rows, by decisions or by the errors of a regression; many of them, with adjusted levels."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy import stats

from governance.checks.performance import slicing
from governance.checks.statistics.intervals import Interval, Z, newcombe

FINE = 2.0**31
"""Losses are whole numbers of 2⁻³¹ of a power of two that none exceeds; their sums over 2³² rows are exact."""


@dataclass(frozen=True)
class Slice:
    """One slice, against all other rows."""

    key: tuple[str, ...]
    n: int
    others: int

    @property
    def label(self) -> str:
        """``age = 25 to 40 and sex = female``."""
        first, value, second, other = self.key
        return f"{first} = {value}" + (f" and {second} = {other}" if second else "")

    @property
    @abstractmethod
    def here(self) -> float:
        """Mean error in the slice."""

    @property
    @abstractmethod
    def elsewhere(self) -> float:
        """Mean error of all other rows."""

    @property
    def gap(self) -> float:
        """How much more it errs."""
        return self.here - self.elsewhere

    def relative(self, total: Slice) -> float:
        """The gap in the unit of the margin."""
        return self.gap

    @abstractmethod
    def interval(self, z: float) -> Interval:
        """Of the gap."""

    @property
    @abstractmethod
    def p(self) -> float:
        """One-sided p that this slice errs more."""


@dataclass(frozen=True)
class Decided(Slice):
    """Wrong decisions of the slice and of the others."""

    wrong: int
    others_wrong: int

    @property
    def here(self) -> float:
        return self.wrong / self.n

    @property
    def elsewhere(self) -> float:
        return self.others_wrong / self.others

    def interval(self, z: float) -> Interval:
        """Newcombe's."""
        return newcombe(self.wrong, self.n, self.others_wrong, self.others, z)

    @property
    def p(self) -> float:
        """Fisher's exact test."""
        table = [[self.wrong, self.n - self.wrong], [self.others_wrong, self.others - self.others_wrong]]
        return float(stats.fisher_exact(table, alternative="greater").pvalue)


@dataclass(frozen=True)
class Measured(Slice):
    """Sums of the errors and of their squares, of the slice and of the others, in a ``unit`` that no error exceeds."""

    sums: tuple[float, float]
    of_others: tuple[float, float]
    unit: float

    @property
    def here(self) -> float:
        return self.sums[0] / self.n * self.unit

    @property
    def elsewhere(self) -> float:
        return self.of_others[0] / self.others * self.unit

    def relative(self, total: Slice) -> float:
        return self.gap / total.here if total.here else 0.0

    @property
    def error(self) -> float:
        """Standard error of the slice's mean."""
        first, second = self.sums
        spread = max(0.0, second - first * first / self.n)
        return math.sqrt(spread / (self.n - 1) / self.n) * self.unit if self.n > 1 else 0.0

    def _welch(self) -> tuple[float, float]:
        """Standard error of the gap and its degrees of freedom (B. L. Welch, Biometrika 34, 1947)."""
        parts = []
        for (first, second), n in ((self.sums, self.n), (self.of_others, self.others)):
            parts.append((max(0.0, second - first * first / n) / (n - 1) / n, n - 1))
        both = sum(part for part, _ in parts)
        spread = sum(part * part / degrees for part, degrees in parts)
        return math.sqrt(both) * self.unit, both * both / spread if spread else 1.0

    def interval(self, z: float) -> Interval:
        """Welch's."""
        error, degrees = self._welch()
        half = float(stats.t.isf(stats.norm.sf(z), degrees)) * error
        return self.gap - half, self.gap + half

    @property
    def p(self) -> float:
        """Welch's test."""
        error, degrees = self._welch()
        if not error:
            return 0.0 if self.gap > 0 else 1.0
        return float(stats.t.sf(self.gap / error, degrees))


def read(state: pa.Table, least: int) -> tuple[str, Slice, list[Slice]]:
    """What is measured, in words; all rows; and every slice that is large enough, against the others."""
    rows = state.to_pylist()
    every = next(row for row in rows if not row["column"])
    n = every["count"]
    able = [row for row in rows if row["column"] and least <= row["count"] <= n - least]
    able.sort(key=lambda row: tuple(row[name] for name in slicing.PLACES))
    made: list[Slice] = []
    if "sum_loss" not in state.column_names:
        for row in (every, *able):
            key, wrong = tuple(row[name] for name in slicing.PLACES), row["sum_wrong"]
            made.append(Decided(key, row["count"], n - row["count"], wrong, every["sum_wrong"] - wrong))
        return "Error rate", made[0], made[1:]
    for row in (every, *able):
        key = tuple(row[name] for name in slicing.PLACES)
        own = (row["sum_loss"], row["sum_square"])
        rest = (every["sum_loss"] - own[0], every["sum_square"] - own[1])
        scaled = [(one[0] / FINE, one[1] / FINE) for one in (own, rest)]
        unit = math.ldexp(1.0, row["power"])
        made.append(Measured(key, row["count"], n - row["count"], scaled[0], scaled[1], unit))
    return "Mean error", made[0], made[1:]


def ps(slices: Sequence[Slice]) -> list[float]:
    """The p of each; Fisher's of many slices at once, as SciPy's ``fisher_exact`` computes each."""
    decided = [one for one in slices if isinstance(one, Decided)]
    if len(decided) < len(slices) or not decided:
        return [one.p for one in slices]
    wrong, n, others_wrong, others = np.array([(one.wrong, one.n, one.others_wrong, one.others) for one in decided]).T
    right = n - wrong
    found = stats.hypergeom.cdf(right, n + others, n, right + others - others_wrong)
    every = (wrong + others_wrong == 0) | (right + others - others_wrong == 0)
    return [float(p) for p in np.where(every, 1.0, found)]


def level(flagged: int, tried: int, alpha: float) -> float:
    """Z of intervals that miss in at most ``alpha`` of the flagged slices (Benjamini & Yekutieli, JASA 100, 2005)."""
    return float(stats.norm.isf(alpha * flagged / tried / 2)) if flagged else Z
