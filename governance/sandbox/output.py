"""What came out, parsed as hostile: sizes, types, row counts and finite values are checked before use."""

# ruff: noqa: ANN401 - these values come from outside and are checked here
from __future__ import annotations

import json
import math
import mmap
import os
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

MAX_ANSWER = 4 * 1024 * 1024
_TYPES = (pa.int64(), pa.float64(), pa.string())
_CODES = ("raised", "memory", "forbidden", "cannot_load", "output_too_large")


class InvalidOutputError(Exception):
    """The child's output is not what was asked for; the message is a sentence."""


def read_answer(scratch: Path) -> Mapping[str, Any] | None:
    """``answer.json``, or None if there is none. Raises ``InvalidOutputError``."""
    data = read_file(scratch / "answer.json", MAX_ANSWER)
    if data is None:
        return None
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidOutputError("The answer of the sandbox is not JSON.") from error
    if not isinstance(answer, dict) or (answer.get("code") != "ok" and answer.get("code") not in _CODES):
        raise InvalidOutputError("The answer of the sandbox has no known code.")
    return answer


def read_predictions(scratch: Path, *, rows: int, max_bytes: int) -> pa.Table:
    """The predictions in input order, mapped from their file. Raises ``InvalidOutputError`` for anything but a sound table."""
    path = scratch / "predictions.arrow"
    descriptor = _opened(path, max_bytes)
    if descriptor is None:
        raise InvalidOutputError("The model gave no predictions.")
    try:
        table = _arrow(_mapped(descriptor))
    except (pa.ArrowException, OSError, ValueError, struct.error) as error:
        raise InvalidOutputError("The predictions are not a valid Arrow file.") from error
    finally:
        os.close(descriptor)
    names = table.column_names
    if table.num_rows != rows:
        raise InvalidOutputError(f"The model gave {table.num_rows} predictions for {rows} rows.")
    for name in names:
        _sound(name, table.column(name))
    if "score" in names:
        scores = pc.min_max(table.column("score")).as_py()
        if rows and not (scores["min"] >= 0 and scores["max"] <= 1):
            raise InvalidOutputError("Some scores lie outside 0 to 1, so they are no probabilities.")
    return table


def _mapped(descriptor: int) -> pa.Buffer:
    """The bytes, which stay after the file's name is gone and cost no memory until they are read."""
    size = os.fstat(descriptor).st_size
    return pa.py_buffer(mmap.mmap(descriptor, size, prot=mmap.PROT_READ) if size else b"")


def _arrow(data: pa.Buffer) -> pa.Table:
    """The table, read as the stream that an Arrow file holds after its mark.

    Every message is looked at before any is read: packed ones could unpack to more memory than there is. Raises
    ``InvalidOutputError``, and for what is no Arrow at all ``pa.ArrowException``, ``OSError`` and ``ValueError``.
    """
    if data.size < 16 or data.slice(0, 6).to_pybytes() != b"ARROW1":
        raise ValueError("no Arrow file")
    stream = data.slice(8)
    for message in pa.ipc.MessageReader.open_stream(stream):
        if message.type not in ("schema", "record batch"):
            raise ValueError(f"a message of type {message.type}")
        if message.type == "record batch" and _is_packed(message.metadata.to_pybytes()):
            raise ValueError("a packed message")
    with pa.ipc.open_stream(stream) as reader:
        _check_schema(reader.schema)
        table = reader.read_all()
    table.validate(full=True)
    return table


def _check_schema(schema: pa.Schema) -> None:
    if schema.names not in (["prediction"], ["prediction", "score"]):
        raise InvalidOutputError(f"The predictions have unexpected columns ({', '.join(schema.names)[:200]}).")
    if schema.field("prediction").type not in _TYPES:
        raise InvalidOutputError("The predictions are neither numbers nor text.")
    if "score" in schema.names and schema.field("score").type != pa.float64():
        raise InvalidOutputError("The scores are not numbers.")


def _is_packed(metadata: bytes) -> bool:
    """Whether a record batch names a compression: field 3 of table RecordBatch, in field 2 of table Message.

    Source: https://github.com/apache/arrow/blob/main/format/Message.fbs and the layout of FlatBuffers.
    """

    def field(table: int, number: int) -> int:
        vtable = table - struct.unpack_from("<i", metadata, table)[0]
        if vtable < 0 or 4 + 2 * number >= struct.unpack_from("<H", metadata, vtable)[0]:
            return 0
        offset: int = struct.unpack_from("<H", metadata, vtable + 4 + 2 * number)[0]
        return table + offset if offset else 0

    header = field(struct.unpack_from("<I", metadata, 0)[0], 2)
    if not header:
        raise ValueError("a message without a header")
    return bool(field(header + struct.unpack_from("<I", metadata, header)[0], 3))


def _sound(name: str, column: pa.ChunkedArray) -> None:
    if column.null_count:
        raise InvalidOutputError(f"{column.null_count} values of “{name}” are missing.")
    if column.type == pa.float64() and not pc.all(pc.is_finite(column), min_count=0).as_py():
        raise InvalidOutputError(f"Some values of “{name}” are not finite numbers (NaN or infinity).")


def is_number(item: Any) -> bool:
    """A finite JSON number, and no boolean."""
    return isinstance(item, int | float) and not isinstance(item, bool) and math.isfinite(item)


def read_file(path: Path, limit: int) -> bytes | None:
    """The bytes of a plain file, or None. Raises ``InvalidOutputError``.

    The child is gone by now, so what is checked is what is read.
    """
    descriptor = _opened(path, limit)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as handle:
        return handle.read(limit)


def _opened(path: Path, limit: int) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidOutputError(f"{path.name} is not a plain file.") from error
    about = os.fstat(descriptor)
    if stat.S_ISREG(about.st_mode) and about.st_size <= limit:
        return descriptor
    os.close(descriptor)
    if not stat.S_ISREG(about.st_mode):
        raise InvalidOutputError(f"{path.name} is not a plain file.")
    raise InvalidOutputError(f"{path.name} has {about.st_size} bytes; at most {limit} are allowed.")
