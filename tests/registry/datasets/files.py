"""Rows as bytes, in every format and packing."""

import gzip
import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

ROWS: dict[str, list[Any]] = {"age": [30, 40, 50], "sex": ["f", "m", None], "bad": [0, 1, 0]}
CSV = b"age,sex,bad\n30,f,0\n40,m,1\n50,,0\n"


def parquet(rows: pa.Table | dict[str, Any] = ROWS, **options: Any) -> bytes:
    """A Parquet file."""
    out = io.BytesIO()
    pq.write_table(rows if isinstance(rows, pa.Table) else pa.table(rows), out, **options)
    return out.getvalue()


def arrow(rows: pa.Table | dict[str, Any] = ROWS, *, stream: bool = False) -> bytes:
    """An Arrow IPC file or stream."""
    table = rows if isinstance(rows, pa.Table) else pa.table(rows)
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) if stream else pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def zstd(content: bytes) -> bytes:
    """Packed with Zstandard, as a stream."""
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(content)
    return bytes(out.getvalue().to_pybytes())


PACKINGS: dict[str, Callable[[bytes], bytes]] = {"": lambda content: content, "gzip": gzip.compress, "zstd": zstd}
FORMATS: dict[str, bytes] = {
    "csv": CSV,
    "parquet": parquet(),
    "arrow": arrow(),
    "arrow-stream": arrow(stream=True),
}
