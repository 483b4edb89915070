"""CSV (RFC 4180, UTF-8, with a header) in bounded memory: what is wrong with it is said by line, never by value.

The types of the columns are found in a pass of their own over all rows, so that the type of a column does not depend on
how many rows were looked at. Of a value that does not fit nothing is quoted: it may be a person's. Needs pyarrow.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from config.errors import Invalid

BLOCK: Final = 8 << 20
_CHUNK: Final = 1 << 20
_LONGEST_HEADER: Final = 4 << 20
_SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_BOMS: Final = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}
_MISSING: Final = pa.array(sorted(csv.ConvertOptions().null_values))
_TRUTHS: Final = pa.array(["true", "false", "0", "1"])
_LADDER: Final = (
    pa.int64(),
    pa.bool_(),
    pa.date32(),
    pa.timestamp("s"),
    pa.timestamp("ns"),
    pa.timestamp("ns", "UTC"),
    pa.float64(),
)
"""Tried in this order; a column of which some value is none of these is text."""
_COLUMN: Final = re.compile(r"In CSV column #(\d+)")
_UTF8: Final = "Save it as UTF-8."


class Delimited:
    """A CSV file that was looked at: its header is sound and it is UTF-8 throughout."""

    def __init__(self, path: Path, tick: Callable[[], None] = lambda: None) -> None:
        """Raises ``Invalid`` (field ``file``): encoding, separator, a column without a name, no header."""
        self.path, self.tick = path, tick
        _check_text(path)
        self.names = _header(path)
        self._types: dict[str, pa.DataType] | None = None

    @property
    def schema(self) -> pa.Schema:
        """Names and types, found by reading all rows once. Raises ``Invalid`` for ragged rows."""
        types = self._found_types()
        return pa.schema([(name, types[name]) for name in self.names])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, in order; an empty field is a missing value."""
        schema = self.schema
        for batch in self._read(self._found_types()):
            columns = [_emptied(column) for column in batch.columns]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def _found_types(self) -> dict[str, pa.DataType]:
        if self._types is None:
            left = {name: list(_LADDER) for name in self.names}
            seen = dict.fromkeys(self.names, False)
            for batch in self._read(dict.fromkeys(self.names, pa.string())):
                for name, column in zip(self.names, batch.columns, strict=True):
                    values = _present(column)
                    if len(values):
                        seen[name] = True
                        left[name] = [kind for kind in left[name] if _fits(values, kind)]
            self._types = {
                name: (left[name][0] if left[name] else pa.string()) if seen[name] else pa.null() for name in self.names
            }
            self._settle()
        return self._types

    def _settle(self) -> None:
        """Read once with these types; a column that does not convert after all is text."""
        types = self._types or {}
        for _ in range(len(_LADDER)):
            try:
                for _batch in self._read(types):
                    pass
            except _NotConverted as problem:
                types[self.names[problem.column]] = pa.string()
            else:
                return
        self._types = dict.fromkeys(self.names, pa.string())

    def _read(self, types: dict[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
        ragged: list[Any] = []

        def refuse(row: Any) -> str:  # noqa: ANN401 - pyarrow's InvalidRow
            ragged.append(row)
            return "error"

        try:
            with csv.open_csv(
                self.path,
                read_options=csv.ReadOptions(block_size=BLOCK, use_threads=False),
                parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=refuse),
                convert_options=csv.ConvertOptions(column_types=types, check_utf8=False),
            ) as reader:
                for batch in reader:
                    self.tick()
                    yield batch
        except MemoryError:
            raise
        except pa.ArrowException as error:
            raise _problem(error, ragged) from error


class _NotConverted(Exception):
    def __init__(self, column: int) -> None:
        super().__init__(column)
        self.column = column


def _problem(error: Exception, ragged: list[Any]) -> Exception:
    """What pyarrow refused, in words of our own: its message quotes the row."""
    if ragged:
        row = ragged[0]
        where = f"Row {row.number}" if row.number else "A row"
        return Invalid(
            f"{where} has {row.actual_columns} field(s), and the header has {row.expected_columns}.",
            code="dataset.ragged",
            field="file",
            remedy="Give every row as many fields as the header; put a value that holds a comma into double quotes.",
        )
    if found := _COLUMN.search(str(error)):
        return _NotConverted(int(found.group(1)))
    if "straddl" in str(error):
        return Invalid(
            f"A row is longer than {BLOCK} bytes, or a double quote is never closed.",
            code="dataset.long_row",
            field="file",
            remedy="Look for a quote that is opened and not closed; double the quotes inside of values.",
        )
    if "Empty CSV" in str(error):
        return _empty()
    return Invalid(
        "The CSV file cannot be read.", code="dataset.unreadable", field="file", remedy="Save it as Parquet instead."
    )


def _empty() -> Invalid:
    return Invalid(
        "The data set has no rows.", code="dataset.empty", field="file", remedy="Upload the file with its rows."
    )


def _emptied(column: pa.Array) -> pa.Array:
    """Text with the empty ones missing; everything else as it is."""
    if not pa.types.is_string(column.type):
        return column
    return pc.if_else(pc.equal(pc.binary_length(column), 0), pa.scalar(None, pa.string()), column)


def _present(column: pa.Array) -> pa.Array:
    trimmed = pc.utf8_trim_whitespace(column)
    return trimmed.filter(pc.invert(pc.is_in(trimmed, value_set=_MISSING)))


def _fits(values: pa.Array, kind: pa.DataType) -> bool:
    if pa.types.is_boolean(kind):
        return bool(pc.all(pc.is_in(pc.utf8_lower(values), value_set=_TRUTHS)).as_py())
    try:
        pc.cast(values, kind)
    except MemoryError:
        raise
    except pa.ArrowException:
        return False
    return True


def _check_text(path: Path) -> None:
    """UTF-8 without null bytes, read through once. Raises ``Invalid`` naming the line."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, at, quotes = 1, 0, 0
    with path.open("rb") as stream:
        for bom, name in _BOMS.items():
            if stream.read(2) == bom:
                raise _encoding(f"The file is in {name}.")
            stream.seek(0)
        while True:
            chunk = stream.read(_CHUNK)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                pending = len(error.object) - len(chunk)
                lines = line + chunk[: max(0, error.start - pending)].count(b"\n")
                byte = error.object[error.start]
                raise _encoding(
                    f"Line {lines} holds a byte (0x{byte:02X}, at {at - pending + error.start}) that is not UTF-8."
                ) from None
            if b"\x00" in chunk:
                raise _encoding(f"Line {line + chunk[: chunk.index(0)].count(10)} holds a null byte: this is no text.")
            if not chunk:
                break
            line += chunk.count(b"\n")
            quotes += chunk.count(b'"')
            at += len(chunk)
    if quotes % 2:
        raise Invalid(
            "A double quote is opened and never closed: the file has an odd number of them.",
            code="dataset.quotes",
            field="file",
            remedy="Close it, or double the quotes inside of values and put those into quotes (RFC 4180).",
        )


def _encoding(sentence: str) -> Invalid:
    return Invalid(f"{sentence} A CSV file is UTF-8.", code="dataset.encoding", field="file", remedy=_UTF8)


def _header(path: Path) -> list[str]:
    """The names of the columns. Raises ``Invalid``."""
    with path.open("rb") as stream:
        first = stream.readline(_LONGEST_HEADER).decode("utf-8-sig", errors="replace").rstrip("\r\n")
    if not first.strip():
        raise Invalid(
            "The first line is empty; it should name the columns.",
            code="dataset.no_header",
            field="file",
            remedy="Begin the file with a line of column names.",
        )
    for separator, name in _SEPARATORS.items():
        if "," not in first and separator in first:
            raise Invalid(
                f"The header has no comma: its names seem to be separated by {name}.",
                code="dataset.separator",
                field="file",
                remedy="Save it with commas (and a point in decimal numbers), or as Parquet.",
            )
    try:
        with csv.open_csv(
            path,
            read_options=csv.ReadOptions(block_size=BLOCK, use_threads=False),
            parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=lambda _row: "skip"),
            convert_options=csv.ConvertOptions(check_utf8=False),
        ) as reader:
            names = list(reader.schema.names)
    except MemoryError:
        raise
    except pa.ArrowException as error:
        found = _problem(error, [])
        raise found if isinstance(found, Invalid) else _empty() from error
    for position, name in enumerate(names, start=1):
        if not name.strip():
            raise Invalid(
                f"Column {position} has no name.",
                code="dataset.unnamed_column",
                field="file",
                remedy="Name every column in the first line (an index column of pandas: index=False).",
            )
    return names
