"""``performance.multiclass``: how well a classifier of several classes decides, overall and class by class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import columns
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.counts import counted, numbers
from governance.checks.intervals import wilson
from governance.checks.manifests.performance import MULTICLASS
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Scale, Table

_SPECS = {spec.key: spec for spec in MULTICLASS.figures}
MAX_CLASSES = 200


@dataclass(frozen=True, slots=True)
class MulticlassParams(Params):
    """``draws`` of the bootstrap and its ``seed``; ``min_class``: rows a class needs for figures of its own."""

    draws: int = 1000
    seed: int = 0
    min_class: int = 10

    def check(self) -> None:
        if not 100 <= self.draws <= 10_000 or self.seed < 0:
            raise CheckError("params.value", "“draws” must be from 100 to 10000 and “seed” not negative.")
        if self.min_class < 1:
            raise CheckError("params.value", "“min_class” must be at least 1.")


class MulticlassPerformance(Check):
    """State: counts of (label, prediction): the confusion matrix. All figures are functions of it."""

    manifest = MULTICLASS
    params = MulticlassParams

    def plan(self, inputs: CheckInputs, params: MulticlassParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        data = columns.rows_of(inputs)
        name = inputs.roles.label
        label = columns.column(data, name, code="data.label_missing", what="label")
        columns.check_whole(label, name)
        classes = len(pc.unique(label))
        if classes > MAX_CLASSES:
            sentence = f"The label “{name}” has {classes} values; more than {MAX_CLASSES} are no classes."
            raise CheckError("data.label_many", sentence, name)
        if classes < 2:
            raise CheckError("data.label_one_class", f"Every row has the same label “{name}”.", name)
        table = inputs.predictions
        if table is None:
            raise CheckError("inputs.missing", "This check needs predictions, and none were given.")
        if table.num_rows != data.num_rows:
            raise CheckError(
                "data.rows_differ", f"There are {table.num_rows} predictions for {data.num_rows} rows of data."
            )
        if "prediction" not in table.column_names or table.column("prediction").null_count:
            raise CheckError("data.predictions_invalid", "The model must name a class for every row.", "prediction")
        return columns.split(inputs, shards)

    def map(self, shard: CheckInputs, params: MulticlassParams) -> pa.Table:
        label = columns.rows_of(shard).column(str(shard.roles.label))
        predicted = pa.chunked_array([]) if shard.predictions is None else shard.predictions.column("prediction")
        return counted(pa.table({"label": columns.words(label), "prediction": columns.words(predicted)}))

    def finish(self, state: pa.Table, inputs: CheckInputs, params: MulticlassParams) -> CheckResult:
        label, predicted = state.column("label").to_pylist(), state.column("prediction").to_pylist()
        classes = sorted({*label, *predicted}, key=_natural)
        place = {name: number for number, name in enumerate(classes)}
        matrix = np.zeros((len(classes), len(classes)), dtype="int64")
        for truth, said, count in zip(label, predicted, numbers(state, "count").tolist(), strict=True):
            matrix[place[truth], place[said]] += count
        n = int(matrix.sum())
        values = _overall(matrix)
        intervals = _bootstrap(matrix, params)
        figures = []
        for key, value in values.items():
            low, high = wilson(int(matrix.trace()), n) if key == "accuracy" else intervals[key]
            spec = _SPECS[key]
            scale: Scale = "logit" if key == "accuracy" else "identity"
            figures.append(Figure(key, spec.label, value, n, spec.better, ci_low=low, ci_high=high, scale=scale))
        made, rows = _per_class(matrix, classes, params.min_class)
        labels = (
            ("class", "Class"), ("n", "Rows"), ("said", "Predicted"), ("hits", "Right"), ("precision", "Precision"),
            ("recall", "Recall"), ("low", "Low"), ("high", "High"), ("f1", "F1"),
        )  # fmt: skip
        worst = min(
            (f for f in made if f.key == "class_recall" and f.value is not None),
            key=lambda f: f.value or 0.0,
            default=None,
        )
        return CheckResult(
            MULTICLASS.key, MULTICLASS.version, params.as_dict(), n, (*figures, *made),
            tables=(Table("classes", "Class by class", labels, tuple(rows)), _confusion(matrix, classes)),
            findings=(
                f"{n} rows of {len(classes)} classes; {values['accuracy']:.1%} are right.",
                *((f"Found least often: “{worst.group}”, {worst.value:.1%} of {worst.n}.",) if worst else ()),
            ),
            limits=("Only the class that the model names is judged, not the probabilities it gives.",),
            facts={"classes": len(classes)},
        )  # fmt: skip


def _natural(name: str) -> tuple[int, float, str]:
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name


def _overall(matrix: np.ndarray) -> dict[str, float]:
    """Figures of one matrix, or of many stacked on the first axis reduced to one each by ``float`` at the end."""
    return {key: float(value[0]) for key, value in _figures(matrix[None, :, :].astype("float64")).items()}


def _figures(matrices: np.ndarray) -> dict[str, np.ndarray]:
    """Shape (draws, classes, classes) → each figure, shape (draws,). Definitions as scikit-learn's."""
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
    norm = np.sqrt(spread_said * spread_truth)
    return {
        "accuracy": agreed / n,
        "balanced_accuracy": recall.sum(axis=1) / there.sum(axis=1),
        "macro_f1": f1.sum(axis=1) / known.sum(axis=1),
        "weighted_f1": (f1 * truth).sum(axis=1) / n,
        "kappa": np.divide(n * agreed - chance, n**2 - chance, out=np.zeros_like(n), where=n**2 != chance),
        "mcc": np.divide(n * agreed - chance, norm, out=np.zeros_like(n), where=norm > 0),
    }


def _bootstrap(matrix: np.ndarray, params: MulticlassParams) -> dict[str, tuple[float, float]]:
    """Percentile intervals; resampling rows is one multinomial draw over the cells of the matrix."""
    random = np.random.Generator(np.random.PCG64(params.seed))
    cells = matrix.ravel()
    used = np.flatnonzero(cells)
    draws = np.zeros((params.draws, cells.size))
    draws[:, used] = random.multinomial(int(cells.sum()), cells[used] / cells.sum(), size=params.draws)
    figures = _figures(draws.reshape(-1, *matrix.shape))
    ends = {key: np.quantile(values, (0.025, 0.975)) for key, values in figures.items()}
    return {key: (float(low), float(high)) for key, (low, high) in ends.items()}


def _per_class(
    matrix: np.ndarray, classes: list[str], least: int
) -> tuple[list[Figure], list[tuple[str | int | float | None, ...]]]:
    figures, rows = [], []
    for number, name in enumerate(classes):
        hits, n, said = int(matrix[number, number]), int(matrix[number].sum()), int(matrix[:, number].sum())
        interval = wilson(hits, n) if n else (None, None)
        recall = hits / n if n else None
        precision = hits / said if said else None
        f1 = 2 * hits / (n + said) if n + said else None
        rows.append((name, n, said, hits, precision, recall, *interval, f1))
        spec = _SPECS["class_recall"]
        enough = n >= least
        note = "" if enough else f"The class “{name}” has {n} rows; at least {least} are needed."
        low, high = interval if enough else (None, None)
        figures.append(
            Figure(
                spec.key, spec.label, recall if enough else None, n, spec.better, ci_low=low, ci_high=high, scale="logit",
                group=name, note=note,
            )
        )  # fmt: skip
    return figures, rows


def _confusion(matrix: np.ndarray, classes: list[str]) -> Table:
    shown = classes[:20]
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (name, *(int(x) for x in matrix[number, : len(shown)])) for number, name in enumerate(shown)
    )
    return Table(
        "confusion",
        "Truth (rows) against decision",
        (("truth", "Truth"), *((f"c{i}", c) for i, c in enumerate(shown))),
        rows,
    )
