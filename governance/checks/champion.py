"""``compare.champion``: this version against the live one, on the same rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pyarrow as pa

from governance.checks import columns, delong
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.counts import counted, numbers
from governance.checks.intervals import Z, wilson
from governance.checks.manifests.performance import CHAMPION
from governance.checks.results import CheckError, CheckResult, Figure


@dataclass(frozen=True, slots=True)
class ChampionParams(Params):
    """``margin``: a difference of AUC that does not matter. ``threshold``: for the decisions that change."""

    margin: float = 0.01
    threshold: float = 0.5

    def check(self) -> None:
        if not 0 <= self.margin < 1 or not 0 < self.threshold < 1:
            raise CheckError("params.value", "“margin” must lie in [0, 1) and “threshold” in (0, 1).")


class ChampionComparison(Check):
    """State: counts of (score, live score, y). Without a live version the check does not apply."""

    manifest = CHAMPION
    params = ChampionParams

    def plan(self, inputs: CheckInputs, params: ChampionParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        columns.check_binary_label(inputs)
        columns.check_predictions(inputs, scores=True)
        if inputs.champion is not None:
            columns.check_predictions(inputs, "champion", scores=True)
        return columns.split(inputs, shards)

    def map(self, shard: CheckInputs, params: ChampionParams) -> pa.Table:
        y, own = columns.binary_label(shard), columns.scores(shard)
        live = pa.nulls(len(y), pa.float64()) if shard.champion is None else columns.scores(shard, "champion")
        return counted(pa.table({"score": own, "live": live, "y": y}))

    def finish(self, state: pa.Table, inputs: CheckInputs, params: ChampionParams) -> CheckResult:
        count = numbers(state, "count")
        n = int(count.sum())
        if inputs.champion is None:
            reason = "There is no live version to compare with."
            return CheckResult(CHAMPION.key, CHAMPION.version, params.as_dict(), n, not_applicable=reason)
        own, live, y = (numbers(state, name) for name in ("score", "live", "y"))
        first, second, variance = delong.difference(own, live, y.astype("int64"), count)
        value = first.value - second.value
        half = None if variance is None else Z * math.sqrt(variance)
        low, high = (None, None) if half is None else (value - half, value + half)
        flipped = int(count[(own >= params.threshold) != (live >= params.threshold)].sum())
        flip_low, flip_high = wilson(flipped, n)
        specs = {spec.key: spec for spec in CHAMPION.figures}
        figures = (
            Figure("auc_difference", specs["auc_difference"].label, value, n, "higher", ci_low=low, ci_high=high),
            Figure(
                "flip_share", specs["flip_share"].label, flipped / n, n, "lower", ci_low=flip_low, ci_high=flip_high
            ),
        )
        return CheckResult(
            CHAMPION.key, CHAMPION.version, params.as_dict(), n, figures,
            findings=(_sentence(low, high, first.value, second.value, params.margin),),
            limits=("Both versions are compared on this test set only.",),
            facts={"auc": first.value, "live_auc": second.value},
        )  # fmt: skip


def _sentence(low: float | None, high: float | None, own: float, live: float, margin: float) -> str:
    if low is None or high is None:
        word = "No clear difference"
    elif low > margin:
        word = "Better"
    elif high < -margin:
        word = "Worse"
    else:
        word = "No clear difference"
    return f"{word}: AUC {own:.3f} against {live:.3f} of the live version (margin {margin:g})."
