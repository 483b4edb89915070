"""``performance.binary``: how well a binary classifier separates, calibrates and decides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from governance.checks import columns, delong
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.counts import counted, numbers
from governance.checks.intervals import Interval, mean_interval, wilson
from governance.checks.manifests.performance import BINARY
from governance.checks.results import CheckError, CheckResult, Figure, Scale, Table

_NO_SCORES = "The model gives no probabilities, only labels."
_EPSILON = 2.0**-52


@dataclass(frozen=True, slots=True)
class BinaryParams(Params):
    """``threshold``: a score at or above it is a positive decision. ``bins``: of the calibration error."""

    threshold: float = 0.5
    bins: int = 10

    def check(self) -> None:
        if not 0 < self.threshold < 1:
            raise CheckError("params.value", "The parameter “threshold” must lie between 0 and 1.")
        if not 2 <= self.bins <= 100:
            raise CheckError("params.value", "The parameter “bins” must be from 2 to 100.")


class BinaryPerformance(Check):
    """State: counts of (score, y, decision). All figures are exact functions of it."""

    manifest = BINARY
    params = BinaryParams

    def plan(self, inputs: CheckInputs, params: BinaryParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        columns.check_binary_label(inputs)
        columns.check_predictions(inputs)
        return columns.split(inputs, shards)

    def map(self, shard: CheckInputs, params: BinaryParams) -> pa.Table:
        y = columns.binary_label(shard)
        score = columns.scores(shard)
        score = pa.nulls(len(y), pa.float64()) if score is None else score
        return counted(pa.table({"score": score, "y": y, "decision": columns.decisions(shard, params.threshold)}))

    def finish(self, state: pa.Table, inputs: CheckInputs, params: BinaryParams) -> CheckResult:
        y, decision = numbers(state, "y").astype("int64"), numbers(state, "decision").astype("int64")
        count = numbers(state, "count")
        n = int(count.sum())
        scored = state.column("score").null_count == 0
        cells = [int(count[(y == a) & (decision == b)].sum()) for a in (0, 1) for b in (0, 1)]
        figures = [
            *(_of_scores(numbers(state, "score"), y, count, params, n) if scored else _none(n)),
            *_of_decisions(*cells),
        ]
        positives = cells[2] + cells[3]
        confusion = Table(
            "confusion",
            "Decisions against truth",
            (("truth", "Truth"), ("negative", "Decided 0"), ("positive", "Decided 1")),
            (("0", cells[0], cells[1]), ("1", cells[2], cells[3])),
        )
        tables = (confusion, _calibration(numbers(state, "score"), y, count, params.bins)) if scored else (confusion,)
        return CheckResult(
            check=BINARY.key,
            version=BINARY.version,
            params=params.as_dict(),
            n=n,
            figures=tuple(figures),
            tables=tables,
            findings=(f"{n} rows, of which {positives} are positive ({positives / n:.1%}).",),
            limits=("The figures hold for data like this test set; they say nothing about other populations.",),
            facts={"positives": positives, "base_rate": positives / n},
        )


def _figure(
    key: str,
    value: float | None,
    n: int,
    interval: Interval | None = None,
    *,
    note: str = "",
    scale: Scale = "identity",
) -> Figure:
    spec = next(spec for spec in BINARY.figures if spec.key == key)
    low, high = interval or (None, None)
    return Figure(key, spec.label, value, n, spec.better, ci_low=low, ci_high=high, note=note, scale=scale)


def _none(n: int) -> list[Figure]:
    keys = ("auc", "average_precision", "log_loss", "brier", "ece")
    return [_figure(key, None, n, note=_NO_SCORES) for key in keys]


def _of_scores(score: np.ndarray, y: np.ndarray, count: np.ndarray, params: BinaryParams, n: int) -> list[Figure]:
    found = delong.auc(score, y, count)
    clipped = np.clip(score, _EPSILON, 1 - _EPSILON)
    loss = -(y * np.log(clipped) + (1 - y) * np.log(1 - clipped))
    brier = (score - y) ** 2
    return [
        _figure("auc", found.value, n, found.interval(), scale="logit"),
        _figure("average_precision", _average_precision(score, y, count), n),
        _mean("log_loss", loss, count, n),
        _mean("brier", brier, count, n),
        _figure("ece", _ece(score, y, count, params.bins), n),
    ]


def _mean(key: str, values: np.ndarray, count: np.ndarray, n: int) -> Figure:
    mean = float((values * count).sum() / n)
    variance = float((count * (values - mean) ** 2).sum() / (n - 1)) if n > 1 else 0.0
    return _figure(key, mean, n, mean_interval(mean, variance, n))


def _average_precision(score: np.ndarray, y: np.ndarray, count: np.ndarray) -> float:
    """Σ (Rₖ - Rₖ₋₁) Pₖ over distinct scores from the highest down, as scikit-learn defines it."""
    values, at = np.unique(-score, return_inverse=True)
    hits = np.cumsum(np.bincount(at, weights=count * y, minlength=len(values)))
    total = np.cumsum(np.bincount(at, weights=count, minlength=len(values)))
    recall = hits / hits[-1]
    return float((np.diff(recall, prepend=0.0) * (hits / total)).sum())


def _bins(score: np.ndarray, bins: int) -> np.ndarray:
    made: np.ndarray = np.minimum((score * bins).astype("int64"), bins - 1)
    return made


def _ece(score: np.ndarray, y: np.ndarray, count: np.ndarray, bins: int) -> float:
    at = _bins(score, bins)
    gaps = np.bincount(at, weights=count * (y - score), minlength=bins)
    return float(np.abs(gaps).sum() / count.sum())


def _calibration(score: np.ndarray, y: np.ndarray, count: np.ndarray, bins: int) -> Table:
    at = _bins(score, bins)
    rows = []
    for number in range(bins):
        here = at == number
        n = int(count[here].sum())
        if n:
            hits = int((count * y)[here].sum())
            mean = float((count * score)[here].sum() / n)
            rows.append((number / bins, (number + 1) / bins, n, mean, hits / n, *wilson(hits, n)))
    labels = (
        ("from", "From"),
        ("to", "To"),
        ("n", "Rows"),
        ("score", "Mean score"),
        ("rate", "Observed rate"),
        ("low", "Low"),
        ("high", "High"),
    )
    return Table("calibration", "Calibration", labels, tuple(rows))


def _of_decisions(tn: int, fp: int, fn: int, tp: int) -> list[Figure]:
    n = tn + fp + fn + tp
    f1 = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None
    return [
        _rate("accuracy", tp + tn, n, "There are no rows."),
        _rate("precision", tp, tp + fp, "No row was decided positive."),
        _rate("recall", tp, tp + fn, "No row is positive."),
        _figure("f1", f1, n, note="" if f1 is not None else "No row is or was decided positive."),
    ]


def _rate(key: str, hits: int, n: int, empty: str) -> Figure:
    if n == 0:
        return _figure(key, None, 0, note=empty)
    return _figure(key, hits / n, n, wilson(hits, n), scale="logit")
