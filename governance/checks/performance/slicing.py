"""Slices of a data set: the values of a column or the quantile bins of a number, and pairs of them, counted with losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

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
    """For every slice how many rows it has, and the sums of what was measured (``sum_*``, whole numbers); and for all rows."""
    data = columns.rows_of(shard)
    cut = {name: _coded(_slices(data, name, at)) for name in sliced(shard) if (at := edges.get(name, ())) is not None}
    states = [_of({}, measured), *(_of({name: one}, measured) for name, one in cut.items())]
    if pairs:
        states += [_of({one: cut[one], other: cut[other]}, measured) for one, other in combinations(cut, 2)]
    return merged(states)


def _slices(data: pa.Table, name: str, edges: Sequence[float]) -> pa.Array:
    """The slice of each row as text: the value, or the bin it lies in."""
    if not edges:
        return columns.groups(data, name)
    values = data.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
    names = [f"up to {edges[0]:g}", *(f"{a:g} to {b:g}" for a, b in pairwise(edges)), f"above {edges[-1]:g}"]
    place = np.where(np.isfinite(values), np.searchsorted(edges, values, side="left"), len(names))
    return pa.DictionaryArray.from_arrays(
        place.astype("int32"), pa.array([*names, columns.UNKNOWN])
    ).dictionary_decode()


def _coded(labels: pa.Array) -> Coded:
    """Labels as places in a list of words: counting numbers is many times faster than counting text."""
    encoded = labels.dictionary_encode()
    codes: np.ndarray = encoded.indices.to_numpy().astype("int64")
    return codes, encoded.dictionary


def _of(slices: Mapping[str, Coded], measured: Mapping[str, np.ndarray]) -> pa.Table:
    """One column's slices, two columns' or all rows; places that are not used hold empty text."""
    cells = np.zeros(len(next(iter(measured.values()))), dtype="int64")
    size = 1
    for codes, words in slices.values():
        cells, size = cells * len(words) + codes, size * len(words)
    counts = np.bincount(cells, minlength=size)
    there = np.flatnonzero(counts)
    place, keys = there, dict[str, pa.Array]()
    for number, (name, (_, words)) in reversed(list(enumerate(slices.items()))):
        place, code = np.divmod(place, len(words))
        keys |= {PLACES[2 * number]: pa.repeat(name, len(there)), PLACES[2 * number + 1]: words.take(pa.array(code))}
    texts = {one: keys.get(one, pa.repeat("", len(there))) for one in PLACES}
    sums = {f"sum_{name}": pa.array(_summed(cells, values, size)[there]) for name, values in measured.items()}
    return pa.table({**texts, COUNT: pa.array(counts[there].astype("int64")), **sums})


def _summed(cells: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """Exact sums of whole numbers below 2⁵³ in each cell: in two halves, whose sums are exact as floats."""
    low, high = values & (_HALF - 1), values >> _HALF_BITS
    sums = [np.rint(np.bincount(cells, weights=half, minlength=size)).astype("int64") for half in (low, high)]
    total: np.ndarray = sums[1] * _HALF + sums[0]
    return total
