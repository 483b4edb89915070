"""``performance.slices``: where the model errs more than elsewhere, over single columns and pairs of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import stats

from governance.checks import columns
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.counts import counted, merged
from governance.checks.distances import benjamini_hochberg
from governance.checks.intervals import Interval, newcombe, wilson
from governance.checks.manifests.performance import SLICES
from governance.checks.results import Cell, CheckError, CheckResult, Figure, Table
from governance.checks.sampling import is_number

_SPECS = {spec.key: spec for spec in SLICES.figures}
_PLACES = ("column", "slice", "second", "other")
MOST_COLUMNS = 40


@dataclass(frozen=True, slots=True)
class SlicesParams(Params):
    """Numbers are cut into ``bins`` of equal size; a slice needs ``min_rows``.

    ``pairs``: also slice by every two columns. A slice is flagged when its error rate exceeds that of all other rows by
    more than ``margin`` and the test says so at ``alpha``, adjusted over all slices tried.
    """

    threshold: float = 0.5
    bins: int = 4
    min_rows: int = 50
    pairs: bool = True
    margin: float = 0.0
    alpha: float = 0.05

    def check(self) -> None:
        if not 0 < self.threshold < 1 or not 0 < self.alpha < 1 or not 0 <= self.margin < 1:
            raise CheckError("params.value", "“threshold” and “alpha” must lie between 0 and 1, “margin” in [0, 1).")
        if not 2 <= self.bins <= 20 or self.min_rows < 10:
            raise CheckError("params.value", "“bins” must be from 2 to 20 and “min_rows” at least 10.")


class WorstSlices(Check):
    """State: counts of (column or pair, slice, wrong). The edges of the bins are set by ``plan`` over all rows."""

    manifest = SLICES
    params = SlicesParams

    def plan(self, inputs: CheckInputs, params: SlicesParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        data = columns.rows_of(inputs)
        name = inputs.roles.label
        columns.check_whole(columns.column(data, name, code="data.label_missing", what="label"), name)
        columns.check_predictions(inputs)
        if inputs.predictions is not None and "score" in inputs.predictions.column_names:
            columns.check_binary_label(inputs, both=False)
        edges = {}
        for one in _sliced(inputs):
            values = data.column(one)
            if is_number(values.type) and len(pc.unique(values)) > params.bins:
                present = values.cast(pa.float64()).drop_null().to_numpy()
                present = present[np.isfinite(present)]
                shares = np.linspace(0, 1, params.bins + 1)[1:-1]
                edges[one] = (
                    np.unique(np.quantile(present, shares, method="inverted_cdf")).tolist() if len(present) else []
                )
            elif len(pc.unique(values)) > columns.MAX_GROUPS:
                edges[one] = None
        if len(_sliced(inputs)) > MOST_COLUMNS:
            raise CheckError(
                "data.columns_many", f"Slices are sought over at most {MOST_COLUMNS} columns; name the features."
            )
        return columns.split(replace(inputs, prepared={"edges": edges}), shards)

    def map(self, shard: CheckInputs, params: SlicesParams) -> pa.Table:
        data = columns.rows_of(shard)
        edges = (shard.prepared or {}).get("edges", {})
        wrong = _wrong(shard, params.threshold)
        cut = {
            name: _slices(data, name, edges.get(name, ())) for name in _sliced(shard) if edges.get(name, ()) is not None
        }
        states = [_counted({}, wrong), *(_counted({name: labels}, wrong) for name, labels in cut.items())]
        if params.pairs:
            states += [_counted({one: cut[one], other: cut[other]}, wrong) for one, other in combinations(cut, 2)]
        return merged(states)

    def finish(self, state: pa.Table, inputs: CheckInputs, params: SlicesParams) -> CheckResult:
        cells: dict[tuple[str, ...], list[int]] = {}
        for row in state.to_pylist():
            key = tuple(row[name] for name in _PLACES)
            cells.setdefault(key, [0, 0])[row["wrong"]] += row["count"]
        right, wrong = cells.pop(("", "", "", ""))
        n = right + wrong
        tried = [
            _Slice(key, bad, good + bad, wrong - bad, n - good - bad)
            for key, (good, bad) in sorted(cells.items())
            if params.min_rows <= good + bad <= n - params.min_rows
        ]
        adjusted = benjamini_hochberg([one.p for one in tried])
        flagged = sorted(
            (
                one
                for one, p in zip(tried, adjusted, strict=True)
                if p is not None and p <= params.alpha and one.gap > params.margin
            ),
            key=lambda one: (-one.gap, one.label),
        )
        low, high = wilson(wrong, n)
        spec, count, gap = (_SPECS[key] for key in ("error_rate", "flagged_slices", "worst_gap"))
        flags = float(len(flagged))
        figures = [
            Figure(spec.key, spec.label, wrong / n, n, spec.better, ci_low=low, ci_high=high, scale="logit"),
            Figure(count.key, count.label, flags, n, count.better, ci_low=flags, ci_high=flags),
        ]
        if flagged:
            worst = flagged[0]
            figures.append(
                Figure(
                    gap.key, gap.label, worst.gap, worst.n, gap.better, ci_low=worst.interval[0], ci_high=worst.interval[1],
                    group=worst.label, reference="all other rows",
                )
            )  # fmt: skip
        elif tried:
            figures.append(
                Figure(gap.key, gap.label, 0.0, n, gap.better, ci_low=0.0, ci_high=0.0, note="No slice is flagged.")
            )
        else:
            note = f"No slice has {params.min_rows} rows in it and outside of it."
            figures.append(Figure(gap.key, gap.label, None, n, gap.better, note=note))
        return CheckResult(
            SLICES.key, SLICES.version, params.as_dict(), n, tuple(figures), (_table(flagged, tried, adjusted),),
            findings=_findings(flagged, tried),
            limits=(
                "The worst of many slices looks worse than it is: its gap is too large on average, though the test is adjusted.",
                "Slices overlap, so several flags may have one cause.",
            ),
            facts={"tried": len(tried)},
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Slice:
    """One slice against all other rows: wrong decisions and rows of either."""

    key: tuple[str, ...]
    wrong: int
    n: int
    others_wrong: int
    others: int

    @property
    def label(self) -> str:
        """``age = 25 to 40 and sex = female``."""
        first, value, second, other = self.key
        return f"{first} = {value}" + (f" and {second} = {other}" if second else "")

    @property
    def gap(self) -> float:
        """Error rate here minus the others'."""
        return self.wrong / self.n - self.others_wrong / self.others

    @property
    def interval(self) -> Interval:
        """Of the gap, unadjusted."""
        return newcombe(self.wrong, self.n, self.others_wrong, self.others)

    @property
    def p(self) -> float:
        """One-sided p of Fisher's exact test that this slice errs more."""
        table = [[self.wrong, self.n - self.wrong], [self.others_wrong, self.others - self.others_wrong]]
        return float(stats.fisher_exact(table, alternative="greater").pvalue)


def _sliced(inputs: CheckInputs) -> list[str]:
    """Features and sensitive columns; without named features every column but the label."""
    data = columns.rows_of(inputs)
    wanted = inputs.roles.features or [name for name in data.column_names if name != inputs.roles.label]
    return [name for name in dict.fromkeys((*inputs.roles.sensitive, *wanted)) if name in data.column_names]


def _wrong(shard: CheckInputs, threshold: float) -> pa.Array:
    """1 where the decision differs from the label."""
    table = shard.predictions
    if table is not None and "score" in table.column_names:
        return pc.not_equal(columns.binary_label(shard), columns.decisions(shard, threshold)).cast(pa.int8())
    label = columns.words(columns.rows_of(shard).column(str(shard.roles.label)))
    said = pa.chunked_array([]) if table is None else table.column("prediction")
    return pc.not_equal(label, columns.words(said)).cast(pa.int8())


def _slices(data: pa.Table, name: str, edges: Sequence[float]) -> pa.Array:
    """The slice of each row as text: the value, or the bin it lies in."""
    if not edges:
        return columns.groups(data, name)
    values = data.column(name).combine_chunks().cast(pa.float64()).to_numpy(zero_copy_only=False)
    names = [
        f"up to {edges[0]:g}",
        *(f"{a:g} to {b:g}" for a, b in pairwise(edges)),
        f"above {edges[-1]:g}",
    ]
    place = np.searchsorted(edges, values, side="left")
    found = np.array([*names, columns.UNKNOWN], dtype=object)[np.where(np.isfinite(values), place, len(names))]
    return pa.array(found.tolist(), pa.string())


def _counted(of: dict[str, pa.Array], wrong: pa.Array) -> pa.Table:
    """Counts of one column's slices, of two columns' or of all rows; places that are not used hold empty text."""
    keys: dict[str, pa.Array] = {}
    for place in range(2):
        name, labels = list(of.items())[place] if place < len(of) else ("", None)
        keys[_PLACES[2 * place]] = pa.repeat(name, len(wrong))
        keys[_PLACES[2 * place + 1]] = pa.repeat("", len(wrong)) if labels is None else labels
    return counted(pa.table({**keys, "wrong": wrong}))


def _table(flagged: list[_Slice], tried: list[_Slice], adjusted: list[float | None]) -> Table:
    p_of = dict(zip(tried, adjusted, strict=True))
    shown = flagged[:20] or sorted(tried, key=lambda one: (-one.gap, one.label))[:5]
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (one.label, one.n, one.wrong, one.wrong / one.n, one.others_wrong / one.others, one.gap, *one.interval, p_of[one],
         one in flagged)
        for one in shown
    )  # fmt: skip
    labels = (
        ("slice", "Slice"), ("n", "Rows"), ("wrong", "Wrong"), ("rate", "Error rate"), ("others", "Elsewhere"), ("gap", "Gap"),
        ("low", "Low"), ("high", "High"), ("p", "p, adjusted"), ("flagged", "Flagged"),
    )  # fmt: skip
    return Table("slices", "Slices that err most", labels, rows)


def _findings(flagged: list[_Slice], tried: list[_Slice]) -> tuple[str, ...]:
    if not tried:
        return ("No slice is large enough to be judged.",)
    if not flagged:
        return (f"None of {len(tried)} slices errs more than all other rows.",)
    worst = flagged[0]
    return (
        f"{len(flagged)} of {len(tried)} slices err more than all other rows.",
        f"Worst: {worst.label}: {worst.wrong / worst.n:.1%} wrong against {worst.others_wrong / worst.others:.1%} elsewhere.",
    )
