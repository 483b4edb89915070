"""``drift.columns``: how far the test data lies from the training data, column by column.

The cells are frozen by the training data alone, so that a shard needs no other shard: every distinct value of a column,
or ``resolution`` of its quantiles, and the gaps between them. Counts add up; the sums within a gap travel as integers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import cells, columns, distances
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.manifests.data import DRIFT
from governance.checks.results import CheckError, CheckResult, Figure, Table

_SPECS = {spec.key: spec for spec in DRIFT.figures}


@dataclass(frozen=True, slots=True)
class DriftParams(Params):
    """``bins`` of the PSI; whole numbers with at most ``categories`` values are categories.

    A column counts as drifted when its corrected PSI is above ``psi_line`` *and* its test, adjusted over all columns, says
    so at ``alpha``.
    """

    bins: int = 10
    psi_line: float = 0.1
    alpha: float = 0.05
    categories: int = 20
    resolution: int = 4096

    def check(self) -> None:
        if not 2 <= self.bins <= 100 or not 0 <= self.categories <= 1000:
            raise CheckError("params.value", "“bins” must be from 2 to 100 and “categories” from 0 to 1000.")
        if not 0 <= self.psi_line < 10 or not 0 < self.alpha < 1:
            raise CheckError("params.value", "“psi_line” must lie in [0, 10) and “alpha” between 0 and 1.")
        if not self.bins <= self.resolution <= 65_536:
            raise CheckError("params.value", "“resolution” must be from “bins” to 65536.")


class ColumnDrift(Check):
    """State: counts of (column, cell, side). The training side is the same in every shard and is kept once."""

    manifest = DRIFT
    params = DriftParams

    def plan(self, inputs: CheckInputs, params: DriftParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        data = columns.rows_of(inputs)
        if inputs.training is None:
            return (inputs,)
        if inputs.training.num_rows == 0:
            raise CheckError("data.empty", "The training data has no rows.")
        shared = cells.shared_columns(inputs)
        if not shared:
            raise CheckError("data.columns_differ", "The test data and the training data have no column in common.")
        for name in shared:
            sides = [table.schema.field(name).type for table in (data, inputs.training)]
            if any(pa.types.is_nested(one) or pa.types.is_binary(one) for one in sides):
                raise CheckError(
                    "data.type", f"The column “{name}” holds no plain cells, so it has no distribution.", name
                )
            if cells.is_number(sides[0]) != cells.is_number(sides[1]):
                sentence = f"The column “{name}” is {sides[1]} in the training data and {sides[0]} in the test data."
                raise CheckError("data.type", sentence, name)
        return columns.split(inputs, shards)

    def map(self, shard: CheckInputs, params: DriftParams) -> pa.Table:
        if shard.training is None:
            return cells.SCHEMA.empty_table()
        data = columns.rows_of(shard)
        states = [cells.SCHEMA.empty_table()]
        for name in cells.shared_columns(shard):
            before, now = (cells.plain(table.column(name)) for table in (shard.training, data))
            if cells.is_number(before.type) and not cells.is_category(before, params.categories):
                states += cells.of_numbers(name, before, now, params.resolution)
            else:
                states += [
                    cells.of_categories(name, before, cells.TRAINING),
                    cells.of_categories(name, now, cells.SAMPLE),
                ]
        return self.merge(states)

    def merge(self, states: Iterable[pa.Table]) -> pa.Table:
        """Counts of the sample add up; those of the training data are the same everywhere and stay as they are."""
        table = pa.concat_tables(list(states))
        sample = pc.equal(table.column("side"), cells.SAMPLE)
        kept = []
        for rows, how in ((table.filter(sample), "sum"), (table.filter(pc.invert(sample)), "max")):
            made = rows.group_by(cells.KEYS, use_threads=False).aggregate([(name, how) for name in cells.VALUES])
            kept.append(made.rename_columns([*cells.KEYS, *cells.VALUES]).cast(cells.SCHEMA))
        merged = pa.concat_tables(kept).sort_by([(name, "ascending") for name in cells.KEYS])
        return merged.combine_chunks()

    def finish(self, state: pa.Table, inputs: CheckInputs, params: DriftParams) -> CheckResult:
        if state.num_rows == 0:
            reason = "The training data is not registered with this version, so there is nothing to compare with."
            return CheckResult(DRIFT.key, DRIFT.version, params.as_dict(), 0, not_applicable=reason)
        found = [_measured(state, name, params) for name in dict.fromkeys(state.column("column").to_pylist())]
        adjusted = distances.benjamini_hochberg([one.p for one in found])
        drifted = [
            one for one, p in zip(found, adjusted, strict=True)
            if p is not None and p <= params.alpha and one.psi_corrected > params.psi_line
        ]  # fmt: skip
        n = max(one.sample for one in found)
        spec = _SPECS["drifted_columns"]
        count = float(len(drifted))
        figures = [Figure(spec.key, spec.label, count, n, spec.better, ci_low=count, ci_high=count)]
        for one in found:
            figures += one.figures()
        return CheckResult(
            DRIFT.key, DRIFT.version, params.as_dict(), n, tuple(figures),
            tables=(_table(found, adjusted, {one.name for one in drifted}),),
            findings=tuple(_findings(drifted, found)),
            limits=(
                "A column that moved need not hurt the model, and columns can move together without moving alone.",
                "With many rows the tests see differences that do not matter; the PSI and the distances say how large they are.",
                _exactness(params.resolution),
            ),
            facts={"training_rows": max(one.training for one in found)},
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Column:
    """What was measured of one column. ``ks`` and ``wasserstein`` are of numbers, ``cramers_v`` of categories."""

    name: str
    training: int
    sample: int
    psi: float
    psi_corrected: float
    psi_interval: tuple[float, float]
    js: float
    p: float | None
    ks: float | None = None
    wasserstein: float | None = None
    cramers_v: float | None = None

    def figures(self) -> list[Figure]:
        low, high = self.psi_interval
        made = [
            self._figure("psi", self.psi, low, high),
            self._figure("psi_corrected", self.psi_corrected, low, high),
            self._figure("js_distance", self.js),
        ]
        if self.ks is not None:
            half = distances.ks_half_width(self.training, self.sample)
            made.append(self._figure("ks", self.ks, max(0.0, self.ks - half), min(1.0, self.ks + half)))
        if self.wasserstein is not None:
            made.append(self._figure("wasserstein", self.wasserstein))
        if self.cramers_v is not None:
            made.append(self._figure("cramers_v", self.cramers_v))
        return made

    def _figure(self, key: str, value: float, low: float | None = None, high: float | None = None) -> Figure:
        spec = _SPECS[key]
        return Figure(key, spec.label, value, self.sample, spec.better, ci_low=low, ci_high=high, attribute=self.name)


def _measured(state: pa.Table, name: str, params: DriftParams) -> _Column:
    rows = state.filter(pc.equal(state.column("column"), name))
    place, edge, side, count, high, low = (
        rows.column(key).to_numpy() for key in ("place", "edge", "side", "count", "high", "low")
    )
    missing = [int(count[(place == cells.MISSING) & (side == one)].sum()) for one in (cells.TRAINING, cells.SAMPLE)]
    if (place == cells.CATEGORY).any():
        return _of_categories(name, rows.filter(pc.equal(rows.column("place"), cells.CATEGORY)), missing)
    at = place == cells.AT
    edges = np.unique(edge[at & (side == cells.TRAINING)])
    unit = cells.unit_of(edges)

    def spread(which: int, one: int, values: np.ndarray, size: int) -> np.ndarray:
        """Cells of one place and side, in the order of the edges."""
        mine = (place == which) & (side == one)
        where = np.minimum(np.searchsorted(edges, edge[mine]), size - 1)
        return np.bincount(where, weights=values[mine], minlength=size)

    sides = [
        distances.Side(
            edges,
            spread(cells.AT, one, count, len(edges)).astype("int64"),
            spread(cells.GAP, one, count, len(edges) + 1).astype("int64"),
            spread(cells.GAP, one, (high * cells.HALF + low) * unit, len(edges) + 1),
        )
        for one in (cells.TRAINING, cells.SAMPLE)
    ]
    n, m = (one.n for one in sides)
    counts = distances.binned(sides[0], sides[1], params.bins)
    if any(missing):
        counts = np.column_stack([counts, missing])
    deviation = float(edge[place == cells.SPREAD][0])
    if not n or not m:
        return _Column(name, n + missing[0], m + missing[1], *_psi(counts), distances.jensen_shannon(counts), None)
    ks = distances.kolmogorov_smirnov(*sides)
    moved = distances.wasserstein(*sides)
    return _Column(
        name, n + missing[0], m + missing[1], *_psi(counts), distances.jensen_shannon(counts),
        distances.ks_p(ks, n, m), ks=ks, wasserstein=moved / deviation if deviation > 0 else None,
    )  # fmt: skip


def _of_categories(name: str, rows: pa.Table, missing: list[int]) -> _Column:
    known = sorted(set(rows.column("category").to_pylist()))
    place = {category: number for number, category in enumerate(known)}
    counts = np.zeros((2, len(known)), dtype="int64")
    for row in rows.to_pylist():
        counts[row["side"], place[row["category"]]] = row["count"]
    if any(missing):
        counts = np.column_stack([counts, missing])
    n, m = (int(one) for one in counts.sum(axis=1))
    p, v = distances.chi_square(counts)
    return _Column(name, n, m, *_psi(counts), distances.jensen_shannon(counts), p, cramers_v=v)


def _psi(counts: np.ndarray) -> tuple[float, float, tuple[float, float]]:
    value = distances.psi(counts)
    return value, distances.psi_corrected(value, counts), distances.psi_interval(value, counts)


_COLUMNS = (
    ("column", "Column"), ("psi", "PSI"), ("psi_corrected", "PSI beyond chance"), ("low", "Low"), ("high", "High"),
    ("ks", "KS"), ("wasserstein", "Wasserstein"), ("cramers_v", "Cramér's V"), ("js", "Jensen-Shannon"),
    ("p", "p, adjusted"), ("drifted", "Drifted"),
)  # fmt: skip


def _table(found: list[_Column], adjusted: list[float | None], drifted: set[str]) -> Table:
    pairs = sorted(zip(found, adjusted, strict=True), key=lambda pair: (-pair[0].psi_corrected, pair[0].name))
    rows = [
        (one.name, one.psi, one.psi_corrected, *one.psi_interval, one.ks, one.wasserstein, one.cramers_v, one.js, p,
         one.name in drifted)
        for one, p in pairs
    ]  # fmt: skip
    return Table("drift", "Columns, training against test data", _COLUMNS, tuple(rows))


def _exactness(resolution: int) -> str:
    return (
        f"Distances of numbers are exact up to {resolution} distinct training values; beyond that the KS statistic is short "
        f"by at most {2 / resolution:.2g}."
    )


def _findings(drifted: list[_Column], found: list[_Column]) -> list[str]:
    if not drifted:
        return [f"None of {len(found)} columns has drifted."]
    worst = sorted(drifted, key=lambda one: (-one.psi_corrected, one.name))
    return [f"{len(drifted)} of {len(found)} columns have drifted."] + [
        f"{one.name}: PSI {one.psi:.3f} (interval {one.psi_interval[0]:.3f} to {one.psi_interval[1]:.3f})."
        for one in worst[:5]
    ]
