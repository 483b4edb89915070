"""Reading a data set's file: schema, rows, and whether the columns that were named are there. Needs pyarrow: workers only."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from config.errors import Invalid
from registry.names import check_text

_PARQUET: Final = b"PAR1"
_LONGEST_COLUMN: Final = 1000


@dataclass(frozen=True, slots=True)
class Described:
    """What the bytes hold. ``schema`` is [{"name", "type"}] in column order; ``format`` is parquet or csv.

    ``label_kind`` is binary, numeric or categorical, or empty without a label.
    """

    format: str
    rows: int
    schema: list[dict[str, str]]
    label_kind: str


def describe(path: Path, columns: Mapping[str, Any]) -> Described:
    """Read the file and hold it against the column roles that were given.

    Raises ``Invalid`` (field ``columns.…`` or ``file``) naming the column: unreadable file, no rows, a name twice, a
    label, feature or sensitive column that is not there, a label without a value in some row or with a single value.
    """
    label = columns.get("label")
    kind, schema, rows, labels = _read(path, label)
    for name in schema.names:
        check_text(name, field="file", longest=_LONGEST_COLUMN)
    twice = sorted(name for name, count in Counter(schema.names).items() if count > 1)
    if twice:
        raise Invalid(f"The column {twice[0]!r} occurs twice.", code="dataset.column_twice", field="file")
    if rows == 0:
        raise Invalid("The data set has no rows.", code="dataset.empty", field="file")
    wanted: list[tuple[str, Sequence[str]]] = [
        ("label", [label] if label else []),
        ("features", columns.get("features", [])),
        ("sensitive", columns.get("sensitive", [])),
    ]
    for role, some in wanted:
        for name in some:
            if name not in schema.names:
                known = ", ".join(schema.names[:20])[:500]
                raise Invalid(
                    f"There is no column {name!r}, which is named as {role}. The file has: {known}.",
                    code=f"dataset.no_{role}",
                    field=f"columns.{role}",
                )
    return Described(
        format=kind,
        rows=rows,
        schema=[{"name": field.name, "type": str(field.type)} for field in schema],
        label_kind=_kind_of_label(str(label), labels) if labels is not None else "",
    )


def read(path: Path) -> tuple[str, pa.Table]:
    """The format and all rows of a sealed data set's file. Raises ``Invalid`` if it is neither Parquet nor CSV."""
    with path.open("rb") as stream:
        magic = stream.read(len(_PARQUET))
    try:
        return ("parquet", pq.read_table(path)) if magic == _PARQUET else ("csv", csv.read_csv(path))
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> Invalid:
    return Invalid(
        f"The file is neither Parquet nor CSV with a header: {str(error).splitlines()[0][:200]}",
        code="dataset.unreadable",
        field="file",
    )


def _read(path: Path, label: str | None) -> tuple[str, pa.Schema, int, pa.ChunkedArray | None]:
    """Format, schema, number of rows, and the label's column if there is exactly one of that name."""
    with path.open("rb") as stream:
        magic = stream.read(len(_PARQUET))
    if not magic:
        raise Invalid("The file is empty.", code="dataset.empty", field="file")
    try:
        if magic == _PARQUET:
            with pq.ParquetFile(path) as file:
                schema, rows = file.schema_arrow, file.metadata.num_rows
                there = schema.names.count(label) == 1
                return "parquet", schema, rows, file.read(columns=[label]).column(0) if there else None
        table = csv.read_csv(path)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise _unreadable(error) from error
    there = table.column_names.count(label) == 1
    return "csv", table.schema, table.num_rows, table.column(label) if there else None


def _kind_of_label(label: str, values: pa.ChunkedArray) -> str:
    if values.null_count:
        raise Invalid(
            f"The label {label!r} is missing in {values.null_count} row(s).",
            code="dataset.label_null",
            field="columns.label",
        )
    distinct = len(pc.unique(values))
    if distinct == 1:
        raise Invalid(
            f"The label {label!r} has one value only, so nothing can be measured.",
            code="dataset.label_one_class",
            field="columns.label",
        )
    numeric = pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)
    return "binary" if distinct == 2 else "numeric" if numeric else "categorical"
