"""The rows that a run is given: only the columns it was asked about, in small groups, so that nobody need hold them all.

Loads pyarrow: the worker's side only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

GROUP = 65_536


def described(data: Path) -> tuple[pa.Schema, int]:
    """Schema and number of rows. Raises ``pa.ArrowException`` and ``OSError``."""
    if data.suffix == ".arrow":
        with pa.memory_map(str(data)) as source:
            reader = pa.ipc.open_file(source)
            return reader.schema, sum(reader.get_batch(n).num_rows for n in range(reader.num_record_batches))
    with pa.parquet.ParquetFile(data) as file:
        return file.schema_arrow, file.metadata.num_rows


def only(data: Path, columns: list[str]) -> tuple[Path, list[str]]:
    """Leave nothing but ``columns`` of the staged copy, and say which of them have missing values.

    A model that could read the label would predict it perfectly.
    """
    rest = data.with_name(f"columns{data.suffix}")
    missing: set[str] = set()
    with _batches(data, columns) as (schema, batches), _writer(rest, schema) as write:
        for batch in batches:
            missing |= {name for name in columns if batch.column(name).null_count}
            write(batch)
    data.unlink()
    rest.chmod(0o444)
    return rest, sorted(missing)


@contextmanager
def _batches(data: Path, columns: list[str]) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    if data.suffix == ".arrow":
        with pa.memory_map(str(data)) as source:
            reader = pa.ipc.open_file(source)
            schema = pa.schema([reader.schema.field(name) for name in columns])
            whole = (reader.get_batch(n).select(columns) for n in range(reader.num_record_batches))
            yield schema, (one.slice(start, GROUP) for one in whole for start in range(0, one.num_rows, GROUP))
    else:
        with pa.parquet.ParquetFile(data, pre_buffer=False) as file:
            schema = pa.schema([file.schema_arrow.field(name) for name in columns])
            found = file.iter_batches(batch_size=GROUP, columns=columns, use_threads=False)
            yield schema, (one.select(columns) for one in found)


@contextmanager
def _writer(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.RecordBatch], None]]:
    if path.suffix == ".arrow":
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            yield writer.write_batch
    else:
        with pa.parquet.ParquetWriter(path, schema) as writer:
            yield writer.write_batch
