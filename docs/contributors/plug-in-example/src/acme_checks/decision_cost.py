"""``acme.decision_cost``: what the wrong decisions of a binary classifier cost. Loaded by workers only."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pyarrow as pa

from acme_checks.manifests import DECISION_COST
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.results import CheckError, CheckResult, Figure
from governance.checks.rows import columns
from governance.checks.statistics.counts import counted


@dataclass(frozen=True, slots=True)
class Costs(Params):
    """What a policy may set under ``params``."""

    false_alarm: float = 1.0
    miss: float = 5.0
    threshold: float = 0.5

    def check(self) -> None:
        if not (0 <= self.false_alarm < math.inf and 0 <= self.miss < math.inf):
            raise CheckError("params.value", "A cost must be a finite number, not below 0.")
        if not 0 <= self.threshold <= 1:
            raise CheckError("params.value", "The parameter “threshold” must be from 0 to 1.")


class DecisionCost(Check):
    """State: how often each pair of truth and decision occurs. Such counts add up, however the rows are split."""

    manifest = DECISION_COST
    params = Costs

    def plan(self, inputs: CheckInputs, params: Costs, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        columns.check_binary_label(inputs, both=False)
        columns.check_predictions(inputs)
        return columns.split(inputs, shards)

    def map(self, shard: CheckInputs, params: Costs) -> pa.Table:
        return counted(
            pa.table({"truth": columns.binary_label(shard), "decision": columns.decisions(shard, params.threshold)})
        )

    def finish(self, state: pa.Table, inputs: CheckInputs, params: Costs) -> CheckResult:
        cells = {(row["truth"], row["decision"]): row["count"] for row in state.to_pylist()}
        n, alarms, misses = sum(cells.values()), cells.get((0, 1), 0), cells.get((1, 0), 0)
        mean = (params.false_alarm * alarms + params.miss * misses) / n
        square = (params.false_alarm**2 * alarms + params.miss**2 * misses) / n
        half = 1.96 * math.sqrt(max(square - mean**2, 0.0) / n)
        return CheckResult(
            DECISION_COST.key,
            DECISION_COST.version,
            params.as_dict(),
            n,
            figures=(
                Figure("mean_cost", "Mean cost per row", mean, n, "lower", max(mean - half, 0.0), mean + half),
                Figure("false_alarms", "False alarms", float(alarms), n, "lower"),
                Figure("misses", "Misses", float(misses), n, "lower"),
            ),
            findings=(f"{alarms} false alarms and {misses} misses among {n} rows.",),
            limits=("The normal approximation of the interval needs some dozens of wrong decisions.",),
        )
