"""``performance.multiclass``: how well a classifier of several classes decides, overall and class by class."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import pictures
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.figures import Maker
from governance.checks.manifests.performance import MULTICLASS
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Picture, Scale, Table
from governance.checks.rows import columns, weighting
from governance.checks.statistics import estimates
from governance.checks.statistics.counts import counted, numbers
from governance.checks.statistics.intervals import Interval

MAX_CLASSES = 200
_SHOWN = 20
_made = Maker(MULTICLASS)
_FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "kappa", "mcc")


@dataclass(frozen=True, slots=True)
class MulticlassParams(Params):
    """``min_class``: rows a class needs for figures of its own."""

    min_class: int = 10

    def check(self) -> None:
        if self.min_class < 1:
            raise CheckError("params.value", "“min_class” must be at least 1.")


class MulticlassPerformance(Check):
    """State: counts of (label, prediction, weight): the confusion matrix. All figures are functions of it."""

    manifest = MULTICLASS
    params = MulticlassParams

    def plan(self, inputs: CheckInputs, params: MulticlassParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        check_classes(inputs)
        counting = weighting.checked(inputs)
        _check_label(counting)
        return columns.split(counting, shards)

    def map(self, shard: CheckInputs, params: MulticlassParams) -> pa.Table:
        label = columns.rows_of(shard).column(str(shard.roles.label))
        predicted = pa.chunked_array([]) if shard.predictions is None else shard.predictions.column("prediction")
        keys = {"label": columns.words(label), "prediction": columns.words(predicted), "weight": weighting.units(shard)}
        return counted(pa.table(keys))

    def finish(self, state: pa.Table, inputs: CheckInputs, params: MulticlassParams) -> CheckResult:
        found = Confusion.of(state)
        values = {key: float(value[0]) for key, value in figures_of(found.mass[None]).items()}
        intervals = _intervals(found, values)
        scale: dict[str, Scale] = dict.fromkeys(_FIGURES[:4], "logit")
        figures = [
            _made(key, values[key], found.n, intervals[key], scale=scale.get(key, "identity")) for key in _FIGURES
        ]
        made, rows = _per_class(found, params.min_class)
        worst = min((one for one in made if one.value is not None), key=lambda one: one.value or 0.0, default=None)
        return CheckResult(
            MULTICLASS.key, MULTICLASS.version, params.as_dict(), found.n, (*figures, *made),
            (Table("classes", "Class by class", _LABELS, tuple(rows)), _confusion(found)), _pictures(found, made),
            findings=(
                f"{found.n} rows of {len(found.classes)} classes; {values['accuracy']:.1%} are right.",
                *weighting.said(inputs, found.worth),
                *((f"Found least often: “{worst.group}”, {worst.value:.1%} of {worst.n}.",) if worst else ()),
            ),
            limits=(
                "Only the class that the model names is judged, not the probabilities it gives.",
                "Intervals take the rows as independent, and weights as given.",
                _SMALL,
            ),
            facts={"classes": len(found.classes), "effective_rows": found.worth, "largest_class": found.largest},
        )  # fmt: skip


_SMALL = (
    "A class that no row of the sample has cannot be in the intervals. Where classes have fewer than about five rows, those of "
    "balanced accuracy and of the mean F1 cover 93 to 97 %."
)
_LABELS = (
    ("class", "Class"), ("n", "Rows"), ("said", "Predicted"), ("hits", "Right"), ("precision", "Precision"),
    ("recall", "Recall"), ("low", "Low"), ("high", "High"), ("f1", "F1"),
)  # fmt: skip


def check_classes(inputs: CheckInputs, which: str = "predictions") -> None:
    """Whether label and predictions name classes in every row. Raises ``CheckError``."""
    _check_label(inputs)
    data, table = columns.rows_of(inputs), getattr(inputs, which)
    if table is None:
        raise CheckError("inputs.missing", f"This check needs {which}, and none were given.")
    if table.num_rows != data.num_rows:
        raise CheckError("data.rows_differ", f"There are {table.num_rows} {which} for {data.num_rows} rows of data.")
    if "prediction" not in table.column_names or table.column("prediction").null_count:
        raise CheckError("data.predictions_invalid", "The model must name a class for every row.", "prediction")


def _check_label(inputs: CheckInputs) -> None:
    name = inputs.roles.label
    label = columns.column(columns.rows_of(inputs), name, code="data.label_missing", what="label")
    columns.check_whole(label, name)
    classes = len(pc.unique(label))
    if classes > MAX_CLASSES:
        sentence = f"The label “{name}” has {classes} values; more than {MAX_CLASSES} are no classes."
        raise CheckError("data.label_many", sentence, name)
    if classes < 2:
        raise CheckError("data.label_one_class", f"Every row has the same label “{name}”.", name)


@dataclass(frozen=True, slots=True)
class Confusion:
    """Truth (first axis) against decision: rows, their weight, and their squared weight."""

    classes: list[str]
    rows: np.ndarray
    mass: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, state: pa.Table) -> Confusion:
        """From the merged counts."""
        label, said = state.column("label").to_pylist(), state.column("prediction").to_pylist()
        classes = sorted({*label, *said}, key=_natural)
        place = {name: number for number, name in enumerate(classes)}
        at = np.array([place[a] * len(classes) + place[b] for a, b in zip(label, said, strict=True)], dtype="int64")
        count, weight = numbers(state, "count"), numbers(state, "weight") / weighting.UNIT
        shape = (len(classes), len(classes))
        made = [
            np.bincount(at, weights=values, minlength=shape[0] ** 2).reshape(shape)
            for values in (count, count * weight, count * weight**2)
        ]
        return cls(classes, *made)

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.rows.sum())

    @property
    def worth(self) -> float:
        """How many equal rows the weighted ones are worth."""
        return float(self.mass.sum() ** 2 / self.squares.sum())

    @property
    def largest(self) -> float:
        """The share of the most frequent class: what a model scores that always names it."""
        return float(self.mass.sum(axis=1).max() / self.mass.sum())


def _natural(name: str) -> tuple[int, float, str]:
    try:
        number = float(name)
    except ValueError:
        return 1, 0.0, name
    return (0, number, name) if math.isfinite(number) else (1, 0.0, name)


def figures_of(matrices: np.ndarray) -> dict[str, np.ndarray]:
    """Shape (tables, classes, classes) → each figure, shape (tables,). Definitions as scikit-learn's."""
    n = matrices.sum(axis=(1, 2))
    hits = np.einsum("dkk->dk", matrices)
    truth, said = matrices.sum(axis=2), matrices.sum(axis=1)
    there = truth > 0
    recall = np.divide(hits, truth, out=np.zeros_like(hits), where=there)
    known = there | (said > 0)
    f1 = np.divide(2 * hits, truth + said, out=np.zeros_like(hits), where=truth + said > 0)
    agreed = hits.sum(axis=1)
    chance = (truth * said).sum(axis=1)
    spread_said, spread_truth = n**2 - (said**2).sum(axis=1), n**2 - (truth**2).sum(axis=1)
    norm = np.sqrt(np.maximum(spread_said * spread_truth, 0))
    return {
        "accuracy": agreed / n,
        "balanced_accuracy": recall.sum(axis=1) / there.sum(axis=1),
        "macro_f1": f1.sum(axis=1) / known.sum(axis=1),
        "weighted_f1": (f1 * truth).sum(axis=1) / n,
        "kappa": np.divide(n * agreed - chance, n**2 - chance, out=np.zeros_like(n), where=n**2 != chance),
        "mcc": np.divide(n * agreed - chance, norm, out=np.zeros_like(n), where=norm > 0),
    }


def influence(shares: np.ndarray) -> dict[str, np.ndarray]:
    """How each figure moves as the share of one cell grows: derivatives of ``figures_of``, less their mean."""
    own = np.eye(len(shares))
    truth, said, hits = shares.sum(axis=1), shares.sum(axis=0), np.diag(shares)
    there, known = truth > 0, truth + said > 0
    row, both = np.where(there, truth, 1.0), np.where(known, truth + said, 1.0)
    f1 = 2 * hits / both
    by_class = own * (2 / both)  # of each class's F1, by a hit; and by a row or decision more:
    more = -f1 / both
    agreed, chance = float(hits.sum()), float((truth * said).sum())
    by_chance = said[:, None] + truth[None, :]
    off_said, off_truth = 1 - float((said**2).sum()), 1 - float((truth**2).sum())
    norm = math.sqrt(max(off_said * off_truth, 0.0))
    none = np.zeros_like(shares)
    slopes = {
        "accuracy": own,
        "balanced_accuracy": (own / row[:, None] - (hits / row**2)[:, None]) / max(int(there.sum()), 1),
        "macro_f1": (by_class + more[:, None] + more[None, :]) / max(int(known.sum()), 1),
        "weighted_f1": own * (2 * truth / both) + (more * truth)[:, None] + (more * truth)[None, :] + f1[:, None],
        "kappa": (own - by_chance) / (1 - chance) + (agreed - chance) * by_chance / (1 - chance) ** 2 if chance < 1 else none,
        "mcc": (own - by_chance) / norm
        + (agreed - chance) / norm**3 * (said[None, :] * off_truth + truth[:, None] * off_said) if norm > 0 else none,
    }  # fmt: skip
    return {key: slope - float((shares * slope).sum()) for key, slope in slopes.items()}


def _intervals(found: Confusion, values: dict[str, float]) -> dict[str, Interval | None]:
    """Wilson's score interval with the number of rows that the figure's own standard error is worth, a class's pseudo-row each.

    The standard error is the infinitesimal jackknife's (the delta method: K. Takahashi et al., Appl. Intell. 52, 2022, for F1)
    of the matrix with one row added to every class, spread over all decisions, as Jeffreys and A. Agresti and B. A. Coull
    (Am. Stat. 52, 1998) add to counts: no cell is empty for certain then. Where few classes or few rows carry it, Wilson's
    z is Student's t with the degrees of freedom of F. E. Satterthwaite (Biom. Bull. 2, 1946) over the classes' variances.
    Kappa and Matthews' correlation: normal on Fisher's z scale.
    """
    n, size = found.worth, len(found.classes)
    rows = found.mass / float(found.mass.sum()) * n + 1 / size
    shares = rows / float(rows.sum())
    shrunk = {key: float(value[0]) for key, value in figures_of(shares[None]).items()}
    made: dict[str, Interval | None] = {"accuracy": estimates.rate_interval(values["accuracy"], n)}
    for key, moved in influence(shares).items():
        by_class = (shares * moved**2).sum(axis=1)
        variance = float(by_class.sum())
        if key in {"kappa", "mcc"}:
            made[key] = _agreement(values[key], shrunk[key], math.sqrt(variance / (n + size)))
        elif key != "accuracy":
            worth = n * shrunk[key] * (1 - shrunk[key]) / variance if variance > 0 else n
            rate = min(max(values[key], 0.0), 1.0)
            degrees = math.inf if key == "weighted_f1" else estimates.satterthwaite(by_class, rows.sum(axis=1) - 0.5)
            made[key] = estimates.rate_interval(rate, max(worth, 1.0), estimates.student(degrees))
    return made


def _agreement(value: float, shrunk: float, error: float) -> Interval | None:
    """On Fisher's z scale. Of perfect agreement the lower end is that of the value with the pseudo-rows."""
    if value >= 1:
        found = estimates.correlation(shrunk, error, math.inf)
        return None if found is None else (found[0], 1.0)
    return estimates.correlation(value, error, math.inf)


def _recall(found: Confusion, number: int) -> tuple[float, float]:
    """Recall of a class and the equal rows it rests on."""
    mass = float(found.mass[number].sum())
    return float(found.mass[number, number]) / mass, mass**2 / float(found.squares[number].sum())


def _per_class(found: Confusion, least: int) -> tuple[list[Figure], list[tuple[Cell, ...]]]:
    figures: list[Figure] = []
    rows: list[tuple[Cell, ...]] = []
    for number, name in enumerate(found.classes):
        hits, n, said = (
            int(found.rows[number, number]), int(found.rows[number].sum()), int(found.rows[:, number].sum()),
        )  # fmt: skip
        mass, named = float(found.mass[number].sum()), float(found.mass[:, number].sum())
        right = float(found.mass[number, number])
        recall, interval = None, None
        if n:
            recall, worth = _recall(found, number)
            interval = estimates.rate_interval(recall, worth)
        precision, f1 = right / named if named else None, 2 * right / (mass + named) if mass + named else None
        rows.append((name, n, said, hits, precision, recall, *(interval or (None, None)), f1))
        if n >= least:
            figures.append(_made("class_recall", recall, n, interval, scale="logit", group=name))
        else:
            note = f"The class “{name}” has {n} rows; at least {least} are needed."
            figures.append(_made.none("class_recall", n, note, group=name))
    return figures, rows


def _confusion(found: Confusion) -> Table:
    shown = found.classes[:_SHOWN]
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (name, *(int(x) for x in found.rows[number, : len(shown)])) for number, name in enumerate(shown)
    )
    labels = (("truth", "Truth"), *((f"c{i}", c) for i, c in enumerate(shown)))
    return Table("confusion", "Truth (rows) against decision", labels, rows)


def _pictures(found: Confusion, made: list[Figure]) -> tuple[Picture, ...]:
    """Shares of each class's rows by decision; and the recall of each class."""
    shown = range(min(len(found.classes), _SHOWN))
    share = found.mass / np.maximum(found.mass.sum(axis=1, keepdims=True), 1e-300)
    cells: list[dict[str, Cell]] = [
        {"y": found.classes[a], "x": found.classes[b], "value": round(float(share[a, b]), 3)} for a in shown for b in shown
    ]  # fmt: skip
    off = share - np.eye(len(share)) * share
    a, b = np.unravel_index(int(off.argmax()), off.shape)
    mistaken = f"{off[a, b]:.1%} of “{found.classes[a]}” for “{found.classes[b]}”"
    alt = f"Decisions as shares of each true class. Most often mistaken: {mistaken}."
    title = "Truth against decision"
    grid = pictures.grid("confusion", title, alt, cells, x="Decision", y="Truth", value="Share of the class")
    judged = [one for one in made if one.value is not None][:_SHOWN]
    rows = [{"name": one.group, "value": one.value, "low": one.ci_low, "high": one.ci_high} for one in judged]
    said = f"The share of {len(rows)} classes that is found, with Wilson's intervals."
    return grid, pictures.ranges("recall", "Recall of each class", said, rows, value="Recall", by="Class")
