"""Paired bootstrap of two classifiers: both are judged on the same resampled rows. Shown beside the intervals that decide.

B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap (1993), chapters 6 and 13. Rows of the same kind (label and both
answers) are one cell, so that a resample is one multinomial draw of how often each kind is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from governance.checks.statistics import resampling
from governance.checks.statistics.intervals import Interval

MOST_KINDS = 10_000
"""With more kinds of rows nothing is drawn: so large a sample's intervals hardly differ."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """How many resamples, from which seed."""

    draws: int
    seed: int

    def of_scores(
        self,
        scores: tuple[np.ndarray, np.ndarray],
        y: np.ndarray,
        count: np.ndarray,
        *,
        units: np.ndarray,
        losses: Mapping[str, np.ndarray],
    ) -> dict[str, Interval | None]:
        """Differences of AUC and of mean ``losses`` (one array a metric: this version's less the live one's, a kind each).

        ``units``: the weight of a row of each kind, whole numbers. Empty with more than ``MOST_KINDS`` kinds, or without draws.
        """
        orders = [Ranked.of(score, y) for score in scores]

        def gaps(times: np.ndarray) -> np.ndarray:
            mass = times * units
            total = mass.sum(axis=1)
            means = [(mass * one).sum(axis=1) / total for one in losses.values()]
            return np.stack([orders[0].auc(mass) - orders[1].auc(mass), *means], axis=1)

        return self._drawn(("auc", *losses), gaps, count)

    def of_classes(
        self, places: tuple[np.ndarray, np.ndarray], size: int, count: np.ndarray, units: np.ndarray
    ) -> dict[str, Interval | None]:
        """Differences of accuracy and mean F1; ``places``: cells of both confusion matrices of ``size`` classes, a kind each."""
        decided = [_Decided.of(place, size) for place in places]

        def gaps(times: np.ndarray) -> np.ndarray:
            mass = times * units
            own, live = (one.figures(mass) for one in decided)
            made: np.ndarray = own - live
            return made

        return self._drawn(("accuracy", "macro_f1"), gaps, count)

    def _drawn(self, names: tuple[str, ...], gaps: resampling.Figures, count: np.ndarray) -> dict[str, Interval | None]:
        if not self.draws or len(count) > MOST_KINDS:
            return {}
        made = resampling.replicated(gaps, count, draws=self.draws, seed=self.seed)
        n = float(count.sum())
        return {name: resampling.expanded(made[:, place], n) for place, name in enumerate(names)}


@dataclass(frozen=True, slots=True)
class Ranked:
    """Kinds of rows by score: their order, where each score begins in it, and which are positive."""

    order: np.ndarray
    begins: np.ndarray
    positive: np.ndarray

    @classmethod
    def of(cls, score: np.ndarray, y: np.ndarray) -> Ranked:
        order = np.argsort(score, kind="stable")
        ranked = score[order]
        begins = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
        return cls(order, begins, y[order] == 1)

    def auc(self, mass: np.ndarray) -> np.ndarray:
        """Of every resample, NaN where a label is missing in it; ties count half (Mann-Whitney)."""
        ranked = mass[:, self.order]
        positive = np.add.reduceat(ranked * self.positive, self.begins, axis=1)
        negative = np.add.reduceat(ranked * ~self.positive, self.begins, axis=1)
        below = np.cumsum(negative, axis=1) - negative
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        won = (positive * (below + negative / 2)).sum(axis=1)
        made: np.ndarray = np.divide(won, pairs, out=np.full(len(mass), np.nan), where=pairs > 0)
        return made


@dataclass(frozen=True, slots=True)
class _Decided:
    """Which kinds of rows are hits, rows and decisions of each class, as ones and zeros: shape (kinds, classes)."""

    hits: np.ndarray
    truth: np.ndarray
    said: np.ndarray

    @classmethod
    def of(cls, place: np.ndarray, size: int) -> _Decided:
        every = np.arange(size)
        truth, said = place[:, None] // size == every, place[:, None] % size == every
        return cls(*(one.astype("float64") for one in (truth & said, truth, said)))

    def figures(self, mass: np.ndarray) -> np.ndarray:
        """Accuracy and mean F1 of every resample: shape (draws, 2). Of whole numbers, so that sums are exact in any order."""
        hits, both = mass @ self.hits, mass @ self.truth + mass @ self.said
        f1 = np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 0)
        mean = f1.sum(axis=1) / np.maximum((both > 0).sum(axis=1), 1)
        return np.stack([hits.sum(axis=1) / mass.sum(axis=1), mean], axis=1)
