"""Count tables: distinct keys with integer counts, sorted. They add up to the same bits however the rows were split.

Beside ``count`` a table may hold sums: columns whose names begin with ``sum_``, whole numbers too (int64), such as weights
in fixed point and the limbs of :mod:`governance.checks.statistics.limbs`. Every other column is part of the key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

COUNT = "count"
MOST = 2**21
_BITS = b"grid_bits"
_GRIDS = (20, 18, 16, 14, 12, 10, 8, 6, 4)
SUM = "sum_"


def counted(keys: pa.Table) -> pa.Table:
    """How often each row of ``keys`` occurs."""
    ones = pa.array(np.ones(keys.num_rows, dtype="int64"))
    return merged([keys.append_column(COUNT, ones)])


def merged(states: Iterable[pa.Table]) -> pa.Table:
    """Add count tables of one schema. Guarantee: the same bits for every order and partition.

    Minus zero is counted as zero, so that equal numbers are one key. Raises ``ValueError`` for no tables at all.
    """
    tables = list(states)
    if not tables:
        raise ValueError("there is nothing to merge")
    table = pa.concat_tables([_normal(table) for table in tables])
    added = [name for name in table.column_names if is_added(name)]
    names = [name for name in table.column_names if not is_added(name)]
    if names:
        table = table.group_by(names, use_threads=False).aggregate([(name, "sum") for name in added])
        table = table.rename_columns([*names, *added]).sort_by([(name, "ascending") for name in names])
    else:
        table = pa.table({name: pa.array([pc.sum(table.column(name)).as_py() or 0], pa.int64()) for name in added})
    return table.combine_chunks()


def is_added(name: str) -> bool:
    """Whether a column is added up when tables are merged."""
    return name == COUNT or name.startswith(SUM)


def bounded(states: Iterable[pa.Table], names: Sequence[str] = ("score",), *, most: int = MOST) -> pa.Table:
    """Add count tables whose columns ``names`` hold numbers; above ``most`` keys these are rounded down to a grid of 2⁻ᵇ.

    Guarantee: the same bits for every order and partition. The grid is the finest on which the keys of *all* rows are few
    enough: a part never has more keys than the whole, so that no part is rounded further than the whole is in the end.
    ``grid_bits`` tells b of a state; a number has moved down by less than 2⁻ᵇ.
    """
    tables = list(states)
    coarsest = min((bits for table in tables if (bits := grid_bits(table)) is not None), default=None)
    table = merged([_rounded(table, names, coarsest) for table in tables])
    for bits in _GRIDS:
        if table.num_rows <= most:
            break
        if coarsest is None or bits < coarsest:
            coarsest = bits
            table = merged([_rounded(table, names, bits)])
    return table.replace_schema_metadata(None if coarsest is None else {_BITS: str(coarsest).encode()})


def grid_bits(state: pa.Table) -> int | None:
    """The b of the grid 2⁻ᵇ that a state's numbers were rounded to; None when they are exact."""
    found = (state.schema.metadata or {}).get(_BITS)
    return None if found is None else int(found)


def _rounded(table: pa.Table, names: Sequence[str], bits: int | None) -> pa.Table:
    table = table.replace_schema_metadata(None)
    if bits is None:
        return table
    for name in names:
        column = table.column(name)
        if column.null_count < len(column):
            made = pc.divide(pc.floor(pc.multiply(column, 2.0**bits)), 2.0**bits)  # nested: cells of cells
            table = table.set_column(table.column_names.index(name), name, made)
    return table


def _normal(table: pa.Table) -> pa.Table:
    columns = []
    for field in table.schema:
        column = table.column(field.name)
        columns.append(pc.add(column, 0.0) if field.type == pa.float64() else column)
    return pa.table(dict(zip(table.column_names, columns, strict=True)))


def numbers(state: pa.Table, name: str) -> np.ndarray:
    """A column as numpy array."""
    array: np.ndarray = state.column(name).to_numpy()
    return array
