"""What a data set's columns look like, batch by batch in bounded memory, and what of that may be told. Needs pyarrow.

Of a sensitive column and of an id no value leaves this module, and no count of one. Counts below ``k`` are kept back with
their complements (``registry.suppression``); a quantile is told only where ``k`` rows lie on either side of it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from registry.columns import LISTS, SINGLE, hidden
from registry.suppression import told

MOST_DISTINCT: Final = 20_000
MOST_LISTED: Final = 20
QUANTILES: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_WIDTH: Final = 4096
_LONGEST_VALUE: Final = 80
_ELSE: Final = "rows with a value"


@dataclass(slots=True)
class Sketch:
    """Quantiles of a stream: exact up to ``2 * width`` values, then each within 0.2 % of its rank for 10⁸ of them.

    Full buffers are halved by keeping every other value in order, which then counts twice (Munro and Paterson 1980).
    The same values in the same order give the same bits.
    """

    width: int = _WIDTH
    levels: list[npt.NDArray[np.float64]] = field(default_factory=list)
    odd: list[bool] = field(default_factory=list)

    def add(self, values: npt.NDArray[np.float64], level: int = 0) -> None:
        """Take finite values."""
        while len(self.levels) <= level:
            self.levels.append(np.empty(0))
            self.odd.append(False)
        held = np.concatenate([self.levels[level], values])
        if len(held) > 2 * self.width:
            held.sort()
            spare, held = held[len(held) & ~1 :], held[: len(held) & ~1]
            kept = held[int(self.odd[level]) :: 2]
            self.odd[level] = not self.odd[level]
            self.levels[level] = spare
            self.add(kept, level + 1)
        else:
            self.levels[level] = held

    def at(self, share: float) -> float:
        """The value of which about this share of all is at most it."""
        values = np.concatenate(self.levels)
        weights = np.concatenate([np.full(len(held), 2.0**level) for level, held in enumerate(self.levels)])
        order = np.argsort(values, kind="stable")
        reached = np.cumsum(weights[order])
        place = int(np.searchsorted(reached, share * reached[-1], side="left"))
        return float(values[order][min(place, len(values) - 1)])


@dataclass(slots=True)
class _Column:
    """One column's counts."""

    name: str
    type: pa.DataType
    secret: bool
    width: int
    rows: int = 0
    missing: int = 0
    odd: int = 0
    total: float = 0.0
    counts: dict[Any, int] | None = field(default_factory=dict)
    sketch: Sketch = field(init=False)

    def __post_init__(self) -> None:
        self.sketch = Sketch(self.width)
        if pa.types.is_nested(self.type):
            self.counts = None

    @property
    def measured(self) -> bool:
        kind = self.type
        return bool(
            pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_decimal(kind)
            or pa.types.is_date(kind)
            or pa.types.is_timestamp(kind)
        )

    def add(self, column: pa.Array) -> None:
        self.rows += len(column)
        self.missing += column.null_count
        if self.counts is not None:
            for one in pc.value_counts(column):
                value = one["values"].as_py() if not pa.types.is_timestamp(self.type) else one["values"].value
                if value is not None:
                    self.counts[value] = self.counts.get(value, 0) + one["counts"].as_py()
                if len(self.counts) > MOST_DISTINCT:
                    self.counts = None
                    break
        if self.measured and not self.secret:
            self._measure(column.drop_null())

    def _measure(self, values: pa.Array) -> None:
        if pa.types.is_date(self.type):
            values = pc.cast(values, pa.timestamp("s"))
        if pa.types.is_timestamp(values.type):
            values = pc.cast(pc.cast(values, pa.timestamp("us", values.type.tz), safe=False), pa.int64())
        numbers = np.asarray(pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False))
        finite = numbers[np.isfinite(numbers)]
        self.odd += len(numbers) - len(finite)
        self.total += math.fsum(finite)
        self.sketch.add(finite)

    def shown(self, role: str, k: int) -> dict[str, Any]:
        """What may be told of it."""
        known: dict[str, Any] = {"name": self.name, "type": str(self.type), "role": role, "secret": self.secret}
        listed = self.counts is not None and not self.secret and self._is_listed()
        present = self.rows - self.missing - self.odd
        named = {"missing": self.missing, "not_finite": self.odd}
        if listed and self.counts is not None:
            cells: dict[tuple[str, Any], int] = {("named", key): count for key, count in named.items()}
            cells |= {("value", value): count for value, count in self.counts.items() if not _is_odd(value)}
            out = told(cells, k=k, most=MOST_LISTED)
            top = [(value, count) for (kind, value), count in out.cells.items() if kind == "value"]
            known |= {key: out.cells.get(("named", key)) for key in named}
            known["top"] = [[_text(value), count] for value, count in top]
            known["rest"] = out.rest
            known["distinct"] = len(self.counts) if out.countable else None
        else:
            cells_of = told({**named, _ELSE: present}, k=k)
            known |= {key: cells_of.cells.get(key) for key in named}
            known["distinct"] = len(self.counts) if self.counts is not None and self.rows >= k else None
            if self.measured and not self.secret and present >= k:
                known |= self._quantiles(present, k)
        if self.counts is None and not pa.types.is_nested(self.type):
            known["more_than"] = MOST_DISTINCT
        return known

    def _is_listed(self) -> bool:
        if pa.types.is_boolean(self.type) or not self.measured:
            return True
        return pa.types.is_integer(self.type) and len(self.counts or ()) <= MOST_LISTED

    def _quantiles(self, present: int, k: int) -> dict[str, Any]:
        allowed = [share for share in QUANTILES if min(share, 1 - share) * present >= k]
        timely = not (
            pa.types.is_integer(self.type) or pa.types.is_floating(self.type) or pa.types.is_decimal(self.type)
        )
        write = _day if timely else _number
        found: dict[str, Any] = {"quantiles": [[f"{share:g}", write(self.sketch.at(share))] for share in allowed]}
        if not timely:
            found["mean"] = _number(self.total / present)
        return found


class Profiler:
    """Takes batches, gives the profile. ``sealed``: of a hold-out, names and types only."""

    def __init__(self, schema: pa.Schema, columns: Mapping[str, Any], *, k: int, sealed: bool = False) -> None:
        self.k, self.sealed, self.rows = k, sealed, 0
        secret = hidden(columns)
        width = max(128, min(_WIDTH, 2**20 // max(1, len(schema))))
        self.roles = {str(columns[role]): role for role in SINGLE if columns.get(role)}
        for role in LISTS:
            for name in columns.get(role, ()):
                self.roles[name] = {"features": "feature"}.get(role, role)
        self.columns = [_Column(one.name, one.type, one.name in secret, width) for one in schema]

    def add(self, batch: pa.RecordBatch) -> None:
        """Count one batch."""
        self.rows += batch.num_rows
        if self.sealed:
            return
        for one, column in zip(self.columns, batch.columns, strict=True):
            one.add(column)

    def told(self) -> dict[str, Any]:
        """The profile as it is stored: numbers other than counts are text."""
        described = [
            {"name": one.name, "type": str(one.type), "role": self.roles.get(one.name, ""), "secret": True}
            if self.sealed
            else one.shown(self.roles.get(one.name, ""), self.k)
            for one in self.columns
        ]
        return {"smallest_cell": self.k, "rows": self.rows, "columns": described}


def _is_odd(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _number(value: float) -> str:
    return f"{value:.4g}"


def _day(microseconds: float) -> str:
    try:
        return datetime.fromtimestamp(microseconds / 1e6, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return "beyond the calendar"


def _text(value: object) -> str:
    text = str(value).replace("\x00", "\\0")
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
