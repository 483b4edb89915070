"""What a ranking by score is worth: ROC and precision-recall curves, average precision, gains and lift.

Rows of one score cannot be told apart: they enter together, and where a share of the rows cuts through them, in proportion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from governance.checks import pictures
from governance.checks.performance.calibration import Rows
from governance.checks.results import Cell, Picture, Table
from governance.checks.statistics import estimates
from governance.checks.statistics.intervals import Interval, miettinen_nurminen

_POINTS = 100
TENTHS = 10


@dataclass(frozen=True, slots=True)
class Ranked:
    """Weights by distinct score, from the highest down, cumulated: positives, all rows."""

    hits: np.ndarray
    seen: np.ndarray
    at: np.ndarray
    """For each row the place of its score."""


def ranked(rows: Rows) -> Ranked:
    """Cumulated weights."""
    values, at = np.unique(-rows.score, return_inverse=True)
    mass = rows.mass
    hits = np.cumsum(np.bincount(at, weights=mass * rows.y, minlength=len(values)))
    return Ranked(hits, np.cumsum(np.bincount(at, weights=mass, minlength=len(values))), at)


def precision_influence(rows: Rows, of: Ranked | None = None) -> tuple[float, np.ndarray]:
    """Average precision, Σ (Rₖ - Rₖ₋₁) Pₖ over distinct scores from the highest down, as scikit-learn defines it.

    And by how much each row moves it.
    """
    of = ranked(rows) if of is None else of
    precision, total = of.hits / of.seen, float(of.hits[-1])
    taken = np.diff(of.hits, prepend=0.0)
    value = float((taken * precision).sum() / total)
    one = np.cumsum((taken / of.seen)[::-1])[::-1][of.at]
    other = np.cumsum((taken * precision / of.seen)[::-1])[::-1][of.at]
    return value, (rows.y * (precision[of.at] - value) + rows.y * one - other) / total * rows.weight


def average_precision(rows: Rows, of: Ranked) -> tuple[float, Interval | None]:
    """With an interval: Student's on the logit scale with the positives less one for degrees of freedom.

    The standard error is that of the infinitesimal jackknife.
    """
    value, influence = precision_influence(rows, of)
    positives = float((rows.count * rows.y).sum())
    if positives < 2:
        return value, None
    return value, estimates.share(value, estimates.by_influence(influence, rows.count), positives - 1)


@dataclass(frozen=True, slots=True)
class Lift:
    """Of the rows scored highest: rate of positives against that of all."""

    value: float
    interval: Interval


def lift(rows: Rows, of: Ranked, share: float) -> Lift:
    """Lift of the top ``share``; its interval from Miettinen and Nurminen's (1985) of the rates above and below the cut.

    With q the share above and r the ratio of the rates, lift = 1 / (q + (1 - q) / r), which rises with r.
    """
    total, positives = float(of.seen[-1]), float(of.hits[-1])
    found = _hits_at(of, share * total)
    top, rest = found / (share * total), (positives - found) / ((1 - share) * total)
    worth = total**2 / float((rows.count * rows.weight**2).sum())
    above, below = worth * share, worth * (1 - share)
    turned = miettinen_nurminen(min(rest, 1.0) * below, below, min(top, 1.0) * above, above)  # 1 / r, which may be 0
    low, high = (0.0, math.inf) if turned is None else turned
    if turned is None:
        upright = miettinen_nurminen(0.0, above, min(rest, 1.0) * below, below)
        low = 1 / upright[1] if upright is not None else 0.0
    ends = [1 / (share + (1 - share) * end) for end in (high, low)]
    value = top * total / positives
    return Lift(value, (min(ends[0], value), max(ends[1], value)))


def _hits_at(of: Ranked, weight: float) -> float:
    """Positives among the rows of the highest scores that have that weight together."""
    return float(np.interp(weight, np.concatenate([[0.0], of.seen]), np.concatenate([[0.0], of.hits])))


_LABELS = (
    ("share", "Share of rows"), ("captured", "Positives found"), ("lift", "Lift"), ("low", "Low"), ("high", "High"),
)  # fmt: skip


def table(rows: Rows, of: Ranked) -> Table:
    """Cumulated gains and lift of the top tenth, fifth, … of the rows."""
    made: list[tuple[Cell, ...]] = []
    for tenth in range(1, TENTHS):
        here = lift(rows, of, tenth / TENTHS)
        made.append((tenth / TENTHS, here.value * tenth / TENTHS, here.value, *here.interval))
    return Table("gains", "Gains and lift of the rows scored highest", _LABELS, tuple(made))


def gains_picture(shown: Table, top: float) -> Picture:
    """Lift by share of the rows."""
    rows = [{"x": row[0], "y": row[2], "low": row[3], "high": row[4]} for row in shown.rows]
    alt = f"Lift of the rows scored highest, with intervals: the top tenth holds {top:.2f} times its share of the positives."
    return pictures.curve("gains", "Lift", alt, rows, x="Share of rows, highest scores first", y="Lift")


def roc_picture(of: Ranked, value: float) -> Picture:
    """True against false positive rate."""
    seen, hits = np.concatenate([[0.0], of.seen]), np.concatenate([[0.0], of.hits])
    x, y = (seen - hits) / (seen - hits)[-1], hits / hits[-1]
    rows = _thinned(x, y)
    return pictures.curve(
        "roc", "ROC curve", f"True positive rate against false positive rate at every threshold; AUC {value:.3f}.", rows,
        x="False positive rate", y="True positive rate", diagonal=True,
    )  # fmt: skip


def pr_picture(of: Ranked, value: float) -> Picture:
    """Precision against recall."""
    rows = _thinned(of.hits / of.hits[-1], of.hits / of.seen)
    base = of.hits[-1] / of.seen[-1]
    alt = f"Precision against recall at every threshold; average precision {value:.3f}, base rate {base:.3f}."
    return pictures.curve("precision_recall", "Precision and recall", alt, rows, x="Recall", y="Precision")


def _thinned(x: np.ndarray, y: np.ndarray) -> list[dict[str, Cell]]:
    """At most a hundred points of a curve, the ends among them, of three digits: a picture shows no single row."""
    kept = np.unique(np.linspace(0, len(x) - 1, _POINTS).round().astype("int64"))
    if len(x) > _POINTS:
        even = np.searchsorted(x, np.linspace(0, 1, _POINTS)).clip(0, len(x) - 1)
        kept = np.unique(np.concatenate([[0], even, [len(x) - 1]]))
    points = dict.fromkeys((round(float(x[place]), 3), round(float(y[place]), 3)) for place in kept)
    return [{"x": a, "y": b} for a, b in points]
