"""``data.quality``: what is wrong with the test data itself, before any model is judged on it."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import pictures
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.data import row_hashes
from governance.checks.data.row_hashes import Hashes
from governance.checks.manifests.data import QUALITY
from governance.checks.results import CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rows import columns
from governance.checks.statistics.intervals import wilson

_SPECS = {spec.key: spec for spec in QUALITY.figures}
_ROWS, _MISSING, _VALUE, _THINNED, _HASH = range(5)
_STATE = pa.schema([("kind", pa.int8()), ("name", pa.string()), ("key", pa.int64()), ("count", pa.int64())])


class DataQuality(Check):
    """State: rows; missing cells of each column; the smallest and largest hash of its values; hashes of rows, bounded."""

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
        rows: list[tuple[int, str, int, int]] = [(_ROWS, "", 0, data.num_rows)]
        hashed = []
        for name in sorted(data.column_names):
            cells, missing = row_hashes.of_column(data.column(name))
            hashed.append(cells)
            rows.append((_MISSING, name, 0, int(missing.sum())))
            values = cells[~missing].view("int64")
            rows += (
                [(_VALUE, name, key, 0) for key in sorted({int(values.min()), int(values.max())})]
                if len(values)
                else []
            )
        return _state(rows, Hashes.of(row_hashes.of_rows(hashed, data.num_rows)))

    def merge(self, states: Iterable[pa.Table]) -> pa.Table:
        """Counts add up; of each column's values the smallest and the largest hash stay, whatever the order."""
        tables = list(states)
        if len(tables) == 1:
            return tables[0].combine_chunks()
        table = pa.concat_tables(tables)
        few = table.filter(pc.less(table.column("kind"), _THINNED))
        sums: dict[tuple[int, str], int] = {}
        values: dict[str, set[int]] = {}
        for row in few.to_pylist():
            if row["kind"] == _VALUE:
                found = values.setdefault(row["name"], set()) | {row["key"]}
                values[row["name"]] = {min(found), max(found)}
            else:
                place = row["kind"], row["name"]
                sums[place] = sums.get(place, 0) + row["count"]
        rows = [(kind, name, 0, count) for (kind, name), count in sums.items()]
        rows += [(_VALUE, name, key, 0) for name, found in values.items() for key in found]
        first, *others = (_hashes(one) for one in tables)
        return _state(rows, first.plus(*others))

    def finish(self, state: pa.Table, inputs: CheckInputs, params: Params) -> CheckResult:
        few = state.filter(pc.less(state.column("kind"), _THINNED)).to_pylist()
        n = next(row["count"] for row in few if row["kind"] == _ROWS)
        missing = {row["name"]: row["count"] for row in few if row["kind"] == _MISSING}
        distinct: dict[str, int] = dict.fromkeys(missing, 0)
        for row in few:
            distinct[row["name"]] = distinct.get(row["name"], 0) + (row["kind"] == _VALUE)
        roles, hashes = inputs.roles, _hashes(state)
        wanted = dict.fromkeys((*roles.features, *roles.sensitive, *((roles.label,) if roles.label else ())))
        absent = [name for name in wanted if name not in missing]
        constant = {name for name in missing if distinct[name] <= 1}
        repeated = _ratio("duplicate_share", hashes, hashes.counts - 1, n)
        label_missing = missing.get(roles.label, 0) if roles.label else 0
        figures = (
            _count("missing_features", len(absent), n), _share("missing_label_share", label_missing, n),
            _share("missing_cell_share", sum(missing.values()), n * len(missing)), repeated,
            _count("constant_columns", len(constant), n), _overlap(inputs, hashes, n),
        )  # fmt: skip
        heads = (
            ("column", "Column"),
            ("missing", "Missing"),
            ("share", "Share missing"),
            ("constant", "One value only"),
        )
        rows = tuple((name, count, count / n, name in constant) for name, count in sorted(missing.items()))
        return CheckResult(
            QUALITY.key, QUALITY.version, params.as_dict(), n, figures,
            tables=(Table("columns", "Columns", heads, rows),), pictures=_pictures(missing, n),
            findings=tuple(_findings(absent, constant, repeated, n)), limits=tuple(_limits(hashes, inputs.roles.weight)),
        )  # fmt: skip


def _state(rows: Iterable[tuple[int, str, int, int]], hashes: Hashes) -> pa.Table:
    kind, name, key, count = zip(*sorted((*rows, (_THINNED, "", hashes.zeros, 0))), strict=True)
    size = len(hashes.keys)
    few = pa.table(
        [pa.array(one, f.type) for one, f in zip((kind, name, key, count), _STATE, strict=True)], schema=_STATE
    )
    fields = np.full(size, _HASH, dtype="int8"), pa.repeat("", size), hashes.keys, hashes.counts
    many = pa.table([pa.array(one).cast(f.type) for one, f in zip(fields, _STATE, strict=True)], schema=_STATE)
    return pa.concat_tables([few, many]).combine_chunks()


def _hashes(state: pa.Table) -> Hashes:
    kind = state.column("kind").to_numpy()
    keys, counts = (state.column(name).to_numpy() for name in ("key", "count"))
    return Hashes(keys[kind == _HASH], counts[kind == _HASH], int(keys[kind == _THINNED][0]))


def _count(key: str, value: int, n: int) -> Figure:
    spec = _SPECS[key]
    return Figure(key, spec.label, float(value), n, spec.better, ci_low=float(value), ci_high=float(value))


def _share(key: str, hits: int, n: int) -> Figure:
    """A share of *these* rows, which are all there are: exact, so the interval has no width."""
    spec = _SPECS[key]
    value = hits / n if n else 0.0
    return Figure(key, spec.label, value, n, spec.better, ci_low=value, ci_high=value)


def _ratio(key: str, hashes: Hashes, hits: np.ndarray, n: int) -> Figure:
    """Hits over rows: exact with all hashes, else of those that were kept, with the interval of a ratio (Cochran 1977, §6.4)."""
    rows = int(hashes.counts.sum())
    if hashes.zeros == 0:
        return _share(key, int(hits.sum()), n)
    spec = _SPECS[key]
    value = float(hits.sum()) / rows if rows else 0.0
    spread = math.sqrt(float(((hits - value * hashes.counts) ** 2).sum())) / rows if rows else 0.0
    half = 1.959963984540054 * spread
    low, high = wilson(int(hits.sum()), rows) if not hits.any() else (max(0.0, value - half), min(1.0, value + half))
    return Figure(key, spec.label, value, n, spec.better, ci_low=low, ci_high=high)


def _overlap(inputs: CheckInputs, hashes: Hashes, n: int) -> Figure:
    spec = _SPECS["train_overlap_share"]
    if inputs.training is None:
        return Figure(spec.key, spec.label, None, n, spec.better, note="The training data is not registered.")
    names = sorted(columns.rows_of(inputs).column_names)
    if not set(names) <= set(inputs.training.column_names):
        return Figure(spec.key, spec.label, None, n, spec.better, note="The training data has other columns.")
    hits = np.where(row_hashes.found_in(hashes.keys, inputs.training, names), hashes.counts, 0)
    if hashes.zeros:
        return _ratio(spec.key, hashes, hits, n)
    low, high = wilson(int(hits.sum()), n)
    return Figure(spec.key, spec.label, int(hits.sum()) / n, n, spec.better, ci_low=low, ci_high=high)


def _pictures(missing: dict[str, int], n: int) -> tuple[Picture, ...]:
    ranked = sorted(((count, name) for name, count in missing.items() if count), key=lambda one: (-one[0], one[1]))[:20]
    if not ranked:
        return ()
    rows: list[pictures.Row] = [{"name": name, "value": count / n} for count, name in ranked]
    alt = f"Share of missing cells of {len(ranked)} columns; most in {ranked[0][1]} ({ranked[0][0] / n:.1%})."
    return (pictures.bars("missing", "Missing cells", alt, rows, value="Share of the rows"),)


def _limits(hashes: Hashes, weight: str | None) -> Iterable[str]:
    yield "Rows count as equal when all their cells are, by 64-bit hashes of them."
    if hashes.zeros:
        yield (
            f"There are too many different rows to keep all: repeats and overlap are estimated from every {2**hashes.zeros}th "
            "of the hashes, with the interval that this gives."
        )
    if weight:
        yield "Rows count alike: it is about the rows themselves, and their weights are not used."


def _findings(absent: list[str], constant: set[str], repeated: Figure, n: int) -> list[str]:
    made = [f"The data set has no column “{name}”." for name in absent]
    made += [f"The column “{name}” has one value only." for name in sorted(constant)]
    if repeated.value:
        about = "" if repeated.ci_low == repeated.value else "About "
        made.append(f"{about}{round(repeated.value * n)} of {n} rows repeat another row.")
    return made or ["No column is missing, none is constant, no row repeats."]
