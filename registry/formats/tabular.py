"""Reading a data set's file: schema, rows, and whether the columns that were named are there. Needs pyarrow: workers only."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

from config.errors import Invalid

_PARQUET: Final = b"PAR1"


@dataclass(frozen=True, slots=True)
class Described:
    """What the bytes hold. ``schema`` is [{"name", "type"}] in column order; ``format`` is parquet or csv."""

    format: str
    rows: int
    schema: list[dict[str, str]]


def read(path: Path) -> tuple[str, pa.Table]:
    """The file's format and its rows. Raises ``Invalid`` for what is neither Parquet nor CSV with a header."""
    with path.open("rb") as stream:
        magic = stream.read(4)
    try:
        if magic == _PARQUET:
            return "parquet", pq.read_table(path)
        return "csv", csv.read_csv(path)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise Invalid(
            f"The file is neither Parquet nor CSV with a header: {str(error).splitlines()[0][:200]}",
            code="dataset.unreadable",
            field="file",
        ) from error


def describe(path: Path, columns: Mapping[str, Any]) -> Described:
    """Read the file and hold it against the column roles that were given.

    Raises ``Invalid`` (field ``columns.…`` or ``file``) naming the column: unreadable file, no rows, a name twice, a
    label, feature or sensitive column that is not there, a label without a value in some row.
    """
    kind, table = read(path)
    twice = sorted(name for name, count in Counter(table.column_names).items() if count > 1)
    if twice:
        raise Invalid(f"The column {twice[0]!r} occurs twice.", code="dataset.column_twice", field="file")
    if table.num_rows == 0:
        raise Invalid("The data set has no rows.", code="dataset.empty", field="file")
    label = columns.get("label")
    wanted: list[tuple[str, Sequence[str]]] = [
        ("label", [label] if label else []),
        ("features", columns.get("features", [])),
        ("sensitive", columns.get("sensitive", [])),
    ]
    for role, some in wanted:
        for name in some:
            if name not in table.column_names:
                known = ", ".join(table.column_names[:20])
                raise Invalid(
                    f"There is no column {name!r}, which is named as {role}. The file has: {known}.",
                    code=f"dataset.no_{role}",
                    field=f"columns.{role}",
                )
    if label and table.column(label).null_count:
        missing = table.column(label).null_count
        raise Invalid(f"The label {label!r} is missing in {missing} row(s).", code="dataset.label_null", field="columns.label")
    if label and len(pc.unique(table.column(label))) == 1:
        raise Invalid(
            f"The label {label!r} has one value only, so nothing can be measured.",
            code="dataset.label_one_class",
            field="columns.label",
        )
    schema = [{"name": field.name, "type": str(field.type)} for field in table.schema]
    return Described(format=kind, rows=table.num_rows, schema=schema)
