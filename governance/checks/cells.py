"""Cells of a column: how often each of its values occurs, and what lies between them, on both sides of a comparison.

The reference alone freezes the cells, so that a shard of the sample needs no other shard: every distinct value of a column,
or ``resolution`` of its quantiles, and the gaps between them; of words the ``MOST_WORDS`` most frequent, the others
together, and what the reference never had. Counts add up; sums within a gap travel as integers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks import columns
from governance.checks.contract import CheckInputs, Roles

GAP, AT, SPREAD, MISSING, WORD, OTHER, NEW = range(7)
REFERENCE, SAMPLE = 0, 1
MOST_WORDS: Final = 1000
_FINE = 30
"""Sums are kept in units of 2⁻³⁰ of the largest edge, in two halves of 31 bits: what is 2³¹ times as large as any edge still
counts in full, and 2³² rows add up without overflow."""
HALF = 2.0**31
_LOOK = 10_000
"""So many rows are looked at first, before all distinct whole numbers are counted."""
SCHEMA = pa.schema([
    ("side", pa.int8()), ("column", pa.string()), ("place", pa.int8()), ("edge", pa.float64()), ("word", pa.string()),
    ("count", pa.int64()), ("high", pa.int64()), ("low", pa.int64()),
])  # fmt: skip
KEYS = ["side", "column", "place", "edge", "word"]
VALUES = ["count", "high", "low"]


def features_of(data: pa.Table, roles: Roles) -> list[str]:
    """The inputs of the model and the sensitive columns; without named features every column that has no other role."""
    others = {roles.label, roles.weight, roles.prediction, roles.id, roles.time}
    wanted = roles.features or [name for name in data.column_names if name not in others]
    return list(dict.fromkeys((*wanted, *roles.sensitive)))


def shared_columns(inputs: CheckInputs, reference: pa.Table | None = None) -> list[str]:
    """The features that the data and the reference (left out: the training data) both have."""
    data = columns.rows_of(inputs)
    other = inputs.training if reference is None else reference
    there = [] if other is None else other.column_names
    return [name for name in features_of(data, inputs.roles) if name in there and name in data.column_names]


def is_number(kind: pa.DataType) -> bool:
    """Whether a type has an order and distances."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_category(values: pa.Array, most: int) -> bool:
    """Whether whole numbers are few enough to be names."""
    if not pa.types.is_integer(values.type) or len(pc.unique(values[:_LOOK])) > most:
        return False
    return len(pc.unique(values)) <= most


def plain(values: pa.ChunkedArray) -> pa.Array:
    """One array, without a dictionary."""
    made = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return made.dictionary_decode() if pa.types.is_dictionary(made.type) else made


@dataclass(frozen=True, slots=True)
class Frozen:
    """The cells of one column as the reference left them: ``edges`` of numbers (None: words), or the ``words``."""

    name: str
    edges: np.ndarray | None
    words: pa.Array
    rows: pa.Table

    @property
    def unit(self) -> float:
        """What sums within gaps are counted in, from the edges alone."""
        edges = self.edges
        largest = float(np.abs(edges).max()) if edges is not None and len(edges) else 1.0
        return float(2.0 ** ((math.frexp(largest)[1] if largest else 0) - _FINE))


def of_reference(
    table: pa.Table, names: Sequence[str], *, categories: int, resolution: int, given: Mapping[str, Sequence[float]]
) -> pa.Table:
    """The reference's cells, which are those of every sample. ``given``: edges that a column has to have."""
    made: list[pa.Table] = []
    for name in sorted(names):
        values = plain(table.column(name))
        if not is_number(values.type) or (name not in given and is_category(values, categories)):
            made.append(_words_of_reference(name, values))
            continue
        numbers, missing = _present(values)
        edges = _edges(numbers, resolution, np.asarray(given.get(name, ()), dtype="float64"))
        frozen = Frozen(name, edges, _NONE, SCHEMA.empty_table())
        spread = float(numbers.std()) if len(numbers) else 0.0
        ends = _rows(REFERENCE, name, [SPREAD, MISSING], [spread, 0.0], None, [0, missing])
        made += [_numbers(REFERENCE, frozen, numbers), ends]
    return pa.concat_tables([SCHEMA.empty_table(), *made]).combine_chunks()


def of_sample(table: pa.Table, reference: pa.Table) -> pa.Table:
    """The sample's counts in the cells of the reference, in the order of the state."""
    made: list[pa.Table] = []
    for one in frozen(reference):
        values = plain(table.column(one.name))
        if one.edges is None:
            made.append(_words_of_sample(one, values))
            continue
        numbers, missing = _present(values)
        made += [_numbers(SAMPLE, one, numbers), _rows(SAMPLE, one.name, [MISSING], [0.0], None, [missing])]
    return pa.concat_tables([SCHEMA.empty_table(), *made]).combine_chunks()


def frozen(state: pa.Table) -> Iterator[Frozen]:
    """The reference's columns in a state, by name."""
    reference = state.filter(pc.equal(state.column("side"), REFERENCE))
    for name, rows in by_column(reference):
        place = rows.column("place").to_numpy()
        if (place == SPREAD).any():
            yield Frozen(name, rows.column("edge").to_numpy()[place == AT], _NONE, rows)
        else:
            words = rows.column("word").combine_chunks().filter(pa.array(place == WORD))
            yield Frozen(name, None, words, rows)


def by_column(state: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each column of one side, which lie together."""
    runs = pc.run_end_encode(state.column("column").combine_chunks()) if state.num_rows else None
    start = 0
    for name, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True) if runs is not None else ():
        yield name, state.slice(start, end - start)
        start = end


_NONE = pa.array([], pa.string())


def _present(values: pa.Array) -> tuple[np.ndarray, int]:
    """The finite numbers of a column, sorted, and how many cells are none."""
    made = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    finite = np.isfinite(made)
    kept = np.sort(made if finite.all() else made[finite])
    return kept, len(made) - len(kept)


def _edges(numbers: np.ndarray, resolution: int, given: np.ndarray) -> np.ndarray:
    """The distinct values, or ``resolution`` quantiles of them, and what is given."""
    edges = numbers
    if len(numbers) > resolution:
        edges = numbers[np.concatenate([[True], numbers[1:] != numbers[:-1]])]
        if len(edges) > resolution:
            places = np.ceil(np.linspace(0, 1, resolution) * len(numbers)).astype("int64") - 1
            edges = numbers[np.maximum(places, 0)]
    return np.unique(np.concatenate([edges, given])) + 0.0  # minus zero is zero


def _numbers(side: int, one: Frozen, values: np.ndarray) -> pa.Table:
    """Counts of sorted values in each gap below an edge (the last: above all) with their sums, and at each edge.

    All edges are kept on the side of the reference, since they are the cells.
    """
    edges = one.edges if one.edges is not None else np.zeros(0)
    first, last = (np.searchsorted(values, edges, how) for how in ("left", "right"))
    starts, ends = np.concatenate([[0], last]), np.append(first, len(values))
    gaps, at = ends - starts, last - first
    used = gaps > 0
    sums = [_sums(values, starts[used], ends[used], one.unit)] if used.any() else [np.zeros((2, 0), dtype="int64")]
    kept = at > 0 if side == SAMPLE else np.ones(len(at), dtype=bool)
    place = np.repeat([GAP, AT], [int(used.sum()), int(kept.sum())])
    edge = np.concatenate([np.append(edges, np.inf)[used], edges[kept]])
    high, low = np.concatenate([*sums, np.zeros((2, int(kept.sum())), dtype="int64")], axis=1)
    return _rows(side, one.name, place, edge, None, np.concatenate([gaps[used], at[kept]]), high, low)


def _sums(values: np.ndarray, starts: np.ndarray, ends: np.ndarray, unit: float) -> np.ndarray:
    """The sums of sorted values from each start to its end, in units, as the upper and lower halves of whole numbers."""
    units = np.rint(np.clip(values, -unit * 2.0**61, unit * 2.0**61) / unit)
    upper = np.floor(units / HALF)
    made = []
    for half in (upper, units - upper * HALF):
        running = np.concatenate([[0], np.cumsum(half.astype("int64"))])
        made.append(running[ends] - running[starts])
    return np.array(made)


def _counted(values: pa.Array) -> tuple[dict[str, int], int]:
    """How often each word occurs, and how many cells are empty."""
    counts: dict[str, int] = {}
    missing = 0
    found = pc.value_counts(values)
    words = found.field("values").cast(pa.string()).to_pylist()
    for word, count in zip(words, found.field("counts").to_pylist(), strict=True):
        if word is None:
            missing += count
        else:
            counts[word] = counts.get(word, 0) + count
    return counts, missing


def _words_of_reference(name: str, values: pa.Array) -> pa.Table:
    counts, missing = _counted(values)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    known = sorted(ranked[:MOST_WORDS])
    rest = sum(counts[word] for word in ranked[MOST_WORDS:])
    places = [MISSING] + [WORD] * len(known) + ([OTHER] if rest else [])
    tail = [rest] if rest else []
    words = ["", *known, *([""] if rest else [])]
    return _rows(REFERENCE, name, places, 0.0, words, [missing, *(counts[word] for word in known), *tail])


def _words_of_sample(one: Frozen, values: pa.Array) -> pa.Table:
    """What is not among the frozen words is new; where the reference had too many words, it is one of the others."""
    counts, missing = _counted(values)
    known = set(one.words.to_pylist())
    mine = sorted(known & counts.keys())
    rest = sum(count for word, count in counts.items() if word not in known)
    place = OTHER if (one.rows.column("place").to_numpy() == OTHER).any() else NEW
    return _rows(
        SAMPLE, one.name, [MISSING] + [WORD] * len(mine) + [place], 0.0, ["", *mine, ""],
        [missing, *(counts[word] for word in mine), rest],
    )  # fmt: skip


def _rows(
    side: int, name: str, place: Sequence[int] | np.ndarray, edge: Sequence[float] | np.ndarray | float,
    words: Sequence[str] | None, count: Sequence[int] | np.ndarray,
    high: np.ndarray | None = None, low: np.ndarray | None = None,
) -> pa.Table:  # fmt: skip
    size = len(count)
    none = np.zeros(size, dtype="int64")
    fields = [
        np.full(size, side, dtype="int8"), pa.repeat(name, size), np.asarray(place, dtype="int8"),
        np.broadcast_to(np.asarray(edge, dtype="float64"), (size,)).copy(), pa.repeat("", size) if words is None else list(words),
        np.asarray(count, dtype="int64"), none if high is None else high, none if low is None else low,
    ]  # fmt: skip
    return pa.table([pa.array(one, field.type) for one, field in zip(fields, SCHEMA, strict=True)], schema=SCHEMA)
