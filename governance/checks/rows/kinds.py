"""What a label is: one of two, one of several, or a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from governance.checks.contract import CheckInputs
from governance.checks.rows import columns
from governance.checks.statistics import streamed

Kind = Literal["binary", "multiclass", "regression"]
_EXACT = 2.0**53
MOST_WHOLE = 20
"""More distinct whole numbers than that are no classes."""


def kind_of(inputs: CheckInputs, tables: Sequence[str]) -> Kind:
    """The task that label and predictions belong to. Raises ``CheckError`` for a label that is not there or not whole.

    Numbers that are not whole, or more than 20 different ones: a regression. Two values, with scores in every one of
    ``tables``: binary. Else classes.
    """
    name = inputs.roles.label
    label = columns.column(columns.rows_of(inputs), name, code="data.label_missing", what="label")
    columns.check_whole(label, name)
    distinct = streamed.distinct(label, MOST_WHOLE)
    scored = all((table := getattr(inputs, one)) is not None and "score" in table.column_names for one in tables)
    if scored and distinct <= 2:
        return "binary"
    number = pa.types.is_integer(label.type) or pa.types.is_floating(label.type)
    if number and distinct > MOST_WHOLE:
        return "regression"
    if pa.types.is_floating(label.type):
        values = pc.unique(label)
        whole = pc.all(pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), _EXACT))).as_py()
        return "multiclass" if whole else "regression"
    return "multiclass"
