"""Values at which one input is tried: quantiles of a number, frequent categories of a word. None is the value of few rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks.rows.sampling import is_number, numbers_of, with_numbers

FEWEST: Final = 5
"""So many rows have a category that is shown, and lie beyond the ends of a grid: a result holds nobody's own value."""
_LARGEST_EDGE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Grid:
    """``points`` in ascending order for a number (booleans are 0 and 1), by frequency for ``words``."""

    name: str
    points: tuple[float | str, ...]
    words: bool


def is_ordered(data: pa.Table, name: str) -> bool:
    """Whether its values have an order: numbers, and booleans."""
    kind = data.schema.field(name).type
    return is_number(kind) or bool(pa.types.is_boolean(kind))


def is_word(kind: pa.DataType) -> bool:
    """Text, plain or encoded by a dictionary."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def of(data: pa.Table, name: str, *, points: int, categories: int) -> Grid | None:
    """The input's grid; None for one without two values, or neither a number nor a word."""
    kind = data.schema.field(name).type
    if pa.types.is_boolean(kind):
        counts = [pc.sum(pc.equal(data.column(name), value)).as_py() or 0 for value in (False, True)]
        return Grid(name, (0.0, 1.0), words=False) if min(counts) >= FEWEST else None
    if is_number(kind):
        return _numbers(numbers_of(data, name), name, points)
    return _words(data.column(name), name, categories) if is_word(kind) else None


def _numbers(values: np.ndarray, name: str, points: int) -> Grid | None:
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    edge = min(_LARGEST_EDGE, max(0.01, FEWEST / len(values)))
    made = np.unique(np.quantile(values, np.linspace(edge, 1 - edge, points), method="inverted_cdf"))
    return Grid(name, tuple(float(one) for one in made), words=False) if len(made) > 1 else None


def _words(values: pa.ChunkedArray, name: str, most: int) -> Grid | None:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    counted = [
        (one["counts"], str(one["values"]))
        for one in pc.value_counts(values).to_pylist()
        if one["values"] is not None and one["counts"] >= FEWEST
    ]
    found = [word for _, word in sorted(counted, key=lambda one: (-one[0], one[1]))[:most]]
    return Grid(name, tuple(found), words=True) if len(found) > 1 else None


def at(rows: pa.Table, grid: Grid, place: int) -> pa.Table:
    """The rows with the input set to one point of its grid, in the column's own type."""
    point, field = grid.points[place], rows.schema.field(grid.name)
    if isinstance(point, float) and not pa.types.is_boolean(field.type):
        return with_numbers(rows, grid.name, np.full(rows.num_rows, point))
    value = bool(point) if pa.types.is_boolean(field.type) else point
    if pa.types.is_dictionary(field.type):
        made = pa.array([value] * rows.num_rows, field.type.value_type).dictionary_encode().cast(field.type)
    else:
        made = pa.array([value] * rows.num_rows, field.type)
    return rows.set_column(rows.column_names.index(grid.name), field, made)
