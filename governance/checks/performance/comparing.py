"""Every metric of two versions on the same rows, from the state of ``compare.champion``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from governance.checks.performance import gains, paired
from governance.checks.performance.calibration import EPSILON, Rows
from governance.checks.performance.multiclass import figures_of, influence
from governance.checks.performance.paired import Difference, Discordant
from governance.checks.performance.resampled import Drawing
from governance.checks.rows import weighting
from governance.checks.rows.kinds import Kind
from governance.checks.statistics import delong, estimates
from governance.checks.statistics.counts import numbers
from governance.checks.statistics.intervals import Interval, Z


@dataclass(frozen=True, slots=True)
class Compared:
    """Differences by metric, this version less the live one; the share of rows that they decide differently.

    ``drawn``: intervals of the same differences by a paired bootstrap, where one was drawn.
    """

    kind: Kind
    n: int
    worth: float
    of: Mapping[str, Difference]
    flipped: float
    of_flipped: Interval
    discordant: Discordant | None
    drawn: Mapping[str, Interval | None] = field(default_factory=dict)


def of_scores(state: pa.Table, threshold: float, drawing: Drawing) -> Compared:
    """Two classifiers by score."""
    own, live, y, count = (numbers(state, name) for name in ("score", "live", "y", "count"))
    y, weight = y.astype("int64"), numbers(state, "weight") / weighting.UNIT
    first, second, variance = delong.difference(own, live, y, count, weight)
    gap = first.value - second.value
    half = None if variance is None else Z * math.sqrt(variance)
    right = (own >= threshold) == y, (live >= threshold) == y
    accuracy, discordant = paired.of_decisions(*right, count, weight)
    losses = {"brier": ((own - y) ** 2, (live - y) ** 2), "log_loss": (_log_loss(own, y), _log_loss(live, y))}
    made = {
        "auc": Difference(first.value, second.value, gap, None if half is None else (gap - half, gap + half)),
        "average_precision": _precision(*(Rows(score, y, count, weight) for score in (own, live))),
        "accuracy": accuracy,
        **{name: paired.of_losses(*both, count, weight) for name, both in losses.items()},
    }
    flipped = (own >= threshold) != (live >= threshold)
    gaps = {
        "accuracy": right[0].astype("int8") - right[1],
        **{name: one - other for name, (one, other) in losses.items()},
    }
    drawn = drawing.of_scores((own, live), y, count, units=numbers(state, "weight"), losses=gaps)
    return replace(_Kinds(count, weight).compared("binary", made, flipped, discordant), drawn=drawn)


def of_classes(state: pa.Table, drawing: Drawing) -> Compared:
    """Two classifiers by the class they name."""
    words = [
        state.column(name).to_numpy(zero_copy_only=False).astype("str") for name in ("label", "class", "live_class")
    ]
    classes, at = np.unique(np.concatenate(words), return_inverse=True)
    label, own, live = np.split(at, 3)
    count, weight = numbers(state, "count"), numbers(state, "weight") / weighting.UNIT
    accuracy, discordant = paired.of_decisions(own == label, live == label, count, weight)
    rows = _Kinds(count, weight)
    places = label * len(classes) + own, label * len(classes) + live
    made = {"accuracy": accuracy, "macro_f1": _mean_f1(rows, places, len(classes))}
    drawn = drawing.of_classes(places, len(classes), count, numbers(state, "weight"))
    return replace(rows.compared("multiclass", made, own != live, discordant), drawn=drawn)


def of_errors(state: pa.Table) -> Compared:
    """Two regressions."""
    of = paired.Errors(state)
    made = {key: one for key, one in (("rmse", of.rmse()), ("mae", of.mae())) if one is not None}
    share = of.changed / of.n
    return Compared("regression", of.n, of.worth, made, share, estimates.rate_interval(share, of.n), None)


@dataclass(frozen=True, slots=True)
class _Kinds:
    """How many rows of each kind there are, and the weight of one."""

    count: np.ndarray
    weight: np.ndarray

    def compared(self, kind: Kind, made: Mapping[str, Difference], flipped: np.ndarray, rows: Discordant) -> Compared:
        mass, worth = self.count * self.weight, weighting.effective(self.count, self.weight)
        share = float(mass[flipped].sum() / mass.sum())
        return Compared(kind, int(self.count.sum()), worth, made, share, estimates.rate_interval(share, worth), rows)


def _log_loss(score: np.ndarray, y: np.ndarray) -> np.ndarray:
    clipped = np.clip(score, EPSILON, 1 - EPSILON)
    made: np.ndarray = -(y * np.log(clipped) + (1 - y) * np.log1p(-clipped))
    return made


def _precision(own: Rows, live: Rows) -> Difference:
    """Average precision: Student's interval, standard error by the infinitesimal jackknife of the difference."""
    (first, of_first), (second, of_second) = (gains.precision_influence(one) for one in (own, live))
    positives = float((own.count * own.y).sum())
    if positives < 2:
        return Difference(first, second, first - second, None)
    error = estimates.by_influence(of_first - of_second, own.count)
    return Difference(first, second, first - second, estimates.around(first - second, error, positives - 1))


def _mean_f1(rows: _Kinds, places: tuple[np.ndarray, np.ndarray], size: int) -> Difference:
    """Mean F1 of the classes, interval by the delta method over the paired rows with a pseudo-row in every class.

    The standard error is the infinitesimal jackknife's of the difference (K. Takahashi et al., Appl. Intell. 52, 2022, for one
    F1), after a row was added to each class whose two decisions are any two classes, so that versions that hardly differ
    are not certain to be alike (as D. G. Bonett and R. M. Price, J. Educ. Behav. Stat. 37, 2012, for two proportions);
    Student's t with Satterthwaite's degrees of freedom (1946) over the classes. The percentile bootstrap covers 87 % at 30 rows.
    """
    mass, n = rows.count * rows.weight, weighting.effective(rows.count, rows.weight)
    matrices = [np.bincount(place, weights=mass, minlength=size * size).reshape(size, size) for place in places]
    first, second = (float(figures_of(matrix[None])["macro_f1"][0]) for matrix in matrices)
    unit = n / float(mass.sum())
    moved = [influence((unit * matrix + 1 / size) / (n + size))["macro_f1"] for matrix in matrices]
    squares = (moved[0].ravel()[places[0]] - moved[1].ravel()[places[1]]) ** 2
    by_class = np.bincount(places[0] // size, weights=unit * mass * squares, minlength=size)
    own, live = moved
    by_class += (
        (own**2).sum(axis=1) / size + (live**2).sum(axis=1) / size - 2 * own.sum(axis=1) * live.sum(axis=1) / size**2
    )
    error = math.sqrt(float(by_class.sum()) / (n + size) / n)
    degrees = estimates.satterthwaite(by_class, unit * matrices[0].sum(axis=1) + 1)
    low, high = estimates.around(first - second, error, degrees)
    return Difference(first, second, first - second, (max(-1.0, low), min(1.0, high)))
