"""Reading a data set's file: rows in bounded memory, whatever its format and packing. Needs pyarrow: workers only."""

import errno
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Protocol

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from config.errors import Invalid
from registry.columns import MOST
from registry.formats.delimited import Delimited
from registry.formats.packed import unpacked
from registry.names import check_text

ROWS: Final = 65_536
"""The rows of one batch, and of one row group of what is written here."""
_LONGEST_COLUMN: Final = 250
_LARGEST_BATCH: Final = 256 << 20
_BUFFER: Final = 1 << 20
_NO_MEMORY: Final = ("bad_alloc", "malloc of size", "realloc failed", "Cannot allocate memory")
_WORDS: Final = {"parquet": "Parquet", "arrow": "Arrow", "arrow-stream": "Arrow", "csv": "CSV"}


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a file may be when unpacked: bytes, rows, columns. ``tick`` is called again and again while it is read."""

    bytes: int = 64 << 30
    rows: int = 2_000_000_000
    columns: int = MOST
    tick: Callable[[], None] = lambda: None


class Source(Protocol):
    """An open file of rows."""

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, in order."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file of rows: ``format`` is parquet, arrow or csv; ``compression`` gzip, zstd or nothing.

    ``split`` says that it is a bare Parquet file in row groups of at most ``ROWS``, so it can be read by parts as it is.
    """

    source: Source
    format: str
    compression: str
    split: bool
    limits: Limits

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self.source.schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows in batches of at most ``ROWS``. Raises ``Invalid`` where the file turns out damaged or too large."""
        rows = size = 0
        try:
            for batch in self.source.batches():
                for start in range(0, batch.num_rows, ROWS):
                    part = batch.slice(start, ROWS)
                    self.limits.tick()
                    rows += part.num_rows
                    size += part.nbytes
                    if size > self.limits.bytes or rows > self.limits.rows:
                        raise _too_large(self.limits)
                    yield part
        except (pa.ArrowException, OSError, OverflowError) as error:
            raise _failure(error, self.format) from error


@contextmanager
def opened(path: Path, *, scratch: Path | None = None, limits: Limits = Limits()) -> Iterator[Opened]:
    """Open a file of rows by what it is, not by its name.

    Raises ``Invalid`` (field ``file``): of no known kind, cut off, damaged, too large, a column name twice, unusable or
    missing, too many columns. What it takes on disk is below ``scratch`` and gone afterwards.
    """
    with (
        TemporaryDirectory(prefix="data-", dir=scratch) as directory,
        unpacked(path, scratch=Path(directory), most=limits.bytes, tick=limits.tick) as bare,
    ):
        try:
            source = _source(bare.path, bare.format, limits)
            schema = source.schema
        except (pa.ArrowException, OSError, OverflowError) as error:
            raise _failure(error, bare.format) from error
        _check_names(schema.names, limits)
        split = isinstance(source, _Parquet) and not bare.compression and source.largest_group <= ROWS
        kind = "arrow" if bare.format == "arrow-stream" else bare.format
        yield Opened(source, kind, bare.compression, split, limits)


def batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The rows of a sealed data set's file, in batches of at most ``ROWS``."""
    with opened(path) as file:
        yield from file.batches()


def read(path: Path) -> tuple[str, pa.Table]:
    """The format and all rows of a sealed data set's file. Raises ``Invalid`` if it is of no known kind."""
    with opened(path) as file:
        return file.format, pa.Table.from_batches(file.batches(), schema=_plain(file.schema))


def _source(path: Path, kind: str, limits: Limits) -> Source:
    if kind == "parquet":
        return _Parquet(path, limits)
    if kind == "csv":
        return _Csv(path, limits)
    return _Arrow(path, stream=kind == "arrow-stream")


class _Parquet:
    def __init__(self, path: Path, limits: Limits) -> None:
        # Column by column, a page at a time: neither the file nor a row group is ever held as a whole.
        self.file = pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER)
        metadata = self.file.metadata
        groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
        self.largest_group = max((one.num_rows for one in groups), default=0)
        size = sum(one.column(at).total_uncompressed_size for one in groups for at in range(one.num_columns))
        if size > limits.bytes or metadata.num_rows > limits.rows:
            raise _too_large(limits)

    @property
    def schema(self) -> pa.Schema:
        return _plain(self.file.schema_arrow)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Few rows first: how many make a batch follows from how large they are."""
        for batch in self.file.iter_batches(batch_size=rows_at_once(self.file)):
            yield _plainly(batch, self.schema)


class _Arrow:
    def __init__(self, path: Path, *, stream: bool) -> None:
        self.memory = pa.memory_map(str(path))
        self.stream = stream
        reader = pa.ipc.open_stream(self.memory) if stream else pa.ipc.open_file(self.memory)
        self.given = reader
        self.schema = _plain(reader.schema)

    def batches(self) -> Iterator[pa.RecordBatch]:
        if self.stream:
            self.memory.seek(0)
            reader = pa.ipc.open_stream(self.memory)
            found: Iterator[pa.RecordBatch] = iter(reader)
        else:
            found = (self.given.get_batch(at) for at in range(self.given.num_record_batches))
        for batch in found:
            batch.validate(full=True)
            for start in range(0, batch.num_rows, ROWS):
                yield _plainly(batch.slice(start, ROWS), self.schema)


class _Csv:
    def __init__(self, path: Path, limits: Limits) -> None:
        self.file = Delimited(path, limits.tick)
        _check_names(self.file.names, limits)
        self.schema = self.file.schema
        self.batches = self.file.batches


def rows_at_once(file: pq.ParquetFile) -> int:
    """How many rows of this file to read at a time. Whoever reads it later asks too: with as many it was read in bounds."""
    for batch in file.iter_batches(batch_size=256):
        each = max(1, batch.nbytes // max(1, batch.num_rows))
        return int(max(64, min(ROWS, _LARGEST_BATCH // each)))
    return ROWS


def _plain(schema: pa.Schema) -> pa.Schema:
    """Without dictionaries: a category is its value."""
    return pa.schema([(one.name, one.type.value_type if _coded(one.type) else one.type) for one in schema])


def _plainly(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [one.cast(to.type) if _coded(one.type) else one for one, to in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _coded(kind: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(kind))


def _check_names(names: list[str], limits: Limits) -> None:
    if len(names) > limits.columns:
        raise Invalid(
            f"The file has {len(names)} columns; the limit is {limits.columns}.",
            code="dataset.many_columns",
            field="file",
            remedy="Leave out what no model and no check reads.",
            extra={"limit": limits.columns},
        )
    if not names:
        raise Invalid("The file has no columns.", code="dataset.empty", field="file")
    for name in names:
        check_text(name, field="file", longest=_LONGEST_COLUMN)
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise Invalid(
            f"The column {twice[0]!r} occurs twice.",
            code="dataset.column_twice",
            field="file",
            remedy="Rename or drop one of them.",
        )


def is_memory(error: BaseException) -> bool:
    """Whether a library says with this that there is not enough memory: pyarrow does so in more than one way."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return any(word in str(error) for word in _NO_MEMORY)


def _failure(error: Exception, kind: str) -> Exception:
    return MemoryError() if is_memory(error) else _damaged(kind)


def _too_large(limits: Limits) -> Invalid:
    return Invalid(
        f"The file holds more than {limits.bytes} bytes or {limits.rows} rows, the limits of this installation.",
        code="dataset.too_large",
        field="file",
        remedy="Split the data set, or ask the operator for a higher DATASET_MAX_BYTES.",
        extra={"limit": limits.bytes},
    )


def _damaged(kind: str) -> Invalid:
    return Invalid(
        f"The {_WORDS[kind]} file is cut off or damaged.",
        code="dataset.damaged",
        field="file",
        remedy="Read it where it was made, write it again, and upload that.",
    )
