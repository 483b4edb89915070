"""Weights of rows as whole millionths: sums of integers, so that any partition of the rows adds to the same bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.checks.contract import CheckInputs
from governance.checks.results import CheckError
from governance.checks.rows import columns

UNIT = 1_000_000
"""A weight of 1."""
_LARGEST = 2**52


def checked(inputs: CheckInputs) -> CheckInputs:
    """The inputs without the rows of weight zero, which count for nothing. Raises ``CheckError`` for what is no weight."""
    name = inputs.roles.weight
    if name is None:
        return inputs
    data = columns.rows_of(inputs)
    values = columns.column(data, name, code="data.weight_missing", what="weight")
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)):
        raise CheckError("data.weight_invalid", f"The weight “{name}” holds no numbers.", name)
    made = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    if not np.isfinite(made).all():
        raise CheckError("data.weight_invalid", f"The weight “{name}” is missing or not finite in some rows.", name)
    if (made < 0).any():
        raise CheckError("data.weight_invalid", f"The weight “{name}” is negative in some rows.", name)
    if ((made > 0) & (made * UNIT < 0.5)).any():
        raise CheckError("data.weight_invalid", f"The weight “{name}” is below one millionth in some rows.", name)
    if float(made.sum()) * UNIT > _LARGEST:
        sentence = f"The weights “{name}” add up to more than {_LARGEST // UNIT:,}. Divide them by a constant."
        raise CheckError("data.weight_invalid", sentence, name)
    if not (made > 0).any():
        raise CheckError("data.weight_invalid", f"The weight “{name}” is zero in every row.", name)
    if (made > 0).all():
        return inputs
    mask = pa.array(made > 0)
    if inputs.predictions is not None and inputs.predictions.num_rows != data.num_rows:
        return inputs  # refused by the check of the predictions, with its own sentence
    kept = {
        one: table.filter(mask)
        for one in ("data", "predictions", "champion")
        if (table := getattr(inputs, one)) is not None and table.num_rows == data.num_rows
    }
    return replace(inputs, **kept)


def units(shard: CheckInputs) -> pa.Array:
    """The weight of each row in millionths (int64); a million each without the role."""
    data = columns.rows_of(shard)
    if shard.roles.weight is None:
        return pa.repeat(pa.scalar(UNIT, pa.int64()), data.num_rows)
    made = data.column(shard.roles.weight).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return pa.array(np.rint(made * UNIT).astype("int64"))


def effective(count: np.ndarray, weight: np.ndarray) -> float:
    """How many equal rows the weighted ones are worth: (Σw)² / Σw² (Kish 1965). Without weights it is their number."""
    total, squares = float((count * weight).sum()), float((count * weight**2).sum())
    return total * total / squares if squares else 0.0


def said(inputs: CheckInputs, worth: float) -> tuple[str, ...]:
    """A finding on weighted rows; none without weights."""
    name = inputs.roles.weight
    return () if name is None else (f"Rows are weighted by “{name}”; they are worth {worth:,.0f} equal ones.",)


def total(units_of: pa.Array) -> int:
    """The sum, exactly."""
    return int(pc.sum(units_of).as_py() or 0)
