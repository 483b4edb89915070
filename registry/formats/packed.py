"""What a file is by its first bytes, and its content unpacked into a scratch directory, within a bound. Needs pyarrow.

Formats: gzip (RFC 1952), Zstandard (RFC 8878), Parquet, Arrow IPC files and streams (arrow.apache.org/docs/format/Columnar).
The name of a file says nothing here.
"""

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from config.errors import Invalid

CHUNK: Final = 1 << 20
_COMPRESSIONS: Final = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_FORMATS: Final = {b"PAR1": "parquet", b"ARROW1": "arrow", b"\xff\xff\xff\xff": "arrow-stream"}
_OTHERS: Final = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"SQLite format 3": "an SQLite database",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"\x80\x02": "a Python pickle",
    b"\x80\x03": "a Python pickle",
    b"\x80\x04": "a Python pickle",
    b"\x80\x05": "a Python pickle",
    b"%PDF": "a PDF document",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"FEA1": "a Feather file of version 1",
    b"{": "JSON",
    b"[{": "JSON",
    b"<?xml": "XML",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
}
KNOWN: Final = "CSV, Parquet or Arrow, each as it is or packed with gzip or Zstandard"


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The bare file, and how it was packed (gzip, zstd or nothing)."""

    path: Path
    compression: str
    format: str


def format_of(path: Path) -> str:
    """``parquet``, ``arrow``, ``arrow-stream``, or ``csv`` for what has no mark. Raises ``Invalid`` for what else it is."""
    with path.open("rb") as stream:
        head = stream.read(64)
    if not head:
        raise Invalid("The file is empty.", code="dataset.empty", field="file", remedy="Upload the file with its rows.")
    for magic, name in _FORMATS.items():
        if head.startswith(magic):
            return name
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            raise _unknown(f"The file is {what}.")
    return "csv"


def compression_of(path: Path) -> str:
    """``gzip``, ``zstd``, or nothing."""
    with path.open("rb") as stream:
        head = stream.read(4)
    return next((name for magic, name in _COMPRESSIONS.items() if head.startswith(magic)), "")


@contextmanager
def unpacked(path: Path, *, scratch: Path, most: int, tick: Callable[[], None]) -> Iterator[Unpacked]:
    """The file without its packing; a copy below ``scratch`` is gone afterwards.

    Raises ``Invalid`` (field ``file``): cut off, damaged, packed twice, of another kind, or more than ``most`` bytes when
    unpacked. What was unpacked so far is never more than ``most`` bytes on disk and one chunk in memory.
    """
    packing = compression_of(path)
    if not packing:
        yield Unpacked(path, "", format_of(path))
        return
    bare = scratch / "unpacked"
    try:
        _unpack(path, packing, bare, most, tick)
        if again := compression_of(bare):
            raise Invalid(
                f"The file is packed twice: inside {packing} it is {again}.",
                code="dataset.packed_twice",
                field="file",
                remedy="Pack it once.",
            )
        yield Unpacked(bare, packing, format_of(bare))
    finally:
        bare.unlink(missing_ok=True)


def _unpack(path: Path, packing: str, bare: Path, most: int, tick: Callable[[], None]) -> None:
    size = 0
    try:
        with _stream(path, packing) as stream, bare.open("wb") as output:
            while chunk := stream.read(CHUNK):
                tick()
                size += len(chunk)
                if size > most:
                    raise Invalid(
                        f"Unpacked, the file is larger than {most} bytes, the limit of this installation.",
                        code="dataset.too_large",
                        field="file",
                        remedy="Split the data set, or ask the operator for a higher DATASET_MAX_BYTES.",
                        extra={"limit": most},
                    )
                output.write(chunk)
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        raise Invalid(
            f"The {packing} file is cut off or damaged: it cannot be unpacked beyond byte {size}.",
            code="dataset.damaged",
            field="file",
            remedy=f"Test it where it was made ({'gzip -t' if packing == 'gzip' else 'zstd -t'}) and upload it again.",
        ) from error


def _stream(path: Path, packing: str) -> Any:  # noqa: ANN401 - two kinds of streams with one method
    return gzip.open(path, "rb") if packing == "gzip" else pa.input_stream(str(path), compression="zstd")


def _unknown(sentence: str) -> Invalid:
    return Invalid(
        f"{sentence} A data set is {KNOWN}.",
        code="dataset.unreadable",
        field="file",
        remedy="Save the rows as Parquet, or as CSV in UTF-8 with a header.",
    )
