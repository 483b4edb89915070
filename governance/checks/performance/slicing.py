"""Slices of a data set: the values of a column or the quantile bins of a number, and pairs of them, counted with losses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product

import numpy as np
import pyarrow as pa

from governance.checks.contract import CheckInputs
from governance.checks.results import CheckError
from governance.checks.rows import columns
from governance.checks.rows.sampling import is_number
from governance.checks.statistics import streamed
from governance.checks.statistics.counts import COUNT, merged

PLACES = ("column", "slice", "second", "other")
MOST_COLUMNS = 40
Coded = tuple[np.ndarray, pa.Array]
_FEW_CELLS = 160
"""Columns are counted together up to so many cells: those of two such packs lie in the processor's cache."""
_HALF_BITS = 26
_HALF = 1 << _HALF_BITS
Edges = Mapping[str, Sequence[float] | None]


def sliced(inputs: CheckInputs) -> list[str]:
    """Features and sensitive columns; without named features every column that has no other role."""
    data, roles = columns.rows_of(inputs), inputs.roles
    other = {roles.label, roles.weight, roles.prediction, roles.id, roles.time}
    wanted = roles.features or [name for name in data.column_names if name not in other]
    found = [name for name in dict.fromkeys((*roles.sensitive, *wanted)) if name in data.column_names]
    if len(found) > MOST_COLUMNS:
        raise CheckError(
            "data.columns_many", f"Slices are sought over at most {MOST_COLUMNS} columns; name the features."
        )
    return found


def edges_of(inputs: CheckInputs, bins: int) -> Edges:
    """Where each column is cut: at no number where its values are slices, at quantiles; None for too many words."""
    data = columns.rows_of(inputs)
    edges: dict[str, Sequence[float] | None] = {}
    for name in sliced(inputs):
        values = data.column(name)
        distinct = streamed.distinct(values, max(bins, columns.MAX_GROUPS))
        if is_number(values.type) and distinct > bins:
            edges[name] = np.unique(streamed.quantiles(values, np.linspace(0, 1, bins + 1)[1:-1])).tolist()
        elif distinct > columns.MAX_GROUPS:
            edges[name] = None
    return edges


def counted(shard: CheckInputs, edges: Edges, measured: Mapping[str, np.ndarray], *, pairs: bool) -> pa.Table:
    """For every slice how many rows it has, and the sums of what was measured (``sum_*``, whole numbers); and for all rows.

    Columns are counted several at a time, in cells of all their values together, and what each two of them have is read off
    those cells: whole numbers, so that it is the same as if each two were counted alone.
    """
    data = columns.rows_of(shard)
    cut = {name: _coded(data, name, at) for name in sliced(shard) if (at := edges.get(name, ())) is not None}
    what = [(f"sum_{name}", _Measured.of(values)) for name, values in measured.items()]
    packs = _packed({name: (codes, len(words)) for name, (codes, words) in cut.items()})
    none = np.zeros(data.num_rows, dtype="int64")
    made = [_table((), {COUNT: np.array(data.num_rows), **{name: one.sums(none, 1)[0] for name, one in what}})]
    for number, pack in enumerate(packs):
        asked = [*combinations(pack.names, 1), *(combinations(pack.names, 2) if pairs else ())]
        own = _cells(pack, None, what)
        found = [(names, _read(own, pack.names, names)) for names in asked]
        for other in packs[number + 1 :] if pairs else ():
            both, all_names = _cells(pack, other, what), (*pack.names, *other.names)
            found += [(names, _read(both, all_names, names)) for names in product(pack.names, other.names)]
        made += [_table([(name, cut[name][1]) for name in names], cells) for names, cells in found]
    return merged(made)


def _coded(data: pa.Table, name: str, edges: Sequence[float]) -> Coded:
    """The slice of each row as a place in a list of words: the value, or the bin it lies in."""
    if edges:
        values = data.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
        words = [f"up to {edges[0]:g}", *(f"{a:g} to {b:g}" for a, b in pairwise(edges)), f"above {edges[-1]:g}"]
        place = np.searchsorted(edges, values, side="left")
        return np.where(np.isfinite(values), place, len(words)), pa.array([*words, columns.UNKNOWN])
    encoded = data.column(name).combine_chunks()
    if pa.types.is_dictionary(encoded.type) and len(encoded.dictionary) > columns.MAX_GROUPS:
        encoded = encoded.dictionary_decode()  # most of its words are not used
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    found = columns.groups(pa.table({name: encoded.dictionary}), name)
    codes = encoded.indices.fill_null(len(found)).to_numpy(zero_copy_only=False).astype("int64")
    return codes, pa.concat_arrays([found, pa.array([columns.UNKNOWN])])


@dataclass(frozen=True, slots=True)
class _Pack:
    """Columns counted together; ``codes`` are the places in cells of all their values, the last column's the quickest."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    codes: np.ndarray


def _packed(cut: Mapping[str, tuple[np.ndarray, int]]) -> list[_Pack]:
    """The columns in their order, as many together as have few cells."""
    packs: list[_Pack] = []
    for name, (codes, size) in cut.items():
        last = packs[-1] if packs else None
        if last is not None and math.prod(last.sizes) * size <= _FEW_CELLS:
            packs[-1] = _Pack((*last.names, name), (*last.sizes, size), last.codes * size + codes)
        else:
            packs.append(_Pack((name,), (size,), codes))
    return packs


@dataclass(frozen=True, slots=True)
class _Measured:
    """Whole numbers below 2⁵³ of the rows; of those that are 0 or 1 the places of the ones."""

    values: np.ndarray
    ones: np.ndarray | None

    @classmethod
    def of(cls, values: np.ndarray) -> _Measured:
        small = not len(values) or (values.min() >= 0 and values.max() <= 1)
        return cls(values, np.flatnonzero(values) if small else None)

    def sums(self, cells: np.ndarray, size: int) -> np.ndarray:
        """Their exact sums in each cell: of large ones in two halves, whose sums are exact as floats."""
        if self.ones is not None:
            counts: np.ndarray = np.bincount(cells[self.ones], minlength=size)
            return counts
        low, high = self.values & (_HALF - 1), self.values >> _HALF_BITS
        sums = [np.rint(np.bincount(cells, weights=half, minlength=size)).astype("int64") for half in (low, high)]
        total: np.ndarray = sums[1] * _HALF + sums[0]
        return total


def _cells(first: _Pack, second: _Pack | None, what: Sequence[tuple[str, _Measured]]) -> dict[str, np.ndarray]:
    """Rows and sums in the cells of one or two packs, with one axis for each column."""
    sizes = first.sizes if second is None else (*first.sizes, *second.sizes)
    cells = first.codes if second is None else first.codes * math.prod(second.sizes) + second.codes
    size = math.prod(sizes)
    made = {COUNT: np.bincount(cells, minlength=size), **{name: one.sums(cells, size) for name, one in what}}
    return {name: values.reshape(sizes) for name, values in made.items()}


def _read(cells: Mapping[str, np.ndarray], names: Sequence[str], wanted: Sequence[str]) -> dict[str, np.ndarray]:
    """The cells of the wanted columns, whatever the others are."""
    rest = tuple(axis for axis, name in enumerate(names) if name not in wanted)
    return {name: values.sum(axis=rest) for name, values in cells.items()}


def _table(slices: Sequence[tuple[str, pa.Array]], cells: Mapping[str, np.ndarray]) -> pa.Table:
    """One column's slices, two columns' or all rows; places that are not used hold empty text."""
    counts = cells[COUNT].ravel()
    there = np.flatnonzero(counts)
    place, keys = there, dict[str, pa.Array]()
    for number, (name, words) in reversed(list(enumerate(slices))):
        place, code = np.divmod(place, len(words))
        keys |= {PLACES[2 * number]: pa.repeat(name, len(there)), PLACES[2 * number + 1]: words.take(pa.array(code))}
    texts = {one: keys.get(one, pa.repeat("", len(there))) for one in PLACES}
    return pa.table({**texts, **{name: pa.array(one.ravel()[there].astype("int64")) for name, one in cells.items()}})
