"""``data.quality``: what is wrong with the test data itself, before any model is judged on it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import columns
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.counts import merged
from governance.checks.intervals import wilson
from governance.checks.manifests.data import QUALITY
from governance.checks.results import CheckError, CheckResult, Figure, Table

_SPECS = {spec.key: spec for spec in QUALITY.figures}
_ROWS, _MISSING, _HASH, _VALUE = "rows", "missing", "hash", "value"


class DataQuality(Check):
    """State: counts of (kind, key): rows, missing cells by column, row hashes, and two values of each column."""

    manifest = QUALITY
    params = Params

    def plan(self, inputs: CheckInputs, params: Params, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        data = columns.rows_of(inputs)
        for field in data.schema:
            if pa.types.is_nested(field.type) or pa.types.is_binary(field.type):
                sentence = f"The column “{field.name}” holds {field.type}; a test data set has plain cells only."
                raise CheckError("data.type", sentence, field.name)
        return columns.split(inputs, shards)

    def map(self, shard: CheckInputs, params: Params) -> pa.Table:
        data = columns.rows_of(shard)
        cells: list[tuple[str, str, int]] = [(_ROWS, "", data.num_rows)]
        for name in data.column_names:
            column = data.column(name)
            empty = pc.sum(pc.is_null(column, nan_is_null=pa.types.is_floating(column.type))).as_py()
            cells.append((_MISSING, name, int(empty)))
            cells += [(_VALUE, f"{name}\0{value}", 0) for value in _two_smallest(column)]
        hashes, counts = np.unique(row_hashes(data), return_counts=True)
        cells += [(_HASH, f"{number:016x}", int(count)) for number, count in zip(hashes, counts, strict=True)]
        kinds, keys, numbers = zip(*cells, strict=True)
        return self.merge([pa.table({"kind": kinds, "key": keys, "count": pa.array(numbers, pa.int64())})])

    def merge(self, states: Iterable[pa.Table]) -> pa.Table:
        """Counts add up; of the values only the two smallest of each column stay, whatever the order."""
        table = merged(states)
        seen: dict[str, int] = {}
        keep = []
        for kind, key in zip(table.column("kind").to_pylist(), table.column("key").to_pylist(), strict=True):
            name = key.partition("\0")[0]
            seen[name] = seen.get(name, 0) + (kind == _VALUE)
            keep.append(kind != _VALUE or seen[name] <= 2)
        return table.filter(pa.array(keep)).combine_chunks()

    def finish(self, state: pa.Table, inputs: CheckInputs, params: Params) -> CheckResult:
        cells: dict[str, dict[str, int]] = {_ROWS: {}, _MISSING: {}, _HASH: {}, _VALUE: {}}
        for row in state.to_pylist():
            cells[row["kind"]][row["key"]] = row["count"]
        n = cells[_ROWS][""]
        missing = cells[_MISSING]
        roles = inputs.roles
        wanted = dict.fromkeys((*roles.features, *roles.sensitive, *((roles.label,) if roles.label else ())))
        absent = [name for name in wanted if name not in missing]
        constant = _constant(missing, cells[_VALUE])
        repeated = n - len(cells[_HASH])
        label_missing = missing.get(roles.label, 0) if roles.label else 0
        figures = [
            _count("missing_features", len(absent), n),
            _share("missing_label_share", label_missing, n),
            _share("missing_cell_share", sum(missing.values()), n * len(missing)),
            _share("duplicate_share", repeated, n),
            _count("constant_columns", len(constant), n),
            _overlap(inputs, cells[_HASH], n),
        ]
        columns_of = (
            ("column", "Column"),
            ("missing", "Missing"),
            ("share", "Share missing"),
            ("constant", "One value only"),
        )
        rows = tuple((name, count, count / n, name in constant) for name, count in sorted(missing.items()))
        return CheckResult(
            QUALITY.key,
            QUALITY.version,
            params.as_dict(),
            n,
            tuple(figures),
            tables=(Table("columns", "Columns", columns_of, rows),),
            findings=tuple(_findings(absent, constant, repeated, n)),
            limits=("Rows count as equal when all their cells are.",),
        )


def row_hashes(data: pa.Table) -> np.ndarray:
    """A 64-bit hash of each row over the columns in the order of their names; equal rows have equal hashes."""
    frame = data.select(sorted(data.column_names)).to_pandas()
    hashed: np.ndarray = pd.util.hash_pandas_object(frame, index=False, categorize=False).to_numpy(dtype="uint64")
    return hashed


def _two_smallest(column: pa.ChunkedArray) -> list[str]:
    if pa.types.is_floating(column.type):
        column = column.filter(pc.invert(pc.is_null(column, nan_is_null=True)))
    values = pc.drop_null(pc.unique(column.cast(pa.string())))
    return sorted(values.to_pylist())[:2]


def _constant(missing: dict[str, int], values: dict[str, int]) -> set[str]:
    distinct: dict[str, int] = {}
    for key in values:
        name = key.partition("\0")[0]
        distinct[name] = distinct.get(name, 0) + 1
    return {name for name in missing if distinct.get(name, 0) <= 1}


def _count(key: str, value: int, n: int) -> Figure:
    spec = _SPECS[key]
    return Figure(key, spec.label, float(value), n, spec.better, ci_low=float(value), ci_high=float(value))


def _share(key: str, hits: int, n: int) -> Figure:
    """A share of *these* rows, which are all there are: exact, so the interval has no width."""
    spec = _SPECS[key]
    value = hits / n if n else 0.0
    return Figure(key, spec.label, value, n, spec.better, ci_low=value, ci_high=value)


def _overlap(inputs: CheckInputs, hashes: dict[str, int], n: int) -> Figure:
    spec = _SPECS["train_overlap_share"]
    if inputs.training is None:
        return Figure(spec.key, spec.label, None, n, spec.better, note="The training data is not registered.")
    shared = [name for name in columns.rows_of(inputs).column_names if name in inputs.training.column_names]
    if set(shared) != set(columns.rows_of(inputs).column_names):
        return Figure(spec.key, spec.label, None, n, spec.better, note="The training data has other columns.")
    known = {f"{number:016x}" for number in row_hashes(inputs.training.select(shared)).tolist()}
    hits = sum(count for key, count in hashes.items() if key in known)
    low, high = wilson(hits, n)
    return Figure(spec.key, spec.label, hits / n, n, spec.better, ci_low=low, ci_high=high)


def _findings(absent: list[str], constant: set[str], repeated: int, n: int) -> list[str]:
    made = [f"The data set has no column “{name}”." for name in absent]
    made += [f"The column “{name}” has one value only." for name in sorted(constant)]
    if repeated:
        made.append(f"{repeated} of {n} rows repeat another row.")
    return made or ["No column is missing, none is constant, no row repeats."]
