"""What came out, parsed as hostile: sizes, types, row counts and finite values are checked before use."""

# ruff: noqa: ANN401 - these values come from outside and are checked here
from __future__ import annotations

import json
import math
import os
import stat
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
    """The predictions in input order. Raises ``InvalidOutputError`` for anything but a sound table."""
    data = read_file(scratch / "predictions.arrow", max_bytes)
    if data is None:
        raise InvalidOutputError("The model gave no predictions.")
    try:
        table = pa.ipc.open_file(pa.py_buffer(data)).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InvalidOutputError("The predictions are not a valid Arrow file.") from error
    names = table.column_names
    if names not in (["prediction"], ["prediction", "score"]):
        raise InvalidOutputError(f"The predictions have unexpected columns ({', '.join(names)[:200]}).")
    if table.num_rows != rows:
        raise InvalidOutputError(f"The model gave {table.num_rows} predictions for {rows} rows.")
    if table.schema.field("prediction").type not in _TYPES:
        raise InvalidOutputError("The predictions are neither numbers nor text.")
    if "score" in names and table.schema.field("score").type != pa.float64():
        raise InvalidOutputError("The scores are not numbers.")
    for name in names:
        _sound(name, table.column(name))
    if "score" in names:
        scores = pc.min_max(table.column("score")).as_py()
        if rows and not (scores["min"] >= 0 and scores["max"] <= 1):
            raise InvalidOutputError("Some scores lie outside 0 to 1, so they are no probabilities.")
    return table.combine_chunks()


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
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidOutputError(f"{path.name} is not a plain file.") from error
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        os.close(descriptor)  # a directory can not even be made a file object
        raise InvalidOutputError(f"{path.name} is not a plain file.")
    with os.fdopen(descriptor, "rb") as handle:
        if about.st_size > limit:
            raise InvalidOutputError(f"{path.name} has {about.st_size} bytes; at most {limit} are allowed.")
        return handle.read(limit)
