"""Sums of floating-point numbers without rounding, whatever the order: integers, one pair for each power of two.

A double is a whole number of 53 bits times a power of two. Its halves are added as 64-bit integers beside all others of
the same power, as in Kulisch's long accumulator (Computer Arithmetic and Validity, 2008); up to 2³⁶ rows fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

import numpy as np
import pyarrow as pa

SCHEMA = pa.schema([
    ("cell", pa.int64()), ("quantity", pa.string()), ("exponent", pa.int64()), ("high", pa.int64()), ("low", pa.int64()),
])  # fmt: skip
_KEYS = ["cell", "quantity", "exponent"]
_HALF = 27
_CONSTANT = "@"
_SPAN = 4096
_CHUNK = 1 << 22
_FEW = 256


def summed(quantities: Mapping[str, np.ndarray], cell: np.ndarray) -> pa.Table:
    """For each quantity and cell the exact sum. Integers and finite doubles; integers must be below 2⁵³."""
    made = [_one(name, values, cell) for name, values in quantities.items()]
    return merged(made)


def merged(states: Iterable[pa.Table]) -> pa.Table:
    """Add such tables: the same bits for every order and partition."""
    table = (
        pa.concat_tables(list(states)).group_by(_KEYS, use_threads=False).aggregate([("high", "sum"), ("low", "sum")])
    )
    table = table.rename_columns([*_KEYS, "high", "low"]).sort_by([(name, "ascending") for name in _KEYS])
    return table.combine_chunks().cast(SCHEMA)


def constants(values: Mapping[str, Sequence[float]]) -> pa.Table:
    """What every shard was given and ``finish`` needs, such as edges: merging leaves it as it is."""
    rows = [(cell, _CONSTANT + name, value) for name, one in values.items() for cell, value in enumerate(one)]
    bits = np.array([value for *_, value in rows], dtype="float64").view("int64")
    none = np.zeros(len(rows), dtype="int64")
    columns = [[cell for cell, *_ in rows], [name for _, name, _ in rows], bits, none, none]
    return pa.table([pa.array(one, field.type) for one, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


class Sums:
    """Reads a merged table."""

    def __init__(self, state: pa.Table) -> None:
        parts: dict[tuple[int, str], list[tuple[int, int]]] = {}
        held: dict[str, list[tuple[int, float]]] = {}
        for row in state.to_pylist():
            if row["quantity"].startswith(_CONSTANT):
                bits = np.int64(row["exponent"]).view("float64")
                held.setdefault(row["quantity"].removeprefix(_CONSTANT), []).append((row["cell"], float(bits)))
                continue
            part = row["exponent"], (row["high"] << _HALF) + row["low"]
            parts.setdefault((row["cell"], row["quantity"]), []).append(part)
        self._of = {key: _whole(given) for key, given in parts.items()}
        self._total: dict[str, Fraction] = {}
        self.cells: tuple[int, ...] = tuple(sorted({cell for cell, _ in self._of}))
        self.constants = {name: [value for _, value in sorted(cells)] for name, cells in held.items()}

    def of(self, quantity: str, cell: int | None = None) -> Fraction:
        """The sum of a quantity in one cell, or in all."""
        if cell is not None:
            return self._of.get((cell, quantity), Fraction(0))
        if quantity not in self._total:
            found = (value for (_, name), value in self._of.items() if name == quantity)
            self._total[quantity] = sum(found, Fraction(0))
        return self._total[quantity]


def _whole(parts: list[tuple[int, int]]) -> Fraction:
    """Whole numbers times powers of two, added."""
    least = min(exponent for exponent, _ in parts)
    total = sum(whole << (exponent - least) for exponent, whole in parts)
    return Fraction(total << least) if least >= 0 else Fraction(total, 1 << -least)


def _one(name: str, values: np.ndarray, cell: np.ndarray) -> pa.Table:
    parts = [_chunk(name, values[at : at + _CHUNK], cell[at : at + _CHUNK]) for at in range(0, len(values), _CHUNK)]
    return pa.concat_tables(parts) if parts else SCHEMA.empty_table()


def _chunk(name: str, values: np.ndarray, cell: np.ndarray) -> pa.Table:
    mantissa, exponent = np.frexp(values.astype("float64"))
    whole = (mantissa * 2.0**53).astype("int64")
    high = whole >> _HALF
    few = cell.min() >= 0 and cell.max() < _FEW
    cells, place = (np.arange(cell.max() + 1), cell) if few else np.unique(cell, return_inverse=True)
    key = place * _SPAN + (exponent.astype("int64") + _SPAN // 2)
    rows = np.bincount(key, minlength=len(cells) * _SPAN)
    used = np.flatnonzero(rows)
    # Exact in doubles: 2²² values of at most 2²⁷ stay below 2⁵³.
    halves = high, whole - (high << _HALF)
    sums = [np.bincount(key, weights=half, minlength=len(rows))[used].astype("int64") for half in halves]
    return pa.table(
        [cells[used // _SPAN], pa.repeat(name, len(used)), used % _SPAN - _SPAN // 2 - 53, *sums],
        schema=SCHEMA,
    )
