"""Tables of sealed data without holding them in memory: each column once as uncompressed Arrow on disk, memory-mapped.

A column is decoded from Parquet by row groups when a check first wants it, and serves every later job of this host. The
files are a copy: they lie below ``DATA_DIR/scratch/rows``, only the worker may read them, and they may be removed at any
time (:mod:`governance.engine.rows_kept` does when they are old or the disk is short). The sealed bytes are hashed before the
first column is taken from them, and again when the file looks changed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from config.errors import Invalid
from governance.checks import CheckError
from governance.engine.rows_kept import base, locked, room_for
from registry.formats import tabular
from registry.storage import CHUNK, BlobDamaged, blobs

BATCH: Final = 65_536
_STAMP: Final = "sealed.json"
_PARQUET: Final = b"PAR1"


def sealed_file(sha256: str) -> Path:
    """The sealed bytes as a local file, known to have that digest. Raises ``CheckError`` and ``BlobDamaged``."""
    with locked(base() / sha256) as room:
        return _verified(sha256, room)


def parquet_file(sha256: str) -> Path:
    """The rows as a Parquet file: the sealed bytes, or a copy of what a file of another format holds.

    Raises ``CheckError``, ``BlobDamaged`` and ``Invalid``.
    """
    with locked(base() / sha256) as room:
        return _parquet(_verified(sha256, room), room)


def rows_in(sha256: str) -> int:
    """How many rows a sealed file has. Raises as ``parquet_file`` does."""
    with _opened(parquet_file(sha256)) as file:
        return int(file.metadata.num_rows)


def map_stream(path: Path) -> pa.Table:
    """An uncompressed Arrow stream in a file, as a memory-mapped table."""
    return _mapped(path)


def table_of(sha256: str, names: Sequence[str] | None = None) -> pa.Table:
    """The columns (None: all) of a sealed file, in the file's order, as a memory-mapped table.

    Names that the file does not have are left out. Raises ``CheckError``, ``BlobDamaged`` and ``Invalid``.
    """
    with locked(base() / sha256) as room:
        with _opened(_parquet(_verified(sha256, room), room)) as file:
            schema, count = file.schema_arrow, file.metadata.num_rows
            wanted = [n for n, name in enumerate(schema.names) if names is None or name in set(names)]
            missing = [n for n in wanted if not _place(room, n).exists()]
            if missing:
                _fill(file, room, missing)
        tables = [_mapped(_place(room, number)) for number in wanted]
        os.utime(room)
    if not tables:
        return pa.table({"": pa.nulls(count)}).select([])
    columns = [table.column(0) for table in tables]
    return pa.table(columns, schema=pa.schema([schema.field(number) for number in wanted]))


def _verified(sha256: str, room: Path) -> Path:
    """The sealed file, hashed unless it is the very file that was hashed before."""
    path = blobs().path(sha256)
    if path is None:
        path = _fetched(sha256, room)
    about = path.stat()
    seen = json.dumps([str(path), about.st_size, about.st_mtime_ns, about.st_ino, about.st_ctime_ns])
    stamp = room / _STAMP
    if stamp.exists() and stamp.read_text() == seen:
        return path
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != sha256:
        raise BlobDamaged(
            f"The stored blob {sha256} was changed on disk: it now hashes to {digest.hexdigest()}.",
            remedy="Restore it from a backup; nothing that rests on it can be run until then.",
            extra={"blob": sha256},
        )
    stamp.write_text(seen)
    return path


def _fetched(sha256: str, room: Path) -> Path:
    """A local copy of bytes that the store keeps elsewhere."""
    copy = room / "sealed"
    if not copy.exists():
        if not blobs().exists(sha256):
            raise CheckError("inputs.missing", f"The bytes {sha256} are not in the artifact store.")
        aside = room / "sealed.part"
        with blobs().open(sha256) as stream, aside.open("wb") as output:
            while chunk := stream.read(CHUNK):
                room_for(len(chunk), keep=room)
                output.write(chunk)
        aside.rename(copy)
    return copy


def _parquet(path: Path, room: Path) -> Path:
    """The file itself if it is Parquet, else a copy, written batch by batch."""
    with path.open("rb") as stream:
        if stream.read(len(_PARQUET)) == _PARQUET:
            return path
    copy = room / "rows.parquet"
    if not copy.exists():
        batches = tabular.batches(path)
        first = next(batches, None)
        if first is None:
            raise CheckError("data.empty", "The data set has no rows.")
        aside = copy.with_suffix(".part")
        with pa.parquet.ParquetWriter(aside, first.schema) as writer:
            writer.write_batch(first)
            for batch in batches:
                room_for(batch.nbytes, keep=room)
                writer.write_batch(batch)
        aside.rename(copy)
    return copy


@contextmanager
def _opened(path: Path) -> Iterator[pa.parquet.ParquetFile]:
    try:
        file = pa.parquet.ParquetFile(path, memory_map=True)
    except (pa.ArrowException, OSError) as error:
        raise Invalid(
            f"The file is not Parquet: {str(error).splitlines()[0][:200]}", code="dataset.unreadable", field="file"
        ) from error
    with file:
        yield file


def _place(room: Path, number: int) -> Path:
    return room / f"column-{number}.arrow"


def _fill(file: pa.parquet.ParquetFile, room: Path, numbers: Sequence[int]) -> None:
    """Decode these columns in one pass over the row groups, aside, and put them in their places when they are whole."""
    schema: pa.Schema = file.schema_arrow
    names = [schema.names[number] for number in numbers]
    asides = [_place(room, number).with_suffix(".part") for number in numbers]
    with ExitStack() as stack:
        writers = []
        for aside, number in zip(asides, numbers, strict=True):
            sink = stack.enter_context(pa.OSFile(str(aside), "wb"))
            writers.append(stack.enter_context(pa.ipc.new_stream(sink, pa.schema([schema.field(number)]))))
        at_once = min(BATCH, tabular.rows_at_once(file))
        for batch in file.iter_batches(batch_size=at_once, columns=names, use_threads=False):
            room_for(batch.nbytes, keep=room)
            for writer, name in zip(writers, names, strict=True):
                writer.write_batch(batch.select([name]))
    for aside, number in zip(asides, numbers, strict=True):
        aside.rename(_place(room, number))


def _mapped(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
        return reader.read_all()
