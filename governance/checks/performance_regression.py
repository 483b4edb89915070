"""``performance.regression``: errors of a regression with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import columns
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.counts import counted, numbers
from governance.checks.manifests.performance import REGRESSION
from governance.checks.results import CheckError, CheckResult, Figure


@dataclass(frozen=True, slots=True)
class RegressionParams(Params):
    """``draws`` of the bootstrap and its ``seed``."""

    draws: int = 500
    seed: int = 0

    def check(self) -> None:
        if not 100 <= self.draws <= 10_000:
            raise CheckError("params.value", "The parameter “draws” must be from 100 to 10000.")
        if self.seed < 0:
            raise CheckError("params.value", "The parameter “seed” must not be negative.")


class RegressionPerformance(Check):
    """State: counts of (y, prediction)."""

    manifest = REGRESSION
    params = RegressionParams

    def plan(self, inputs: CheckInputs, params: RegressionParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        columns.number_label(inputs)
        columns.check_predictions(inputs)
        table = inputs.predictions
        column = table.column("prediction") if table is not None and "prediction" in table.column_names else None
        if column is None or not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
            raise CheckError("data.predictions_invalid", "A regression must predict numbers.", "prediction")
        if not pc.all(pc.is_finite(column)).as_py():
            raise CheckError("data.predictions_invalid", "Some predictions are not finite numbers.", "prediction")
        return columns.split(inputs, shards)

    def map(self, shard: CheckInputs, params: RegressionParams) -> pa.Table:
        y = columns.number_label(shard)
        predicted = pa.table({"p": [] if shard.predictions is None else shard.predictions.column("prediction")})
        return counted(pa.table({"y": y, "prediction": predicted.column("p").combine_chunks().cast(pa.float64())}))

    def finish(self, state: pa.Table, inputs: CheckInputs, params: RegressionParams) -> CheckResult:
        y, predicted, count = (numbers(state, name) for name in ("y", "prediction", "count"))
        n = int(count.sum())
        values = _figures(y, predicted, count.astype("float64"))
        random = np.random.Generator(np.random.PCG64(params.seed))
        draws = np.array([_figures(y, predicted, w) for w in _weights(random, count, n, params.draws)])
        figures = []
        for number, spec in enumerate(REGRESSION.figures):
            value = values[number]
            if np.isnan(value):
                figures.append(Figure(spec.key, spec.label, None, n, spec.better, note="Every row has the same label."))
                continue
            kept = draws[:, number][~np.isnan(draws[:, number])]
            low, high = (float(x) for x in np.quantile(kept, (0.025, 0.975))) if len(kept) and n > 1 else (None, None)
            figures.append(Figure(spec.key, spec.label, float(value), n, spec.better, ci_low=low, ci_high=high))
        return CheckResult(
            check=REGRESSION.key, version=REGRESSION.version, params=params.as_dict(), n=n, figures=tuple(figures),
            findings=(f"{n} rows; the label's mean is {float((y * count).sum() / n):.4g}.",),
            limits=("Percentile bootstrap: below about 30 rows its intervals are too short.",),
        )  # fmt: skip


def _weights(random: np.random.Generator, count: np.ndarray, n: int, draws: int) -> np.ndarray:
    """Resampling n rows with replacement is one multinomial draw over the distinct rows."""
    return random.multinomial(n, count / n, size=draws).astype("float64")


def _figures(y: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> tuple[float, float, float]:
    n = weight.sum()
    error = y - predicted
    squares = float((weight * error**2).sum())
    mean = (weight * y).sum() / n
    spread = float((weight * (y - mean) ** 2).sum())
    r2 = 1 - squares / spread if spread > 0 else float("nan")
    return float(np.sqrt(squares / n)), float((weight * np.abs(error)).sum() / n), r2
