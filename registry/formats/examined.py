"""A data set's file read once from end to end: what it holds, whether its columns fit their roles, its rows as Parquet."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from config.errors import Invalid
from registry.columns import LISTS, SINGLE
from registry.formats.profile import Profiler
from registry.formats.tabular import ROWS, Limits, Opened, opened

_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Examined:
    """What the bytes hold. ``schema`` is [{"name", "type"}] in column order; ``format`` is parquet, arrow or csv.

    ``label_kind`` is binary, numeric or categorical, or empty without a label. ``table`` is a file with the same rows as
    Parquet in row groups of at most ``tabular.ROWS``, or None where the file itself is one.
    """

    format: str
    compression: str
    rows: int
    schema: list[dict[str, str]]
    label_kind: str
    profile: dict[str, Any]
    table: Path | None


def examine(
    path: Path, columns: Mapping[str, Any], *, scratch: Path, limits: Limits, k: int, sealed: bool = False
) -> Examined:
    """Read the file and hold it against the column roles that were given. ``scratch`` keeps the table, if one is written.

    Raises ``Invalid`` (field ``columns.…`` or ``file``): what ``tabular.opened`` refuses, no rows, a named column that is
    not there, a label that is missing in some row or the same in all, a weight that is no finite number of at least 0, a
    time that is no date.
    """
    with opened(path, scratch=scratch, limits=limits) as file:
        schema = file.schema
        check_named(schema, columns)
        judges = _judges(schema, columns)
        profiler = Profiler(schema, columns, k=k, sealed=sealed)
        target = None if file.split else scratch / "table.parquet"
        for batch in _written(file, schema, target):
            profiler.add(batch)
            for judge in judges:
                judge.add(batch.column(judge.name))
        if not profiler.rows:
            raise Invalid("The data set has no rows.", code="dataset.empty", field="file")
        kinds = [kind for judge in judges if (kind := judge.end())]
        return Examined(
            format=file.format,
            compression=file.compression,
            rows=profiler.rows,
            schema=[{"name": one.name, "type": str(one.type)} for one in schema],
            label_kind=kinds[0] if kinds else "",
            profile=profiler.told(),
            table=target,
        )


def _written(file: Opened, schema: pa.Schema, target: Path | None) -> Iterator[pa.RecordBatch]:
    """The batches, each also written to the target as a row group."""
    if target is None:
        yield from file.batches()
        return
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for batch in file.batches():
            writer.write_batch(batch, row_group_size=ROWS)
            yield batch


def check_named(schema: pa.Schema, columns: Mapping[str, Any]) -> None:
    """Every column that has a role is there. Raises ``Invalid``."""
    wanted = [(role, columns.get(role, ())) for role in LISTS]
    wanted += [(role, [columns[role]] if columns.get(role) else []) for role in SINGLE]
    there = set(schema.names)
    for role, names in wanted:
        for name in names:
            if name not in there:
                known = ", ".join(schema.names[:_SHOWN])[:500]
                raise Invalid(
                    f"There is no column {name!r}, which is named as {role}. The file has: {known}.",
                    code=f"dataset.no_{role}",
                    field=f"columns.{role}",
                    remedy="Name the column as the file does, or upload the file that has it.",
                )


@dataclass(slots=True)
class _Judge:
    """Looks at one column, batch by batch."""

    name: str
    type: pa.DataType

    def add(self, column: pa.Array) -> None:
        """Take a part."""

    def end(self) -> str:
        """The label's kind, of others nothing. Raises ``Invalid``."""
        return ""


@dataclass(slots=True)
class _Label(_Judge):
    missing: int = 0
    seen: set[Any] = field(default_factory=set)

    def add(self, column: pa.Array) -> None:
        self.missing += column.null_count
        if len(self.seen) <= 2:
            distinct = pc.unique(column.drop_null())
            self.seen.update(
                value.as_py() if not pa.types.is_timestamp(self.type) else value.value for value in distinct[:3]
            )

    def end(self) -> str:
        if self.missing:
            raise Invalid(
                f"The label {self.name!r} is missing in {self.missing} row(s).",
                code="dataset.label_null",
                field="columns.label",
                remedy="Leave out the rows whose outcome is not known.",
            )
        if len(self.seen) == 1:
            raise Invalid(
                f"The label {self.name!r} has one value only, so nothing can be measured.",
                code="dataset.label_one_class",
                field="columns.label",
            )
        return "binary" if len(self.seen) == 2 else "numeric" if is_number(self.type) else "categorical"


@dataclass(slots=True)
class _Weight(_Judge):
    positive: bool = False

    def __post_init__(self) -> None:
        if not is_number(self.type):
            raise _bad_weight(self.name, f"is of type {self.type}")

    def add(self, column: pa.Array) -> None:
        if column.null_count:
            raise _bad_weight(self.name, "is missing in some row")
        numbers = pc.cast(column, pa.float64(), safe=False)
        if not pc.all(pc.is_finite(numbers)).as_py():
            raise _bad_weight(self.name, "is not finite in some row")
        least = pc.min(numbers).as_py()
        if least is not None and least < 0:
            raise _bad_weight(self.name, "is negative in some row")
        self.positive = self.positive or bool(pc.any(pc.greater(numbers, 0)).as_py())

    def end(self) -> str:
        if not self.positive:
            raise _bad_weight(self.name, "is 0 in every row")
        return ""


@dataclass(slots=True)
class _Time(_Judge):
    def __post_init__(self) -> None:
        if not (pa.types.is_date(self.type) or pa.types.is_timestamp(self.type)):
            raise Invalid(
                f"The time {self.name!r} is of type {self.type}, not a date or a timestamp.",
                code="dataset.time",
                field="columns.time",
                remedy="Write it as 2026-03-14 or 2026-03-14T09:30:00 (ISO 8601) in every row.",
            )


@dataclass(slots=True)
class _Score(_Judge):
    """A score is a number; that it is finite is looked at where it is used."""

    def __post_init__(self) -> None:
        if not is_number(self.type):
            raise Invalid(
                f"The score {self.name!r} is of type {self.type}, not a number.",
                code="dataset.score",
                field="columns.score",
            )


_JUDGES: Final = {"label": _Label, "weight": _Weight, "time": _Time, "score": _Score}


def _judges(schema: pa.Schema, columns: Mapping[str, Any]) -> list[_Judge]:
    return [
        judge(str(columns[role]), schema.field(str(columns[role])).type)
        for role, judge in _JUDGES.items()
        if columns.get(role)
    ]


def is_number(kind: pa.DataType) -> bool:
    """Whether it is an integer, a float or a decimal."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _bad_weight(name: str, what: str) -> Invalid:
    return Invalid(
        f"The weight {name!r} {what}; a weight is a finite number of at least 0.",
        code="dataset.weight",
        field="columns.weight",
        remedy="Correct the weights, or name no column as weight.",
    )
