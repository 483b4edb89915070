"""``explainability.live``: whether this version leans on other inputs than the live one, for the same rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from governance.checks import pictures
from governance.checks.contract import CheckInputs
from governance.checks.explanations import stability
from governance.checks.explanations.attributions import MIXED, ShapleyParams, around, designed
from governance.checks.explanations.explained import SCALES, Explained, explain, shares
from governance.checks.explanations.shapley import Design, mixed
from governance.checks.explanations.stability import Spread
from governance.checks.manifests.explainability import LIVE
from governance.checks.probing import ProbeCheck, answer_of
from governance.checks.results import Cell, CheckResult, Figure, Picture, Table
from governance.checks.rows.sampling import features_of

_SPECS = {spec.key: spec for spec in LIVE.figures}
_MOST_BARS = 15
_LABELS = (("feature", "Input"), ("share", "Share"), ("live", "Share in the live version"), ("moved", "Moved by"))


class LiveAttributions(ProbeCheck):
    """Both versions are asked the same mixed rows; what cannot be set side by side exactly is sampled for both."""

    manifest = LIVE
    params = ShapleyParams

    def probes(self, inputs: CheckInputs, params: ShapleyParams) -> Mapping[str, pa.Table]:
        return {MIXED: mixed(*designed(inputs, params))}

    def encoded(self, inputs: CheckInputs, params: ShapleyParams) -> pa.Table | None:
        return designed(inputs, params)[0] if params.exact else None

    def finish(self, state: pa.Table, inputs: CheckInputs, params: ShapleyParams) -> CheckResult:
        names = features_of(inputs)
        _, made = designed(inputs, params)
        n = made.shape[0]
        if inputs.live_probes is None:
            reason = "There is no live version to compare with."
            return CheckResult(LIVE.key, LIVE.version, params.as_dict(), n, not_applicable=reason)
        probe = inputs.live_probes[MIXED]
        if probe.predictions is None:
            note = f"The live version gave no answer: {probe.error}"
            figures = tuple(_figure(key, Spread(None), n, note) for key in _SPECS)
            return CheckResult(LIVE.key, LIVE.version, params.as_dict(), n, figures, findings=(note,))
        found, live = _both(inputs, made, names, exact=params.exact)
        drawn, before = (stability.resampled(np.abs(one.values), params.seed) for one in (found, live))
        moved = found.share - live.share
        order = sorted(range(len(names)), key=lambda i: (-abs(moved[i]), names[i]))
        first = order[0]
        each = [one for one in map(stability.spearman, drawn, before) if one is not None]
        alike = [one for one in map(stability.spearman, found.values, live.values) if one is not None]
        most = np.abs(shares(drawn) - shares(before)).max(axis=1)
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (names[i], float(found.share[i]), float(live.share[i]), float(moved[i])) for i in order
        )
        two = "It needs two inputs that make a difference in both versions."
        return CheckResult(
            LIVE.key, LIVE.version, params.as_dict(), n,
            (
                _figure("rank_correlation", around(stability.spearman(found.strength, live.strength), np.array(each)), n, two),
                _figure("largest_mover", around(float(np.abs(moved).max()), most), n),
                _figure("row_correlation", _mean(np.array(alike), params.seed), len(alike), two),
            ),
            tables=(Table("live", "Shares beside the live version's, on the same rows", _LABELS, rows),),
            pictures=(_picture(found, live, names),),
            findings=(f"“{names[first]}” moved most: from {live.share[first]:.0%} when live to {found.share[first]:.0%} now.",),
            limits=(
                f"Both are explained in {SCALES[found.scale]}, {'exactly' if found.method == 'exact' else 'by sampling'}.",
                "Two versions can lean on the same inputs and still decide otherwise: see the comparison of their figures.",
                *(("Rows count alike here: the weights of the rows are not used.",) if inputs.roles.weight else ()),
            ),
            facts={"method": found.method, "scale": found.scale, "why": found.why or live.why},
        )  # fmt: skip


def _both(inputs: CheckInputs, made: Design, names: list[str], *, exact: bool) -> tuple[Explained, Explained]:
    """Both explained in one way, on one scale: what adds up in log-odds is not set beside what does not."""
    mine, theirs = answer_of(inputs, MIXED), (inputs.live_probes or {})[MIXED]
    found = explain(mine, made, inputs.trees, names, exact=exact)
    live = explain(theirs, made, inputs.live_trees, names, exact=exact)
    if (found.method, found.scale) != (live.method, live.scale):
        return explain(mine, made, None, names, exact=False), explain(theirs, made, None, names, exact=False)
    return found, live


def _mean(values: np.ndarray, seed: int) -> Spread:
    if not len(values):
        return Spread(None)
    return around(float(values.mean()), stability.resampled(values[:, None], seed)[:, 0])


def _picture(found: Explained, live: Explained, names: list[str]) -> Picture:
    order = sorted(range(len(names)), key=lambda i: (-max(found.share[i], live.share[i]), names[i]))[:_MOST_BARS]
    rows: list[dict[str, Cell]] = [
        {"x": version, "y": names[i], "value": round(float(one.share[i]), 3)}
        for i in order
        for version, one in (("this version", found), ("live version", live))
    ]
    alt = f"The shares of {len(order)} inputs in this version and in the live one, side by side."
    return pictures.grid("live", "Shares of the inputs", alt, rows, x="Version", y="Input", value="Share")


def _figure(key: str, spread: Spread, n: int, note: str = "") -> Figure:
    spec = _SPECS[key]
    note = note if spread.value is None else ""
    return Figure(spec.key, spec.label, spread.value, n, spec.better, ci_low=spread.low, ci_high=spread.high, note=note)
