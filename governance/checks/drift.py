"""``drift.columns``: how far the test data lies from the training data, column by column.

The cells are frozen by the training data alone, so that a shard needs no other shard: every distinct value of a column,
or ``resolution`` of its quantiles, and the gaps between them. Counts add up; the sums within a gap travel as integers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import columns, distances
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.manifests.data import DRIFT
from governance.checks.results import CheckError, CheckResult, Figure, Table

_SPECS = {spec.key: spec for spec in DRIFT.figures}
_GAP, _AT, _SPREAD, _MISSING, _CATEGORY = range(5)
_FINE = 30
"""Sums are kept in units of 2⁻³⁰ of the largest training value, in two halves of 31 bits: what is 2³¹ times as large as
any training value still counts in full, and 2³² rows add up without overflow."""
_HALF = 2.0**31
_SCHEMA = pa.schema([
    ("column", pa.string()), ("place", pa.int8()), ("edge", pa.float64()), ("category", pa.string()),
    ("side", pa.int8()), ("count", pa.int64()), ("high", pa.int64()), ("low", pa.int64()),
])  # fmt: skip
_KEYS = ["column", "place", "edge", "category", "side"]
_VALUES = ["count", "high", "low"]
_Row = tuple[str, int, float, str, int, int, int, int]
TRAINING, SAMPLE = 0, 1


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
        shared = _shared(inputs)
        if not shared:
            raise CheckError("data.columns_differ", "The test data and the training data have no column in common.")
        for name in shared:
            sides = [table.schema.field(name).type for table in (data, inputs.training)]
            if any(pa.types.is_nested(one) or pa.types.is_binary(one) for one in sides):
                raise CheckError(
                    "data.type", f"The column “{name}” holds no plain cells, so it has no distribution.", name
                )
            if _is_number(sides[0]) != _is_number(sides[1]):
                sentence = f"The column “{name}” is {sides[1]} in the training data and {sides[0]} in the test data."
                raise CheckError("data.type", sentence, name)
        return columns.split(inputs, shards)

    def map(self, shard: CheckInputs, params: DriftParams) -> pa.Table:
        if shard.training is None:
            return _SCHEMA.empty_table()
        data = columns.rows_of(shard)
        states = [_SCHEMA.empty_table()]
        for name in _shared(shard):
            before, now = (_one(table.column(name)) for table in (shard.training, data))
            if _is_number(before.type) and not _is_category(before, params.categories):
                states += _numbers(name, before, now, params.resolution)
            else:
                states += [_categories(name, before, TRAINING), _categories(name, now, SAMPLE)]
        return self.merge(states)

    def merge(self, states: Iterable[pa.Table]) -> pa.Table:
        """Counts of the sample add up; those of the training data are the same everywhere and stay as they are."""
        table = pa.concat_tables(list(states))
        sample = pc.equal(table.column("side"), SAMPLE)
        kept = []
        for rows, how in ((table.filter(sample), "sum"), (table.filter(pc.invert(sample)), "max")):
            made = rows.group_by(_KEYS, use_threads=False).aggregate([(name, how) for name in _VALUES])
            kept.append(made.rename_columns([*_KEYS, *_VALUES]).cast(_SCHEMA))
        merged = pa.concat_tables(kept).sort_by([(name, "ascending") for name in _KEYS])
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


def _shared(inputs: CheckInputs) -> list[str]:
    """The features that both tables have; without named features every column of both but the label."""
    data = columns.rows_of(inputs)
    training = [] if inputs.training is None else inputs.training.column_names
    wanted = inputs.roles.features or [name for name in data.column_names if name != inputs.roles.label]
    return [
        name
        for name in dict.fromkeys((*wanted, *inputs.roles.sensitive))
        if name in training and name in data.column_names
    ]


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_category(values: pa.Array, most: int) -> bool:
    return pa.types.is_integer(values.type) and len(pc.unique(values)) <= most


def _one(values: pa.ChunkedArray) -> pa.Array:
    made = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return made.dictionary_decode() if pa.types.is_dictionary(made.type) else made


def _present(values: pa.Array) -> tuple[np.ndarray, int]:
    """The finite numbers of a column, and how many cells are none."""
    made = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    finite = made[np.isfinite(made)] + 0.0  # minus zero is zero
    return finite, len(made) - len(finite)


def _numbers(name: str, before: pa.Array, now: pa.Array, resolution: int) -> list[pa.Table]:
    training, no_training = _present(before)
    sample, no_sample = _present(now)
    spread = float(training.std()) if len(training) else 0.0
    training.sort()
    sample.sort()
    edges = training[np.concatenate([[True], training[1:] != training[:-1]])] if len(training) else training
    if len(edges) > resolution:
        places = np.ceil(np.linspace(0, 1, resolution) * len(training)).astype("int64") - 1
        edges = np.unique(training[np.maximum(places, 0)])
    unit = _unit(edges)
    rows: list[_Row] = [(name, _MISSING, 0.0, "", side, n, 0, 0) for side, n in enumerate((no_training, no_sample))]
    rows.append((name, _SPREAD, spread, "", TRAINING, 0, 0, 0))
    return [_state(rows), _cells(name, training, edges, unit, TRAINING), _cells(name, sample, edges, unit, SAMPLE)]


def _unit(edges: np.ndarray) -> float:
    largest = float(np.abs(edges).max()) if len(edges) else 1.0
    return 2.0 ** ((math.frexp(largest)[1] if largest else 0) - _FINE)


def _cells(name: str, values: np.ndarray, edges: np.ndarray, unit: float, side: int) -> pa.Table:
    """Counts of sorted values at each edge and in each gap below one (the last: above all), with the sums in the gaps."""
    first, last = (np.searchsorted(values, edges, how) for how in ("left", "right"))
    starts, ends = np.concatenate([[0], last]), np.append(first, len(values))
    units = np.rint(np.clip(values, -unit * 2.0**61, unit * 2.0**61) / unit)
    upper = np.floor(units / _HALF)
    sums = []
    for half in (upper, units - upper * _HALF):
        running = np.concatenate([[0], np.cumsum(half.astype("int64"))])
        sums.append(running[ends] - running[starts])
    none = np.zeros(len(edges), dtype="int64")
    made = (
        np.repeat([_AT, _GAP], [len(edges), len(edges) + 1]),
        np.concatenate([edges, edges, [np.inf]]),
        np.concatenate([last - first, ends - starts]),
        np.concatenate([none, sums[0]]),
        np.concatenate([none, sums[1]]),
    )
    place, edge, count, high, low = (one[made[2] > 0] for one in made)
    size = len(count)
    fields = [pa.repeat(name, size), place, edge, pa.repeat("", size), np.full(size, side), count, high, low]
    return pa.table(
        [pa.array(one).cast(field.type) for one, field in zip(fields, _SCHEMA, strict=True)], schema=_SCHEMA
    )


def _categories(name: str, values: pa.Array, side: int) -> pa.Table:
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    counted = pc.value_counts(values.cast(pa.string()))
    rows = []
    for one in counted.to_pylist():
        place = _MISSING if one["values"] is None else _CATEGORY
        rows.append((name, place, 0.0, one["values"] or "", side, one["counts"], 0, 0))
    return _state(rows)


def _state(rows: list[_Row]) -> pa.Table:
    fields = zip(*rows, strict=True) if rows else [()] * len(_SCHEMA)
    return pa.table(
        [pa.array(list(one), field.type) for one, field in zip(fields, _SCHEMA, strict=True)], schema=_SCHEMA
    )


def _measured(state: pa.Table, name: str, params: DriftParams) -> _Column:
    rows = state.filter(pc.equal(state.column("column"), name))
    place, edge, side, count, high, low = (
        rows.column(key).to_numpy() for key in ("place", "edge", "side", "count", "high", "low")
    )
    missing = [int(count[(place == _MISSING) & (side == one)].sum()) for one in (TRAINING, SAMPLE)]
    if (place == _CATEGORY).any():
        return _of_categories(name, rows.filter(pc.equal(rows.column("place"), _CATEGORY)), missing)
    at = place == _AT
    edges = np.unique(edge[at & (side == TRAINING)])
    unit = _unit(edges)

    def spread(which: int, one: int, values: np.ndarray, size: int) -> np.ndarray:
        """Cells of one place and side, in the order of the edges."""
        mine = (place == which) & (side == one)
        where = np.minimum(np.searchsorted(edges, edge[mine]), size - 1)
        return np.bincount(where, weights=values[mine], minlength=size)

    sides = [
        distances.Side(
            edges,
            spread(_AT, one, count, len(edges)).astype("int64"),
            spread(_GAP, one, count, len(edges) + 1).astype("int64"),
            spread(_GAP, one, (high * _HALF + low) * unit, len(edges) + 1),
        )
        for one in (TRAINING, SAMPLE)
    ]
    n, m = (one.n for one in sides)
    cells = distances.binned(sides[0], sides[1], params.bins)
    if any(missing):
        cells = np.column_stack([cells, missing])
    deviation = float(edge[place == _SPREAD][0])
    if not n or not m:
        return _Column(name, n + missing[0], m + missing[1], *_psi(cells), distances.jensen_shannon(cells), None)
    ks = distances.kolmogorov_smirnov(*sides)
    moved = distances.wasserstein(*sides)
    return _Column(
        name, n + missing[0], m + missing[1], *_psi(cells), distances.jensen_shannon(cells),
        distances.ks_p(ks, n, m), ks=ks, wasserstein=moved / deviation if deviation > 0 else None,
    )  # fmt: skip


def _of_categories(name: str, rows: pa.Table, missing: list[int]) -> _Column:
    known = sorted(set(rows.column("category").to_pylist()))
    place = {category: number for number, category in enumerate(known)}
    cells = np.zeros((2, len(known)), dtype="int64")
    for row in rows.to_pylist():
        cells[row["side"], place[row["category"]]] = row["count"]
    if any(missing):
        cells = np.column_stack([cells, missing])
    n, m = (int(one) for one in cells.sum(axis=1))
    p, v = distances.chi_square(cells)
    return _Column(name, n, m, *_psi(cells), distances.jensen_shannon(cells), p, cramers_v=v)


def _psi(cells: np.ndarray) -> tuple[float, float, tuple[float, float]]:
    value = distances.psi(cells)
    return value, distances.psi_corrected(value, cells), distances.psi_interval(value, cells)


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
