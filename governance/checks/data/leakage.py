"""``data.leakage``: inputs that alone tell the label, which real ones hardly do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import pictures
from governance.checks.contract import Check, CheckInputs, Params
from governance.checks.data import cells
from governance.checks.manifests.data import LEAKAGE
from governance.checks.results import CheckError, CheckResult, Figure, Picture, Table
from governance.checks.rows import columns
from governance.checks.rows.sampling import taken
from governance.checks.statistics import delong, distances
from governance.checks.statistics.counts import merged

_SPECS = {spec.key: spec for spec in LEAKAGE.figures}
_LOOKED = 2**20
_CELLS, _LABELS, _MOST_CLASSES = 256, 64, 100
_MISSING = -1
_LEAST = 30
"""Rows with a value that an input needs."""
_STATE = pa.schema([("column", pa.string()), ("cell", pa.int64()), ("label", pa.int64()), ("count", pa.int64())])


@dataclass(frozen=True, slots=True)
class LeakageParams(Params):
    """``line``: an input is suspicious when even the lower end of its association's interval is at or above it."""

    line: float = 0.98

    def check(self) -> None:
        if not 0.5 <= self.line < 1:
            raise CheckError("params.value", "“line” must lie in [0.5, 1).")


class Leakage(Check):
    """State: counts of (input, cell, cell of the label). The cells come from evenly spread rows, before any are counted."""

    manifest = LEAKAGE
    params = LeakageParams

    def plan(self, inputs: CheckInputs, params: LeakageParams, *, shards: int = 1) -> tuple[CheckInputs, ...]:
        data = columns.rows_of(inputs)
        name = inputs.roles.label
        label = columns.column(data, name, code="data.label_missing", what="label")
        columns.check_whole(label, name)
        names = [one for one in cells.features_of(data, inputs.roles) if one in data.column_names and one != name]
        plain = [
            one for one in names
            if not pa.types.is_nested(data.schema.field(one).type) and not pa.types.is_binary(data.schema.field(one).type)
        ]  # fmt: skip
        if not plain:
            raise CheckError("data.columns_differ", "The data has no inputs beside the label.")
        looked = data
        if data.num_rows > _LOOKED:
            looked = taken(data, np.arange(0, data.num_rows, -(-data.num_rows // _LOOKED)))
        made = cells.of_reference(looked, plain, categories=0, resolution=_CELLS, given={})
        return columns.split(
            replace(inputs, prepared={"inputs": made, "label": _label_cells(looked.column(str(name)))}), shards
        )

    def map(self, shard: CheckInputs, params: LeakageParams) -> pa.Table:
        data, prepared = columns.rows_of(shard), shard.prepared or {}
        known = prepared["label"]
        label = _placed(data.column(str(shard.roles.label)), known["edges"], known["words"])
        width = int(label.max(initial=0)) + 1
        made = [_STATE.empty_table()]
        for one in cells.frozen(prepared["inputs"]):
            cell = _placed(data.column(one.name), one.edges, one.words)
            joint, count = np.unique((cell + 1) * width + label, return_counts=True)
            fields = [pa.repeat(one.name, len(joint)), joint // width - 1, joint % width, count]
            made.append(
                pa.table([pa.array(f).cast(s.type) for f, s in zip(fields, _STATE, strict=True)], schema=_STATE)
            )
        return merged(made)

    def finish(self, state: pa.Table, inputs: CheckInputs, params: LeakageParams) -> CheckResult:
        data = columns.rows_of(inputs)
        ordered = {name: cells.is_number(data.schema.field(name).type) for name in data.column_names}
        kind = data.schema.field(str(inputs.roles.label)).type
        found: list[_Found] = []
        for name, rows in cells.by_column(state):
            found += _measured(name, rows, is_number=ordered[name], label_is_number=cells.is_number(kind))
        n = data.num_rows
        known = [one for one in found if one.value is not None]
        suspicious = [one for one in known if one.interval[0] >= params.line]
        ranked = sorted(found, key=lambda one: (-(one.value or 0.0), one.name))
        spec, each = _SPECS["leaking_inputs"], _SPECS["association"]
        count = float(len(suspicious))
        figures = [Figure(spec.key, spec.label, count, n, spec.better, ci_low=count, ci_high=count)]
        for one in ranked:
            low, high = one.interval if one.value is not None else (None, None)
            note = "" if one.value is not None else f"Fewer than {_LEAST} rows, or one value only."
            figures.append(
                Figure(
                    each.key,
                    each.label,
                    one.value,
                    one.n,
                    each.better,
                    ci_low=low,
                    ci_high=high,
                    attribute=one.name,
                    note=note,
                )
            )
        heads = (
            ("input", "Input"),
            ("measure", "Measure"),
            ("value", "Association"),
            ("low", "Low"),
            ("high", "High"),
            ("n", "Rows"),
        )
        rows_of = tuple(
            (one.name, one.measure, one.value, *(one.interval if one.value is not None else (None, None)), one.n)
            for one in ranked
        )
        said = [
            f"“{one.name}” alone tells the label: {one.measure} {one.value:.3f} "
            f"(interval {one.interval[0]:.3f} to {one.interval[1]:.3f})."
            for one in suspicious
        ]
        return CheckResult(
            LEAKAGE.key, LEAKAGE.version, params.as_dict(), n, tuple(figures),
            tables=(Table("inputs", "Inputs and the label", heads, rows_of),), pictures=_pictures(ranked, params),
            findings=tuple(said) or ("No input alone tells the label.",),
            limits=(
                "A leak over several inputs together, or one that only helps a little, does not show here.",
                f"Numbers are cut at {_CELLS} quantiles, which makes an association smaller, never larger. Weights are not used.",
            ),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Found:
    name: str
    measure: str
    n: int
    value: float | None
    interval: tuple[float, float] = (0.0, 1.0)


def _label_cells(label: pa.ChunkedArray) -> dict[str, Any]:
    """The label's values where they are few, else quantiles of its numbers."""
    values = cells.plain(label)
    distinct = pc.unique(values)
    if len(distinct) <= _MOST_CLASSES or not cells.is_number(values.type):
        ordered = distinct.sort() if cells.is_number(values.type) else distinct.cast(pa.string()).sort()
        return {"edges": None, "words": ordered.cast(pa.string())[:_MOST_CLASSES]}
    numbers = np.sort(values.cast(pa.float64()).to_numpy(zero_copy_only=False))
    places = np.ceil(np.linspace(0, 1, _LABELS) * len(numbers)).astype("int64") - 1
    return {"edges": np.unique(numbers[np.maximum(places, 0)]), "words": pa.array([], pa.string())}


def _placed(values: pa.ChunkedArray, edges: np.ndarray | None, words: pa.Array) -> np.ndarray:
    """The cell of every row: by the edges, or the word's place; what is no known word is the next; what is missing is -1."""
    plain = cells.plain(values)
    if edges is None:
        text = plain.cast(pa.string())
        place = pc.fill_null(pc.index_in(text, value_set=words), len(words))
        return np.where(
            pc.is_null(plain, nan_is_null=pa.types.is_floating(plain.type)),
            _MISSING,
            place.to_numpy(zero_copy_only=False),
        )
    numbers = plain.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(numbers), np.searchsorted(edges, numbers), _MISSING)


def _measured(name: str, rows: pa.Table, *, is_number: bool, label_is_number: bool) -> Iterator[_Found]:
    cell, label, count = (rows.column(key).to_numpy() for key in ("cell", "label", "count"))
    labels = int(label.max()) + 1
    table = np.zeros((int(cell.max()) + 2, labels), dtype="int64")
    np.add.at(table, (cell + 1, label), count)
    present = table[1:]
    by_order = is_number and (label_is_number or labels == 2)
    yield _ordered(name, present) if by_order else _named(name, present)
    if table[0].any():
        yield _named(f"{name} is missing", np.array([table[0], present.sum(axis=0)]))


def _ordered(name: str, table: np.ndarray) -> _Found:
    """Of two classes |2 AUC - 1| with DeLong's interval; of numbers Spearman's correlation (Bonett & Wright 2000)."""
    n = int(table.sum())
    used = table[:, table.sum(axis=0) > 0]
    if used.shape[1] == 2:
        measure = "|2 AUC - 1|"
        places, classes = np.nonzero(used)
        if n < _LEAST or min(used.sum(axis=0)) < 2:
            return _Found(name, measure, n, None)
        auc = delong.auc(places.astype("float64"), classes, used[places, classes])
        value = abs(2 * auc.value - 1)
        low, high = auc.interval() or (auc.value, auc.value)
        ends = sorted((abs(2 * low - 1), abs(2 * high - 1)))
        return _Found(
            name, measure, n, value, (0.0 if low <= 0.5 <= high else min(ends[0], value), max(ends[1], value))
        )
    measure = "Spearman's correlation"
    if n < _LEAST or (table.sum(axis=1) > 0).sum() < 2 or used.shape[1] < 2:
        return _Found(name, measure, n, None)
    across, down = (_mid_ranks(table.sum(axis=axis)) for axis in (1, 0))
    value = _correlation(across, down, table)
    return _Found(name, measure, n, abs(value), _fisher(abs(value), n, 1 + value * value / 2))


def _named(name: str, table: np.ndarray) -> _Found:
    """Cramér's V net of chance, with the interval of a correlation of that size."""
    n = int(table.sum())
    value = distances.cramers_v(table) if n >= _LEAST else None
    measure = "Cramér's V"
    if value is None or min(table.sum(axis=1).max(), n) < 1:
        return _Found(name, measure, n, None)
    return _Found(name, measure, n, min(value, 1.0), _fisher(min(value, 1.0), n, 1.0))


def _fisher(value: float, n: int, variance: float) -> tuple[float, float]:
    if value >= 1 - 1e-12:
        return max(0.0, 1 - 3 / n), 1.0  # the rule of three: none of n rows was an exception
    half = 1.959963984540054 * math.sqrt(variance / (n - 3))
    return max(0.0, math.tanh(math.atanh(value) - half)), math.tanh(math.atanh(value) + half)


def _mid_ranks(counts: np.ndarray) -> np.ndarray:
    made: np.ndarray = np.cumsum(counts) - counts / 2.0
    return made


def _correlation(across: np.ndarray, down: np.ndarray, table: np.ndarray) -> float:
    n = table.sum()
    x = across - (across * table.sum(axis=1)).sum() / n
    y = down - (down * table.sum(axis=0)).sum() / n
    spread = float((x * x * table.sum(axis=1)).sum()) * float((y * y * table.sum(axis=0)).sum())
    return float(x @ table @ y) / math.sqrt(spread) if spread > 0 else 0.0


def _pictures(ranked: list[_Found], params: LeakageParams) -> tuple[Picture, ...]:
    rows: list[Mapping[str, Any]] = [
        {"name": one.name, "value": one.value, "low": one.interval[0], "high": one.interval[1]}
        for one in ranked[:20]
        if one.value is not None
    ]
    if not rows:
        return ()
    alt = f"Association of {len(rows)} inputs with the label; most of {rows[0]['name']} ({rows[0]['value']:.3f})."
    return (
        pictures.ranges("association", "Inputs and the label", alt, rows, value="Association", line=params.line),
    )  # fmt: skip
