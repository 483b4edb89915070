"""``performance.regression``: errors of a regression, over all rows and by quantile of the prediction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pyarrow as pa

from governance.checks import pictures
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.figures import Maker
from governance.checks.manifests.performance import REGRESSION
from governance.checks.performance import errors_of
from governance.checks.performance.errors_of import Errors, Estimate
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rows import columns, weighting
from governance.checks.statistics import exact

_HEAVY = (
    "No interval can allow for large errors that are rare and none of whose rows is in the sample: where one error in twenty is "
    "three times larger, that of RMSE holds 91 to 92 % instead of 95 %. Where errors are more one-sided than exponential ones "
    "(L-skewness above 0.4), RMSE and R², and of few rows MAE, have no interval, and a limit on them is answered with "
    "“insufficient data”; up to 200 rows a sample of such errors may look less one-sided than they are."
)
_made = Maker(REGRESSION)


@dataclass(frozen=True, slots=True)
class RegressionParams(Params):
    """``bins``: into how many parts of equal size the rows are cut, by prediction, for the table of residuals."""

    bins: int = 10

    def check(self) -> None:
        if not 1 <= self.bins <= 100:
            raise CheckError("params.value", "The parameter “bins” must be from 1 to 100.")


class RegressionPerformance(Check):
    """State: exact sums of powers of errors and labels, by quantile of the prediction. No row is kept."""

    manifest = REGRESSION
    params = RegressionParams

    def plan(self, inputs: CheckInputs, params: RegressionParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        columns.number_label(inputs)
        columns.check_predictions(inputs)
        errors_of.predicted(inputs)
        counting = weighting.checked(inputs)
        return columns.split(replace(counting, prepared=errors_of.prepared(counting, params.bins)), shards)

    def map(self, shard: CheckInputs, params: RegressionParams) -> pa.Table:
        return errors_of.state(shard)

    def merge(self, states: Iterable[pa.Table]) -> pa.Table:
        return exact.merged(states)

    def finish(self, state: pa.Table, inputs: CheckInputs, params: RegressionParams) -> CheckResult:
        sums = exact.Sums(state)
        of = Errors(sums)
        table = _residuals(sums)
        return CheckResult(
            REGRESSION.key, REGRESSION.version, params.as_dict(), of.n,
            (
                _figure("rmse", of.rmse, of.n), _figure("mae", of.mae, of.n),
                _figure("r2", of.r2, of.n, empty="Every row has the same label."),
            ),
            (table,), (_picture(table),),
            findings=(
                f"{of.n} rows; the label's mean is {of.label:.4g}.", *weighting.said(inputs, of.worth), *_tilt(of.bias),
            ),
            limits=(
                "Intervals take the rows as independent, and weights as given.",
                _HEAVY,
            ),
            facts={"label_mean": of.label, "bias": of.bias.value, "effective_rows": of.worth},
        )  # fmt: skip


def _figure(key: str, of: Estimate, n: int, *, empty: str = "") -> Figure:
    return _made(key, of.value, n, of.interval, note=empty if of.value is None else of.note)


def _tilt(bias: Estimate) -> tuple[str, ...]:
    if bias.value is None or bias.interval is None:
        return ()
    low, high = bias.interval
    word = "too low" if low > 0 else "too high" if high < 0 else ""
    if not word:
        return ("On average predictions are neither clearly too high nor too low.",)
    near, far = sorted((abs(low), abs(high)))
    return (f"On average predictions are {abs(bias.value):.4g} {word} ({near:.4g} to {far:.4g}).",)


_LABELS = (
    ("from", "Prediction above"), ("to", "Up to"), ("n", "Rows"), ("prediction", "Mean prediction"), ("label", "Mean label"),
    ("residual", "Mean residual"), ("low", "Low"), ("high", "High"), ("rmse", "RMSE"), ("mae", "MAE"),
)  # fmt: skip


def _residuals(sums: exact.Sums) -> Table:
    edges: list[float] = sums.constants.get("edges", [])
    rows: list[tuple[Cell, ...]] = []
    for cell in sums.cells:
        of = Errors(sums, cell)
        rows.append((
            edges[cell - 1] if cell else None, edges[cell] if cell < len(edges) else None, of.n, of.prediction, of.label,
            of.bias.value, *(of.bias.interval or (None, None)), of.rmse.value, of.mae.value,
        ))  # fmt: skip
    return Table("residuals", "Residuals by prediction", _LABELS, tuple(rows))


def _picture(table: Table) -> Picture:
    rows = [
        {"name": f"{row[3]:.4g}", "value": row[5], "low": row[6], "high": row[7]}
        for row in table.rows
    ]  # fmt: skip
    off = sum(row[6] is not None and (float(row[6]) > 0 or float(row[7] or 0) < 0) for row in table.rows)
    alt = f"Mean residual with its interval in {len(rows)} parts of the rows by prediction; {off} of them lie off zero."
    return pictures.ranges(
        "residuals",
        "Residuals by prediction",
        alt,
        rows,
        value="Label minus prediction",
        by="Mean prediction",
        line=0.0,
    )
