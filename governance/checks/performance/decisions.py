"""Decisions of a binary classifier against the truth, at one threshold and over all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from governance.checks.figures import Maker
from governance.checks.performance.calibration import Rows
from governance.checks.results import Cell, Figure, Table
from governance.checks.statistics import estimates

_STEPS = 20


@dataclass(frozen=True, slots=True)
class Decided:
    """For truth and decision, 0 and 1: rows, their weight, and their squared weight."""

    rows: np.ndarray
    mass: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, y: np.ndarray, decision: np.ndarray, count: np.ndarray, weight: np.ndarray) -> Decided:
        """From distinct rows."""
        at = 2 * y + decision

        def table(values: np.ndarray) -> np.ndarray:
            return np.bincount(at, weights=values, minlength=4).reshape(2, 2)

        return cls(table(count), table(count * weight), table(count * weight**2))

    @property
    def base_rate(self) -> float:
        """Share of positives."""
        return float(self.mass[1].sum() / self.mass.sum())

    def figures(self, made: Maker) -> list[Figure]:
        """At the threshold."""
        right, wrong = np.eye(2, dtype=bool), ~np.eye(2, dtype=bool)
        recall, specificity = self._rate(_at((1, 1)), _at((1, 0))), self._rate(_at((0, 0)), _at((0, 1)))
        figures = [
            self._figure(made, "accuracy", right, wrong, "There are no rows."),
            self._balanced(made, recall, specificity),
            self._figure(made, "precision", _at((1, 1)), _at((0, 1)), "No row was decided positive."),
            self._figure(made, "recall", _at((1, 1)), _at((1, 0)), "No row is positive."),
            self._figure(made, "specificity", _at((0, 0)), _at((0, 1)), "No row is negative."),
        ]
        found = self._rate(_at((1, 1)), _at((0, 1), (1, 0)))
        n = int(self.rows.sum())
        if found is None:
            return [*figures, made.none("f1", n, "No row is or was decided positive.")]
        hits, worth = found
        return [*figures, made("f1", 2 * hits / (1 + hits), n, estimates.f1_interval(hits, worth), scale="logit")]

    def _rate(self, hits: np.ndarray, misses: np.ndarray) -> tuple[float, float] | None:
        """Share of the hits, and how many equal rows it rests on."""
        total = float(self.mass[hits | misses].sum())
        if not total:
            return None
        return float(self.mass[hits].sum()) / total, total**2 / float(self.squares[hits | misses].sum())

    def _figure(self, made: Maker, key: str, hits: np.ndarray, misses: np.ndarray, empty: str) -> Figure:
        found, n = self._rate(hits, misses), int(self.rows[hits | misses].sum())
        if found is None:
            return made.none(key, 0, empty)
        return made(key, found[0], n, estimates.rate_interval(*found), scale="logit")

    def _balanced(self, made: Maker, *rates: tuple[float, float] | None) -> Figure:
        n = int(self.rows.sum())
        if rates[0] is None or rates[1] is None:
            return made.none("balanced_accuracy", n, "There are rows of one class only.")
        (one, worth), (other, of_other) = rates[0], rates[1]
        turned = 1 - other
        low, high = estimates.rate_interval(turned, of_other)
        ends = estimates.difference(one, estimates.rate_interval(one, worth), turned, (low, high))
        return made("balanced_accuracy", (one + other) / 2, n, ((1 + ends[0]) / 2, (1 + ends[1]) / 2), scale="logit")

    def table(self) -> Table:
        """Rows, not weights."""
        cells = self.rows.astype("int64")
        return Table(
            "confusion", "Decisions against truth",
            (("truth", "Truth"), ("negative", "Decided 0"), ("positive", "Decided 1")),
            (("0", int(cells[0, 0]), int(cells[0, 1])), ("1", int(cells[1, 0]), int(cells[1, 1]))),
        )  # fmt: skip


def _at(*places: tuple[int, int]) -> np.ndarray:
    made = np.zeros((2, 2), dtype=bool)
    for place in places:
        made[place] = True
    return made


_LABELS = (
    ("threshold", "Threshold"), ("selected", "Decided 1"), ("precision", "Precision"), ("recall", "Recall"),
    ("specificity", "Specificity"), ("f1", "F1"), ("accuracy", "Accuracy"),
)  # fmt: skip


def by_threshold(rows: Rows) -> Table:
    """What other thresholds would give, in steps of 0.05."""
    mass = rows.mass
    made: list[tuple[Cell, ...]] = []
    order = np.argsort(rows.score, kind="stable")
    score = rows.score[order]
    hits, all_of = (np.append(np.cumsum(one[order][::-1])[::-1], 0.0) for one in (mass * rows.y, mass))
    positives, total = float(hits[0]), float(all_of[0])
    for step in range(1, _STEPS):
        cut = step / _STEPS
        at = int(np.searchsorted(score, cut, side="left"))
        tp, said = float(hits[at]), float(all_of[at])
        tn = total - positives - (said - tp)
        made.append((
            cut, said / total, tp / said if said else None, tp / positives, tn / (total - positives),
            2 * tp / (said + positives), (tp + tn) / total,
        ))  # fmt: skip
    return Table("thresholds", "At other thresholds", _LABELS, tuple(made))
