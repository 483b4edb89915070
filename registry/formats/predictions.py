"""Predictions that somebody else computed: held against the rows they speak of, and put into the order of those rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from config.errors import Invalid
from registry.formats.examined import is_number
from registry.formats.tabular import ROWS, opened

_KINDS: Final = {"number": "numbers", "text": "text", "truth": "true and false"}


@dataclass(frozen=True, slots=True)
class Data:
    """The data set: its rows as a file, the roles of its columns. Of a ``secret`` one no number is told."""

    rows: Path
    columns: Mapping[str, Any]
    count: int
    secret: bool = False


def aligned(file: Path, columns: Mapping[str, Any], data: Data, *, target: Path) -> Path:
    """Write ``prediction`` and/or ``score`` in the order of the data set's rows, as the sandbox does for a model.

    By id, if one is named, else row by row. Raises ``Invalid`` (field ``columns.…`` or ``file``): another number of rows,
    an id that is missing, there twice or unknown, a missing or infinite value, a score outside 0 to 1, predictions of
    another kind than the label.
    """
    wanted = [role for role in ("prediction", "score") if columns.get(role)]
    given = _columns(file, [columns[role] for role in wanted] + ([columns["id"]] if columns.get("id") else []))
    if given.num_rows != data.count:
        raise Invalid(
            f"There are {given.num_rows} predictions{'' if data.secret else f' for {data.count} rows'}.",
            code="predictions.rows",
            field="file",
            remedy="Give one prediction for each row of the data set.",
        )
    made: dict[str, pa.ChunkedArray] = {}
    for role in wanted:
        made[role] = _sound(role, given.column(columns[role]))
    if "prediction" in made:
        _check_kind(made["prediction"], data, columns)
    table = pa.table(made)
    if columns.get("id"):
        table = table.take(_places(given.column(columns["id"]), data))
    pq.write_table(table, target, row_group_size=ROWS, compression="zstd")
    return target


def _columns(file: Path, names: list[str]) -> pa.Table:
    with opened(file) as there:
        schema = pa.schema([there.schema.field(name) for name in names])
        return pa.Table.from_batches([batch.select(names) for batch in there.batches()], schema=schema)


def _sound(role: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers or text, none missing, finite; a score as float64 within 0 and 1."""
    field = f"columns.{role}"
    if column.null_count:
        raise Invalid(f"The {role} is missing in {column.null_count} row(s).", code="predictions.missing", field=field)
    kind = _kind(column.type)
    if not kind or (role == "score" and kind != "number"):
        raise Invalid(f"The {role} is of type {column.type}.", code="predictions.type", field=field)
    if kind == "text":
        return column.cast(pa.string())
    if kind == "truth":
        return column.cast(pa.int64())
    if pa.types.is_integer(column.type) and role == "prediction":
        return column.cast(pa.int64())
    numbers = column.cast(pa.float64(), safe=False)
    if not pc.all(pc.is_finite(numbers), min_count=0).as_py():
        raise Invalid(f"The {role} is not finite in some row.", code="predictions.not_finite", field=field)
    if role == "score":
        ends = pc.min_max(numbers).as_py()
        if ends["min"] < 0 or ends["max"] > 1:
            raise Invalid(
                "Some scores lie outside 0 to 1, so they are no probabilities.",
                code="predictions.score",
                field=field,
                remedy="Give the probability of the positive outcome.",
            )
    return numbers


def _kind(of: pa.DataType) -> str:
    if is_number(of):
        return "number"
    if pa.types.is_boolean(of):
        return "truth"
    return "text" if pa.types.is_string(of) or pa.types.is_large_string(of) else ""


def _check_kind(predicted: pa.ChunkedArray, data: Data, columns: Mapping[str, Any]) -> None:
    label = data.columns.get("label")
    if not label:
        return
    with opened(data.rows) as there:
        kind = _kind(there.schema.field(label).type)
    if {"truth": "number"}.get(kind, kind) != _kind(predicted.type):
        raise Invalid(
            f"The prediction {columns['prediction']!r} holds {_KINDS[_kind(predicted.type)]}, and the data set's label "
            f"{_KINDS.get(kind, 'something else')}.",
            code="predictions.kind",
            field="columns.prediction",
            remedy="Give the predicted label as the data set writes it.",
        )


def _places(ids: pa.ChunkedArray, data: Data) -> pa.Array:
    """For each row of the data set, where its prediction is."""
    theirs = _columns(data.rows, [data.columns["id"]]).column(0)
    if _kind(ids.type) != _kind(theirs.type) or not _kind(ids.type):
        raise Invalid(
            f"The id is of type {ids.type}, and in the data set of type {theirs.type}.",
            code="predictions.id",
            field="columns.id",
        )
    ids, theirs = (one.cast(pa.string()).combine_chunks() for one in (ids, theirs))
    for one, whose in ((ids, "the predictions"), (theirs, "the data set")):
        if one.null_count or len(pc.unique(one)) < len(one):
            raise Invalid(
                f"An id of {whose} is missing or occurs twice, so rows cannot be told apart.",
                code="predictions.id",
                field="columns.id",
                remedy="Give the predictions in the order of the data set's rows and name no id.",
            )
    places = pc.index_in(theirs, value_set=ids)
    if places.null_count:
        count = "Some rows" if data.secret else f"{places.null_count} row(s)"
        raise Invalid(
            f"{count} of the data set have no prediction: their id is not among those given.",
            code="predictions.id",
            field="columns.id",
        )
    return places
