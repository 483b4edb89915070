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

from governance.checks.contract import CheckInputs, Roles
from governance.checks.rows import columns
from governance.checks.statistics.placing import ADDED_EXACTLY, halves, places, sums

GAP, AT, SPREAD, MISSING, WORD, OTHER, NEW = range(7)
REFERENCE, SAMPLE = 0, 1
MOST_WORDS: Final = 1000
_FINE = 30
"""Sums are kept in units of 2⁻³⁰ of the largest edge, in two halves of 31 bits: what is 2³¹ times as large as any edge still
counts in full, and 2³² rows add up without overflow."""
_LARGE = 2**21
"""A reference of more rows is read in parts of so many."""
_SORTED, _LOOKED = 2**16, 2**14
"""Of more than so many rows, at least so many evenly spread ones give the edges. What lies between them is counted."""
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
    made = values
    if isinstance(values, pa.ChunkedArray):  # of one chunk nothing need be copied
        made = values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()
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
        return float(2.0 ** max((math.frexp(largest)[1] if largest else 0) - _FINE, -900))


def of_reference(
    table: pa.Table, names: Sequence[str], *, categories: int, resolution: int, given: Mapping[str, Sequence[float]]
) -> pa.Table:
    """The reference's cells, which are those of every sample. ``given``: edges that a column has to have."""
    made: list[pa.Table] = []
    for name in sorted(names):
        column = table.column(name)
        first = plain(column[:_LARGE])
        if not is_number(first.type) or (name not in given and is_category(first, categories)):
            made.append(_words_of_reference(name, plain(column)))
        else:
            made.append(_numbers_of_reference(name, column, resolution, given.get(name, ())))
    return pa.concat_tables([SCHEMA.empty_table(), *made]).combine_chunks()


def _numbers_of_reference(name: str, column: pa.ChunkedArray, resolution: int, given: Sequence[float]) -> pa.Table:
    """The cells of one column, part by part: of more than ``_SORTED`` rows every so-manieth gives the edges."""
    parts = [_present(plain(column[start : start + _LARGE]), ordered=False) for start in range(0, len(column), _LARGE)]
    every = 1 if len(column) <= _SORTED else len(column) // _LOOKED
    looked = np.sort(np.concatenate([numbers[::every] for numbers, _ in parts]))
    one = Frozen(name, _edges(looked, resolution, np.asarray(given, dtype="float64")), _NONE, SCHEMA.empty_table())
    counted = (
        [_numbers(REFERENCE, one, looked)] if every == 1 else [_unsorted(REFERENCE, one, part) for part, _ in parts]
    )
    made = counted[0] if len(counted) == 1 else added(counted)
    ends = [_spread([numbers for numbers, _ in parts]), 0.0]
    missing = sum(count for _, count in parts)
    return pa.concat_tables([made, _rows(REFERENCE, name, [SPREAD, MISSING], ends, None, [0, missing])])


def added(tables: Sequence[pa.Table]) -> pa.Table:
    """Counts of the same cells add up; in the order of the state."""
    summed = pa.concat_tables(tables).group_by(KEYS, use_threads=False).aggregate([(name, "sum") for name in VALUES])
    summed = summed.rename_columns([*KEYS, *VALUES]).cast(SCHEMA)
    return summed.sort_by([(name, "ascending") for name in KEYS])


def _spread(parts: Sequence[np.ndarray]) -> float:
    """The standard deviation over all parts, in the order of the rows."""
    if len(parts) == 1:
        return float(parts[0].std()) if len(parts[0]) else 0.0
    n = sum(len(part) for part in parts)
    mean = sum(float(part.sum()) for part in parts) / n if n else 0.0
    return math.sqrt(sum(float(((part - mean) ** 2).sum()) for part in parts) / n) if n else 0.0


def of_sample(table: pa.Table, reference: pa.Table) -> pa.Table:
    """The sample's counts in the cells of the reference, in the order of the state."""
    made: list[pa.Table] = []
    for one in frozen(reference):
        values = plain(table.column(one.name))
        if one.edges is None:
            made.append(_words_of_sample(one, values))
            continue
        numbers, missing = _present(values, ordered=False)
        made += [_unsorted(SAMPLE, one, numbers), _rows(SAMPLE, one.name, [MISSING], [0.0], None, [missing])]
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


def _present(values: pa.Array, *, ordered: bool = True) -> tuple[np.ndarray, int]:
    """The finite numbers of a column, sorted if ``ordered``, and how many cells are none."""
    made = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    finite = np.isfinite(made)
    kept = made if finite.all() else made[finite]
    return np.sort(kept) if ordered else kept, len(made) - len(kept)


def _edges(numbers: np.ndarray, resolution: int, given: np.ndarray) -> np.ndarray:
    """The distinct values, or ``resolution`` quantiles of them, and what is given."""
    edges = _distinct(numbers)
    if len(edges) > resolution:
        places = np.ceil(np.linspace(0, 1, resolution) * len(numbers)).astype("int64") - 1
        edges = _distinct(numbers[np.maximum(places, 0)])
    return (np.unique(np.concatenate([edges, given])) if len(given) else edges) + 0.0  # minus zero is zero


def _distinct(numbers: np.ndarray) -> np.ndarray:
    """Sorted numbers without repeats."""
    return numbers[np.concatenate([[True], numbers[1:] != numbers[:-1]])] if len(numbers) else numbers


def _numbers(side: int, one: Frozen, values: np.ndarray) -> pa.Table:
    """Counts of sorted values in each gap below an edge (the last: above all) with their sums, and at each edge.

    All edges are kept on the side of the reference, since they are the cells.
    """
    edges = one.edges if one.edges is not None else np.zeros(0)
    first, last = (np.searchsorted(values, edges, how) for how in ("left", "right"))
    starts, ends = np.concatenate([[0], last]), np.append(first, len(values))
    gaps, at = ends - starts, last - first
    used = gaps > 0
    kept = at > 0 if side == SAMPLE else np.ones(len(at), dtype=bool)
    none = np.zeros(int(kept.sum()), dtype="int64")
    high, low = (np.concatenate([part[used], none]) for part in sums(values, starts, ends, one.unit))
    place = np.repeat([GAP, AT], [int(used.sum()), len(none)])
    edge = np.concatenate([np.append(edges, np.inf)[used], edges[kept]])
    return _rows(side, one.name, place, edge, None, np.concatenate([gaps[used], at[kept]]), high, low)


def _unsorted(side: int, one: Frozen, values: np.ndarray) -> pa.Table:
    """As ``_numbers``, of values in any order: a table of where values fall is faster than sorting them."""
    edges = one.edges if one.edges is not None else np.zeros(0)
    place = places(values, edges) if len(values) <= ADDED_EXACTLY else None
    if place is None:
        return _numbers(side, one, np.sort(values))
    size = len(edges) + 1
    at = np.append(edges, np.inf)[place] == values
    counts = np.bincount(place * 2 + at, minlength=2 * size)
    gaps, ats = counts[0::2], counts[1::2][:-1]
    outside = ((place == 0) & ~at) | (place == len(edges))
    inside = np.where(at | outside, 0.0, np.rint(np.clip(values, edges[0], edges[-1]) * (1 / one.unit)))
    low = np.bincount(place, weights=inside, minlength=size).astype("int64")
    high = np.zeros(size, dtype="int64")
    if outside.any():
        for gap in (0, len(edges)):
            high[gap], low[gap] = halves(values[outside & (place == gap)], one.unit)
    used, kept = gaps > 0, (ats > 0) | (side == REFERENCE)
    none = np.zeros(int(kept.sum()), dtype="int64")
    return _rows(
        side, one.name, np.repeat([GAP, AT], [int(used.sum()), len(none)]),
        np.concatenate([np.append(edges, np.inf)[used], edges[kept]]), None, np.concatenate([gaps[used], ats[kept]]),
        np.concatenate([high[used], none]), np.concatenate([low[used], none]),
    )  # fmt: skip


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


def _rows(  # noqa: PLR0917 - the columns of the state
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
