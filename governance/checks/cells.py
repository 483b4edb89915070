"""Cells of a column: how often each of its values occurs, and what lies between them, on both sides of a comparison."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import columns
from governance.checks.contract import CheckInputs

GAP, AT, SPREAD, MISSING, CATEGORY = range(5)
_FINE = 30
"""Sums are kept in units of 2⁻³⁰ of the largest training value, in two halves of 31 bits: what is 2³¹ times as large as
any training value still counts in full, and 2³² rows add up without overflow."""
HALF = 2.0**31
SCHEMA = pa.schema([
    ("column", pa.string()), ("place", pa.int8()), ("edge", pa.float64()), ("category", pa.string()),
    ("side", pa.int8()), ("count", pa.int64()), ("high", pa.int64()), ("low", pa.int64()),
])  # fmt: skip
KEYS = ["column", "place", "edge", "category", "side"]
VALUES = ["count", "high", "low"]
_Row = tuple[str, int, float, str, int, int, int, int]
TRAINING, SAMPLE = 0, 1


def shared_columns(inputs: CheckInputs) -> list[str]:
    """The features that both tables have; without named features every column of both but the label."""
    data = columns.rows_of(inputs)
    training = [] if inputs.training is None else inputs.training.column_names
    wanted = inputs.roles.features or [name for name in data.column_names if name != inputs.roles.label]
    return [
        name
        for name in dict.fromkeys((*wanted, *inputs.roles.sensitive))
        if name in training and name in data.column_names
    ]


def is_number(kind: pa.DataType) -> bool:
    """Whether a type has an order and distances."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_category(values: pa.Array, most: int) -> bool:
    """Whether whole numbers are few enough to be names."""
    return pa.types.is_integer(values.type) and len(pc.unique(values)) <= most


def plain(values: pa.ChunkedArray) -> pa.Array:
    """One array, without a dictionary."""
    made = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return made.dictionary_decode() if pa.types.is_dictionary(made.type) else made


def _present(values: pa.Array) -> tuple[np.ndarray, int]:
    """The finite numbers of a column, and how many cells are none."""
    made = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    finite = made[np.isfinite(made)] + 0.0  # minus zero is zero
    return finite, len(made) - len(finite)


def of_numbers(name: str, before: pa.Array, now: pa.Array, resolution: int) -> list[pa.Table]:
    """Cells of a numeric column of both sides; the training values, or ``resolution`` of their quantiles, are the edges."""
    training, no_training = _present(before)
    sample, no_sample = _present(now)
    spread = float(training.std()) if len(training) else 0.0
    training.sort()
    sample.sort()
    edges = training[np.concatenate([[True], training[1:] != training[:-1]])] if len(training) else training
    if len(edges) > resolution:
        places = np.ceil(np.linspace(0, 1, resolution) * len(training)).astype("int64") - 1
        edges = np.unique(training[np.maximum(places, 0)])
    unit = unit_of(edges)
    rows: list[_Row] = [(name, MISSING, 0.0, "", side, n, 0, 0) for side, n in enumerate((no_training, no_sample))]
    rows.append((name, SPREAD, spread, "", TRAINING, 0, 0, 0))
    return [_state(rows), _cells(name, training, edges, unit, TRAINING), _cells(name, sample, edges, unit, SAMPLE)]


def unit_of(edges: np.ndarray) -> float:
    """What sums within gaps are counted in, from the edges alone."""
    largest = float(np.abs(edges).max()) if len(edges) else 1.0
    return 2.0 ** ((math.frexp(largest)[1] if largest else 0) - _FINE)


def _cells(name: str, values: np.ndarray, edges: np.ndarray, unit: float, side: int) -> pa.Table:
    """Counts of sorted values at each edge and in each gap below one (the last: above all), with the sums in the gaps."""
    first, last = (np.searchsorted(values, edges, how) for how in ("left", "right"))
    starts, ends = np.concatenate([[0], last]), np.append(first, len(values))
    units = np.rint(np.clip(values, -unit * 2.0**61, unit * 2.0**61) / unit)
    upper = np.floor(units / HALF)
    sums = []
    for half in (upper, units - upper * HALF):
        running = np.concatenate([[0], np.cumsum(half.astype("int64"))])
        sums.append(running[ends] - running[starts])
    none = np.zeros(len(edges), dtype="int64")
    made = (
        np.repeat([AT, GAP], [len(edges), len(edges) + 1]),
        np.concatenate([edges, edges, [np.inf]]),
        np.concatenate([last - first, ends - starts]),
        np.concatenate([none, sums[0]]),
        np.concatenate([none, sums[1]]),
    )
    place, edge, count, high, low = (one[made[2] > 0] for one in made)
    size = len(count)
    fields = [pa.repeat(name, size), place, edge, pa.repeat("", size), np.full(size, side), count, high, low]
    return pa.table([pa.array(one).cast(field.type) for one, field in zip(fields, SCHEMA, strict=True)], schema=SCHEMA)


def of_categories(name: str, values: pa.Array, side: int) -> pa.Table:
    """Cells of a column of words."""
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    counted = pc.value_counts(values.cast(pa.string()))
    rows = []
    for one in counted.to_pylist():
        place = MISSING if one["values"] is None else CATEGORY
        rows.append((name, place, 0.0, one["values"] or "", side, one["counts"], 0, 0))
    return _state(rows)


def _state(rows: list[_Row]) -> pa.Table:
    fields = zip(*rows, strict=True) if rows else [()] * len(SCHEMA)
    return pa.table([pa.array(list(one), field.type) for one, field in zip(fields, SCHEMA, strict=True)], schema=SCHEMA)
