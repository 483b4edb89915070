"""Small files that ask for very much: what a stranger could upload. Each gives bytes; none is expanded here as a whole."""

import gzip
import io
import zlib
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

MIB = 1 << 20


def zeros_in_gzip() -> bytes:
    """256 MiB of nothing."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([packer.compress(b"a,b\n"), *(packer.compress(bytes(MIB)) for _ in range(256)), packer.flush()])


def zeros_in_zstd() -> bytes:
    """256 MiB of nothing."""
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        for _ in range(256):
            stream.write(bytes(MIB))
    return bytes(out.getvalue().to_pybytes())


def endless_gzip_members() -> bytes:
    """Many gzip members in one file, each a mebibyte unpacked."""
    return gzip.compress(b"a,b\n") + gzip.compress(b"1,2\n" * (MIB // 4)) * 256


def one_cell() -> bytes:
    """CSV in gzip: one value of 128 MiB."""
    packer = zlib.compressobj(9, wbits=31)
    filler = b"x" * MIB
    return b"".join([packer.compress(b'a,b\n1,"'), *(packer.compress(filler) for _ in range(128)),
                     packer.compress(b'"\n'), packer.flush()])  # fmt: skip


def many_names() -> bytes:
    """CSV with a million columns."""
    return ",".join(f"c{number}" for number in range(1_000_000)).encode() + b"\n"


def many_commas() -> bytes:
    """CSV whose one row has ten million fields."""
    return b"a,b\n" + b"," * 10_000_000 + b"\n"


def many_fields() -> bytes:
    """An Arrow file with half a million columns and no rows."""
    schema = pa.schema([(f"c{number}", pa.int8()) for number in range(500_000)])
    out = io.BytesIO()
    with pa.ipc.new_file(out, schema):
        pass
    return out.getvalue()


def many_parquet_columns() -> bytes:
    """A Parquet file with twenty thousand columns."""
    return _parquet(pa.table({f"c{number}": pa.array([1], pa.int8()) for number in range(20_000)}))


def one_long_value() -> bytes:
    """Parquet: a value of 64 MiB in the dictionary, and 60,000 rows that refer to it."""
    value = pa.DictionaryArray.from_arrays(pa.array(np.zeros(60_000, np.int32)), pa.array(["x" * (64 * MIB)]))
    return _parquet(pa.table({"a": value}), compression="zstd", store_schema=False, dictionary_pagesize_limit=128 * MIB)


def one_long_value_in_arrow() -> bytes:
    """The same as a category of an Arrow stream, packed with Zstandard."""
    value = pa.DictionaryArray.from_arrays(pa.array(np.zeros(60_000, np.int32)), pa.array(["x" * (64 * MIB)]))
    out = io.BytesIO()
    table = pa.table({"a": value})
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return out.getvalue()


def one_large_page() -> bytes:
    """Parquet: one page of ten values that unpacks to 560 MiB."""
    table = pa.table({"a": pa.array(["x" * (56 * MIB)] * 10)})
    return _parquet(table, compression="zstd", use_dictionary=False, data_page_size=2**30)


def one_number_many_rows() -> bytes:
    """Parquet: a number that a run length repeats forty million times."""
    return _parquet(pa.table({"a": pa.array(np.zeros(40_000_000, np.int64))}), row_group_size=40_000_000)


def rows_of_nothing() -> bytes:
    """Arrow: a column of type null with two thousand million rows, which takes no room."""
    out = io.BytesIO()
    batch = pa.record_batch({"a": pa.Array.from_buffers(pa.null(), 2**31 - 1, [None])})
    with pa.ipc.new_file(out, batch.schema) as writer:
        writer.write_batch(batch)
    return out.getvalue()


def one_run() -> bytes:
    """Arrow: one value that is repeated 2**31 - 1 times."""
    run = pa.RunEndEncodedArray.from_arrays(pa.array([2**31 - 1], pa.int32()), pa.array(["x" * 1000]))
    batch = pa.record_batch({"a": run})
    out = io.BytesIO()
    with pa.ipc.new_file(out, batch.schema) as writer:
        writer.write_batch(batch)
    return out.getvalue()


def packed_buffer_that_lies() -> bytes:
    """Arrow: a packed buffer that says it unpacks to 2**42 bytes (format: arrow.apache.org, “Compression”)."""
    table = pa.table({"a": pa.array(np.zeros(MIB, np.int64))})
    out = io.BytesIO()
    with pa.ipc.new_file(out, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    said = (8 * MIB).to_bytes(8, "little")
    content = out.getvalue()
    at = content.index(said + b"\x28\xb5\x2f\xfd")
    return content[:at] + (2**42).to_bytes(8, "little") + content[at + 8 :]


def nested_deeply(depth: int = 40) -> bytes:
    """Parquet: lists in lists."""
    kind = pa.int64()
    for _ in range(depth):
        kind = pa.list_(kind)
    return _parquet(pa.table({"a": pa.nulls(3, kind)}))


def nested_widely() -> bytes:
    """Parquet: one column that is a record of ten thousand parts."""
    kind = pa.struct([(f"c{number}", pa.int8()) for number in range(10_000)])
    return _parquet(pa.table({"a": pa.nulls(3, kind)}))


def many_groups() -> bytes:
    """Parquet: one row in each of twenty thousand row groups."""
    table = pa.table({"a": pa.array(np.zeros(20_000, np.int8))})
    return _parquet(table, row_group_size=1)


def _parquet(table: pa.Table, **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


BOMBS: dict[str, Callable[[], bytes]] = {
    one.__name__: one
    for one in (
        zeros_in_gzip, zeros_in_zstd, endless_gzip_members, one_cell, many_names, many_commas, many_fields,
        many_parquet_columns, one_long_value, one_long_value_in_arrow, one_large_page, one_number_many_rows,
        rows_of_nothing, one_run, packed_buffer_that_lies, nested_deeply, nested_widely, many_groups,
    )
}  # fmt: skip
