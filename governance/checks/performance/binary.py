"""``performance.binary``: how well a binary classifier separates, calibrates and decides."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.figures import Maker
from governance.checks.manifests.performance import BINARY
from governance.checks.performance import calibration, decisions, gains
from governance.checks.performance.calibration import EPSILON, Rows
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rows import columns, weighting
from governance.checks.statistics import delong, estimates
from governance.checks.statistics.counts import counted, numbers

_NO_SCORES = "The model gives no probabilities, only labels."
_OF_SCORES = (
    "auc", "average_precision", "log_loss", "brier", "ece", "calibration_slope", "calibration_intercept", "lift",
)  # fmt: skip
EXACT_ROWS = 2_000_000
"""With more rows scores are kept to so many binary digits, so that memory is bounded:"""
DIGITS = 14
_SMALL = (
    "Below about 100 rows the interval of the calibration error may be wider than it says (up to 99 % instead of 95 %); so are "
    "those of precision and balanced accuracy where they rest on fewer than about ten rows."
)
_made = Maker(BINARY)


@dataclass(frozen=True, slots=True)
class BinaryParams(Params):
    """``threshold``: a score at or above it is a positive decision. ``bins``: of the calibration error.

    ``top``: the share of rows, highest scores first, of which the lift is given. ``draws`` and ``seed`` of the noise that
    the interval of the calibration error is made from.
    """

    threshold: float = 0.5
    bins: int = 10
    top: float = 0.1
    draws: int = 1000
    seed: int = 0

    def check(self) -> None:
        if not 0 < self.threshold < 1:
            raise CheckError("params.value", "The parameter “threshold” must lie between 0 and 1.")
        if not 2 <= self.bins <= 100:
            raise CheckError("params.value", "The parameter “bins” must be from 2 to 100.")
        if not 0 < self.top < 1:
            raise CheckError("params.value", "The parameter “top” must lie between 0 and 1.")
        if not 100 <= self.draws <= 10_000 or self.seed < 0:
            raise CheckError("params.value", "“draws” must be from 100 to 10000 and “seed” not negative.")


class BinaryPerformance(Check):
    """State: counts of (score, y, decision, weight). All figures are exact functions of it."""

    manifest = BINARY
    params = BinaryParams

    def plan(self, inputs: CheckInputs, params: BinaryParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        columns.check_binary_label(inputs)
        columns.check_predictions(inputs)
        counting = weighting.checked(inputs)
        columns.check_binary_label(counting)  # rows of weight zero may have been all of a class
        prepared = {"coarse": columns.rows_of(counting).num_rows > EXACT_ROWS}
        return columns.split(replace(counting, prepared=prepared), shards)

    def map(self, shard: CheckInputs, params: BinaryParams) -> pa.Table:
        y = columns.binary_label(shard)
        score = columns.scores(shard)
        decision = columns.decisions(shard, params.threshold)
        if score is None:
            score = pa.nulls(len(y), pa.float64())
        elif (shard.prepared or {}).get("coarse"):
            score = pa.array(coarse(score.to_numpy()))
        return counted(pa.table({"score": score, "y": y, "decision": decision, "weight": weighting.units(shard)}))

    def finish(self, state: pa.Table, inputs: CheckInputs, params: BinaryParams) -> CheckResult:
        count, weight = numbers(state, "count"), numbers(state, "weight") / weighting.UNIT
        y, decision = (numbers(state, name).astype("int64") for name in ("y", "decision"))
        n = int(count.sum())
        scored = state.column("score").null_count == 0
        decided = decisions.Decided.of(y, decision, count, weight)
        figures: list[Figure] = []
        tables: list[Table] = [decided.table()]
        pictures: list[Picture] = []
        findings: list[str] = []
        limits: list[str] = []
        if scored:
            rows = Rows(numbers(state, "score"), y, count, weight)
            figures, findings = _of_scores(rows, params, n)
            made = {figure.key: figure.value or 0.0 for figure in figures}
            ranked = gains.ranked(rows)
            reliability, lifts = calibration.table(rows, params.bins), gains.table(rows, ranked)
            tables += [reliability, lifts, decisions.by_threshold(rows)]
            pictures = [
                calibration.picture(reliability, made["ece"]), gains.roc_picture(ranked, made["auc"]),
                gains.pr_picture(ranked, made["average_precision"]), gains.gains_picture(lifts, float(lifts.rows[0][2] or 0)),
            ]  # fmt: skip
            if n > EXACT_ROWS:
                limits.append(_coarse_limit(rows))
        else:
            figures = [_made.none(key, n, _NO_SCORES) for key in _OF_SCORES]
        worth = weighting.effective(count, weight)
        facts: dict[str, Cell] = {
            "positives": int((count * y).sum()),
            "base_rate": decided.base_rate,
            "effective_rows": worth,
        }
        return CheckResult(
            BINARY.key, BINARY.version, params.as_dict(), n, (*figures, *decided.figures(_made)), tuple(tables), tuple(pictures),
            findings=(
                f"{n} rows, of which {facts['positives']} are positive ({decided.base_rate:.1%}).",
                *weighting.said(inputs, worth), *findings,
            ),
            limits=(
                "The figures hold for data like this test set; they say nothing about other populations.",
                "Intervals take the rows as independent, and weights as given.",
                _SMALL,
                *limits,
            ),
            facts=facts,
        )  # fmt: skip


def coarse(score: np.ndarray) -> np.ndarray:
    """Scores to 14 significant binary digits of their distance from 0 or 1, whichever is nearer."""
    near = np.where(score < 0.5, score, 1 - score)
    mantissa, exponent = np.frexp(near)
    kept = np.ldexp(np.rint(mantissa * 2.0**DIGITS), exponent - DIGITS)
    made: np.ndarray = np.where(score < 0.5, kept, 1 - kept)
    return made


def _coarse_limit(rows: Rows) -> str:
    of = gains.ranked(rows)
    negative, positive = (np.diff(one, prepend=0.0) for one in (of.seen - of.hits, of.hits))
    within = float((negative * positive).sum() / negative.sum() / positive.sum()) / 2
    return (
        f"With more than {EXACT_ROWS:,} rows scores are kept to {DIGITS} binary digits: the AUC is exact to {within:.1g}, log "
        f"loss and Brier score to {2.0**-DIGITS:.1g}."
    )


def _of_scores(rows: Rows, params: BinaryParams, n: int) -> tuple[list[Figure], list[str]]:
    found = delong.auc(rows.score, rows.y, rows.count, rows.weight)
    clipped = np.clip(rows.score, EPSILON, 1 - EPSILON)
    loss = -(rows.y * np.log(clipped) + (1 - rows.y) * np.log1p(-clipped))
    ranked = gains.ranked(rows)
    precision, of_precision = gains.average_precision(rows, ranked)
    error = calibration.error(rows, params.bins, draws=params.draws, seed=params.seed)
    again = calibration.recalibration(rows)
    lift = gains.lift(rows, ranked, params.top)
    few = "One class has fewer than two rows."
    figures = [
        _made("auc", found.value, n, found.interval(), scale="logit", note="" if found.variance is not None else few),
        _made("average_precision", precision, n, of_precision, scale="logit"),
        _loss("log_loss", loss, rows, n),
        _loss("brier", (rows.score - rows.y) ** 2, rows, n),
        _made("ece", error.value, n, error.interval),
        _made("calibration_slope", again.slope, n, again.of_slope, note=again.note),
        _made("calibration_intercept", again.intercept, n, again.of_intercept),
        _made("lift", lift.value, n, lift.interval, note=f"The top {params.top:.0%} of the rows."),
    ]
    return figures, [_said(error, again), _lifted(lift, params.top)]


def _loss(key: str, values: np.ndarray, rows: Rows, n: int) -> Figure:
    """Mean loss, Student's interval on the log scale.

    Degrees of freedom by Satterthwaite (1946) over both classes, since a few positives may carry all of the variance; the
    variance of the logarithm is widened by n / (n - 2).
    """
    mean, error, _ = estimates.mean_of(values, rows.count, rows.weight)
    squares = rows.count * (rows.weight * (values - mean)) ** 2
    of = [
        (float(squares[one].sum()), weighting.effective(rows.count[one], rows.weight[one]))
        for one in (rows.y == 0, rows.y == 1)
    ]
    variances, counts = (np.array(one) for one in zip(*of, strict=True))
    worth = float(weighting.effective(rows.count, rows.weight))
    if n < 2 or worth <= 2:
        return _made(key, mean, n, None, scale="log")
    degrees = min(worth - 1, estimates.satterthwaite(variances, counts + 0.5))
    return _made(key, mean, n, estimates.positive(mean, error * math.sqrt(worth / (worth - 2)), degrees), scale="log")


def _said(error: calibration.Error, again: calibration.Recalibration) -> str:
    chance = f"a perfectly calibrated model would show {error.by_chance:.3f} on average in such a sample"
    if again.slope is None or again.of_slope is None:
        return f"Calibration error {error.value:.3f}; {chance}."
    low, high = again.of_slope
    word = "too extreme" if high < 1 else "too timid" if low > 1 else "neither clearly too extreme nor too timid"
    return f"Calibration error {error.value:.3f}; {chance}. Slope {again.slope:.2f}: the scores are {word}."


def _lifted(lift: gains.Lift, top: float) -> str:
    low, high = lift.interval
    return f"The {top:.0%} of rows scored highest hold {lift.value:.2f} times their share of positives ({low:.2f} to {high:.2f})."
