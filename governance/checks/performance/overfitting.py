"""``performance.overfitting``: the rows a model was trained on against the test data."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import pictures
from governance.checks.contract import CheckInputs, Params
from governance.checks.figures import Maker
from governance.checks.manifests.performance import OVERFITTING
from governance.checks.performance import errors_of
from governance.checks.performance.binary import EXACT_ROWS, coarse
from governance.checks.performance.calibration import EPSILON
from governance.checks.performance.multiclass import check_classes
from governance.checks.results import Cell, CheckError, CheckResult, Picture
from governance.checks.rowless import WholeCheck
from governance.checks.rows import columns, weighting
from governance.checks.rows.kinds import Kind, kind_of
from governance.checks.statistics import delong, estimates, exact
from governance.checks.statistics.counts import counted, numbers
from governance.checks.statistics.intervals import Interval

_made = Maker(OVERFITTING)
_PERFECT = "The model makes no error worth the name on its training data: it holds the answers, and there is no ratio."
_BEYOND = 1e100
_NAMES = {"auc_gap": "AUC", "accuracy_gap": "Accuracy", "log_loss_gap": "Log loss", "rmse_growth": "RMSE"}
_FIRST: dict[Kind, str] = {"binary": "auc_gap", "multiclass": "accuracy_gap", "regression": "rmse_growth"}


@dataclass(frozen=True, slots=True)
class OverfittingParams(Params):
    """``margin``: a gap that does not matter, of AUC or accuracy, or as growth of RMSE. ``threshold``: for decisions."""

    margin: float = 0.05
    threshold: float = 0.5

    def check(self) -> None:
        if not 0 <= self.margin < 1 or not 0 < self.threshold < 1:
            raise CheckError("params.value", "“margin” must lie in [0, 1) and “threshold” in (0, 1).")


@dataclass(frozen=True, slots=True)
class _Measured:
    """A figure on one side. ``error``: its standard error, where the difference is taken by that."""

    value: float
    interval: Interval | None
    error: float | None = None
    degrees: float = 1.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Gap:
    """The training data's figure, the test data's, and by how much the model does better on the former."""

    train: float
    test: float
    value: float | None
    interval: Interval | None
    note: str = ""


class Overfitting(WholeCheck):
    """Both sides are scored by the same model; each keeps its own rows."""

    manifest = OVERFITTING
    params = OverfittingParams

    def validate(self, inputs: CheckInputs) -> None:
        columns.rows_of(inputs)
        if inputs.training is None:
            return
        if inputs.training_predictions is None:
            raise CheckError(
                "inputs.missing", "This check needs predictions on the training data, and none were given."
            )
        name = inputs.roles.label
        if name is not None and name not in inputs.training.column_names:
            raise CheckError(
                "data.label_missing", f"The training data has no column “{name}”, which is the label.", name
            )

    def finish(self, state: pa.Table, inputs: CheckInputs, params: OverfittingParams) -> CheckResult:
        n = columns.rows_of(inputs).num_rows
        if inputs.training is None:
            reason = "The training data of this version is not sealed here, so there is nothing to compare with."
            return CheckResult(OVERFITTING.key, OVERFITTING.version, params.as_dict(), n, not_applicable=reason)
        sides = (
            _side(inputs, inputs.training, inputs.training_predictions),
            _side(inputs, inputs.data, inputs.predictions),
        )
        kind = kind_of(sides[1], ("predictions",)) if _alike(*sides) else "multiclass"
        train, test = (_measured(side, kind, params.threshold) for side in sides)
        gaps = {key: _gap(key, train[key], test[key]) for key in train}
        rows = n + columns.rows_of(sides[0]).num_rows
        first = gaps[_FIRST[kind]]
        verdict = _verdict(first, params.margin)
        facts: dict[str, Cell] = {
            "task": kind, "verdict": verdict, "margin": params.margin, "training_rows": rows - n, "test_rows": n,
        }  # fmt: skip
        for key, gap in gaps.items():
            name = key.rpartition("_")[0]
            facts |= {f"training_{name}": gap.train, f"test_{name}": gap.test}
        none = "There is no such figure of this task."
        return CheckResult(
            OVERFITTING.key, OVERFITTING.version, params.as_dict(), rows,
            tuple(
                _made(key, gaps[key].value, rows, gaps[key].interval, note=_note(gaps[key]))
                if key in gaps else _made.none(key, rows, none)
                for key in _made.all
            ),
            (), (_picture(gaps),),
            findings=(_sentence(verdict, _FIRST[kind], first, params.margin),),
            limits=(
                "A model may do better on its training data without harm; what counts is how it does on the test data.",
                "Rows that are in both data sets make the gap too small; data.quality counts them.",
                "Intervals take the rows as independent, and weights as given.",
            ),
            facts=facts,
        )  # fmt: skip


def _side(inputs: CheckInputs, data: pa.Table | None, predictions: pa.Table | None) -> CheckInputs:
    """One data set with its predictions; without rows of weight zero."""
    return weighting.checked(replace(inputs, data=data, predictions=predictions, champion=None))


def _alike(train: CheckInputs, test: CheckInputs) -> bool:
    """Whether both sides have scores, or neither has."""
    scored = ["score" in one.predictions.column_names for one in (train, test) if one.predictions is not None]
    return len(set(scored)) == 1


def _measured(side: CheckInputs, kind: Kind, threshold: float) -> dict[str, _Measured]:
    if kind == "regression":
        columns.number_label(side)
        errors_of.predicted(side)
        columns.check_predictions(replace(side, predictions=_only_numbers(side)))
        state = errors_of.state(replace(side, prepared=errors_of.prepared(side, 1)))
        rmse = errors_of.Errors(exact.Sums(state)).rmse
        return {"rmse_growth": _Measured(rmse.value or 0.0, rmse.interval, note=rmse.note)}
    if kind == "multiclass":
        check_classes(side)
        table = side.predictions.column("prediction") if side.predictions is not None else pa.chunked_array([])
        right = pc.equal(columns.words(columns.rows_of(side).column(str(side.roles.label))), columns.words(table))
        keys = {"right": right.cast(pa.int8()), "weight": weighting.units(side)}
        return {"accuracy_gap": _accuracy(counted(pa.table(keys)))}
    columns.check_binary_label(side)
    columns.check_predictions(side, scores=True)
    return _of_scores(side, threshold)


def _only_numbers(side: CheckInputs) -> pa.Table | None:
    return None if side.predictions is None else side.predictions.select(["prediction"])


def _of_scores(side: CheckInputs, threshold: float) -> dict[str, _Measured]:
    y, score = columns.binary_label(side), columns.scores(side)
    decision = columns.decisions(side, threshold)
    if score is not None and len(y) > EXACT_ROWS:
        score = pa.array(coarse(score.to_numpy()))
    right = pc.equal(decision, y).cast(pa.int8())
    state = counted(pa.table({"score": score, "y": y, "right": right, "weight": weighting.units(side)}))
    values, truth, count = numbers(state, "score"), numbers(state, "y").astype("int64"), numbers(state, "count")
    weight = numbers(state, "weight") / weighting.UNIT
    found = delong.auc(values, truth, count, weight)
    clipped = np.clip(values, EPSILON, 1 - EPSILON)
    loss, error, _ = estimates.mean_of(-np.where(truth == 1, np.log(clipped), np.log1p(-clipped)), count, weight)
    return {
        "auc_gap": _Measured(found.value, found.interval()),
        "accuracy_gap": _accuracy(state),
        "log_loss_gap": _Measured(loss, None, error, weighting.effective(count, weight) - 1),
    }


def _accuracy(state: pa.Table) -> _Measured:
    count, weight = numbers(state, "count"), numbers(state, "weight") / weighting.UNIT
    mass = count * weight
    rate = float(mass[numbers(state, "right") == 1].sum() / mass.sum())
    return _Measured(rate, estimates.rate_interval(rate, weighting.effective(count, weight)))


def _gap(key: str, train: _Measured, test: _Measured) -> _Gap:
    if key == "rmse_growth":
        return _growth(train, test)
    if train.error is not None and test.error is not None:
        value, error = test.value - train.value, math.hypot(train.error, test.error)
        parts = sum(one.error**4 / max(one.degrees, 1.0) for one in (train, test) if one.error)
        degrees = error**4 / parts if parts else 1.0
        return _Gap(train.value, test.value, value, estimates.around(value, error, degrees))
    interval = None
    if train.interval is not None and test.interval is not None:
        interval = estimates.difference(train.value, train.interval, test.value, test.interval)
    return _Gap(train.value, test.value, train.value - test.value, interval)


def _note(gap: _Gap) -> str:
    return _PERFECT if gap.value is None else gap.note


def _growth(train: _Measured, test: _Measured) -> _Gap:
    if test.value > _BEYOND * train.value or not train.value:
        return _Gap(train.value, test.value, None, None)
    value = test.value / train.value - 1
    if train.interval is None or test.interval is None or not test.value:
        return _Gap(train.value, test.value, value, None, test.note or train.note)
    logs = [
        (math.log(one.value), (math.log(one.interval[0]), math.log(one.interval[1])))
        for one in (test, train)
        if one.interval is not None
    ]
    low, high = estimates.difference(*logs[0], *logs[1])
    return _Gap(train.value, test.value, value, (math.expm1(low), math.expm1(min(high, 700.0))))


def _verdict(gap: _Gap, margin: float) -> str:
    if gap.value is None:
        return "overfits" if gap.test > 0 else "does not overfit"
    if gap.interval is None:
        return "not known"
    low, high = gap.interval
    return "overfits" if low > margin else "does not overfit" if high <= margin else "not clear"


def _sentence(verdict: str, key: str, gap: _Gap, margin: float) -> str:
    digits = ".4g" if key == "rmse_growth" else ".3f"
    name = _NAMES[key]
    said = f"{name} is {gap.train:{digits}} on the training data and {gap.test:{digits}} on the test data"
    if gap.value is None:
        return f"{said}. {_PERFECT}"
    if gap.interval is None:
        return f"{said}. {gap.note}" if gap.note else f"{said}; there are too few rows for an interval."
    low, high = gap.interval
    what = "growth" if key == "rmse_growth" else "gap"
    words = {
        "overfits": "the model overfits: the whole interval lies beyond",
        "does not overfit": "the model does not overfit: the whole interval lies within",
        "not clear": "whether the model overfits is not clear: the interval is not wholly on one side of",
    }
    return f"{said} ({what} {gap.value:.3f}, {low:.3f} to {high:.3f}); {words[verdict]} the margin of {margin:g}."


def _picture(gaps: dict[str, _Gap]) -> Picture:
    rows: list[dict[str, Cell]] = [
        {
            "name": _NAMES[key], "value": gap.value, "low": gap.interval[0] if gap.interval else None,
            "high": gap.interval[1] if gap.interval else None,
        }
        for key, gap in gaps.items()
    ]  # fmt: skip
    alt = (
        "How much better the model does on its training data than on the test data, by metric, with intervals; at zero it does "
        "equally well."
    )
    return pictures.ranges("gaps", "Training data against test data", alt, rows, value="Gap", by="Metric", line=0.0)
