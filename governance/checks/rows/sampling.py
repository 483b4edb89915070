"""Rows and columns for probes: seeded samples, and the numbers that a model answers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from governance.checks.contract import CheckInputs, Probe
from governance.checks.results import CheckError
from governance.checks.rows import columns

_SHUFFLED = 1_000_000
"""Above so many rows they are not all shuffled to draw a few: that takes memory for every row."""
_AT_ONCE = 65_536


def features_of(inputs: CheckInputs) -> list[str]:
    """The model's inputs. Raises ``CheckError`` when none are named or the data lacks one."""
    data = columns.rows_of(inputs)
    if not inputs.roles.features:
        raise CheckError(
            "inputs.missing", "Neither the model's signature nor the data set says which columns are features."
        )
    for name in inputs.roles.features:
        if name not in data.column_names:
            raise CheckError(
                "data.feature_missing", f"The data set has no column “{name}”, which the model needs.", name
            )
    return list(inputs.roles.features)


def sample(table: pa.Table, rows: int, seed: int) -> pa.Table:
    """Up to ``rows`` rows without replacement, in their order. The same seed gives the same rows."""
    if table.num_rows <= rows:
        return table
    random = np.random.Generator(np.random.PCG64(seed))
    if table.num_rows <= _SHUFFLED:
        return taken(table, np.sort(random.permutation(table.num_rows)[:rows]))
    return taken(table, np.sort(random.choice(table.num_rows, rows, replace=False, shuffle=False)))


def taken(table: pa.Table, places: np.ndarray) -> pa.Table:
    """The rows at these places, which ascend. Memory does not grow with the table: Arrow's own ``take`` copies whole columns."""
    parts = [table.slice(0, 0)]
    edges = np.arange(0, table.num_rows + _AT_ONCE, _AT_ONCE)
    ends = np.searchsorted(places, edges, side="left")
    for start, first, last in zip(edges, ends, ends[1:], strict=False):
        if first < last:
            parts.append(table.slice(start, _AT_ONCE).take(pa.array(places[first:last] - start)))
    return pa.concat_tables(parts).combine_chunks()


def said(rows: int, of: int, seed: int) -> tuple[str, ...]:
    """The sentence for the limits of a check that looked at ``rows`` of so many; none where it looked at all."""
    if rows >= of:
        return ()
    return (
        f"Measured on {rows:,} of {of:,} rows, drawn at random with the seed {seed}; the intervals are of so many rows.",
    )


def is_number(kind: pa.DataType) -> bool:
    """Whether a column is numeric; booleans are not."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def numbers_of(table: pa.Table, name: str) -> np.ndarray:
    """A numeric column as float64; what is missing is NaN, whole numbers above 2**53 are rounded."""
    made: np.ndarray = table.column(name).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return made


def with_numbers(table: pa.Table, name: str, values: np.ndarray) -> pa.Table:
    """The table with one numeric column replaced, in the column's own type; NaN is missing.

    Whole numbers stay whole, and all stay within what their type can hold.
    """
    kind = table.schema.field(name).type
    mask = np.isnan(values)
    if pa.types.is_integer(kind):
        own = np.dtype(kind.to_pandas_dtype())
        low, high = float(np.iinfo(own).min), float(np.iinfo(own).max)
        if int(high) > np.iinfo(own).max:  # 2**63 - 1 is no float, and the nearest one is too large
            high = float(np.nextafter(high, 0.0))
        whole = np.clip(np.rint(np.where(mask, 0.0, values)), low, high)
        made = pa.array(whole.astype(own), kind, mask=mask)
    else:
        most = float(np.finfo(kind.to_pandas_dtype()).max)
        held = np.where(np.isfinite(values), np.clip(values, -most, most), values)
        made = pa.array(held, pa.float64(), mask=mask, from_pandas=False).cast(kind)
    return table.set_column(table.column_names.index(name), name, made)


def outputs(probe: Probe) -> np.ndarray:
    """What the model says in numbers: its score, or the number it predicts. Raises ``CheckError``."""
    table = probe.predictions
    if table is None:
        raise CheckError("probe.failed", f"The model gave no answer: {probe.error}")
    for name in ("score", "prediction"):
        if name in table.column_names and is_number(table.schema.field(name).type):
            values: np.ndarray = table.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
            return values
    raise CheckError(
        "data.scores_missing", "The model gives neither probabilities nor numbers, which this check needs.", "score"
    )
