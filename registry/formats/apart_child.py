"""The other side of ``apart``: takes on its limits, reads the file, writes one answer. Started as a process of its own."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def main() -> None:
    """Read the job from standard input, and write the answer where it says."""
    job: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    _confine(job)
    try:
        answer = _read(job)
    except MemoryError:
        answer = {"ended": "memory"}
    Path(job["answer"]).write_text(json.dumps(answer))


def _confine(job: dict[str, Any]) -> None:
    """Limits before the first byte is read. ``RLIMIT_DATA`` counts private writable memory, whoever maps it."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0)
    if os.getppid() != job["parent"]:
        os._exit(1)
    file = 2 * int(job["bytes"]) + (1 << 30)
    for kind, limit in (
        (resource.RLIMIT_DATA, int(job["memory"])),
        (resource.RLIMIT_FSIZE, file),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 256),
    ):
        _, hard = resource.getrlimit(kind)
        most = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (most, most))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write that is too long is an error then, which has words


def _read(job: dict[str, Any]) -> dict[str, Any]:
    from config.errors import Refusal  # noqa: PLC0415 - what follows loads pyarrow, so only within the limits

    try:
        return {"read": _examined(job)}
    except Refusal as refusal:
        return {"refused": {
            "message": refusal.message, "code": refusal.code, "field": refusal.field, "remedy": refusal.remedy,
            "extra": refusal.extra,
        }}  # fmt: skip


def _examined(job: dict[str, Any]) -> dict[str, Any]:
    import pyarrow as pa  # noqa: PLC0415

    from config.errors import Invalid  # noqa: PLC0415
    from registry.formats import examined, predictions, tabular  # noqa: PLC0415

    scratch = Path(job["scratch"])
    limits = tabular.Limits(bytes=job["bytes"], rows=job["rows"])
    try:
        found = examined.examine(
            Path(job["path"]), job["columns"], scratch=scratch, limits=limits, k=job["k"], sealed=job["sealed"]
        )
        table = found.table
        if (wanted := job["aligned"]) is not None:
            data = predictions.Data(Path(wanted["rows"]), wanted["columns"], wanted["count"], secret=wanted["secret"])
            table = predictions.aligned(
                found.table or Path(job["path"]), job["columns"], data, target=scratch / "aligned.parquet"
            )
    except (pa.ArrowException, OSError, RecursionError) as error:
        if tabular.is_memory(error):
            raise MemoryError from error
        # What pyarrow says may quote a value, so only its kind is told.
        raise Invalid(
            f"The file cannot be read as a table of plain columns ({type(error).__name__}).",
            code="dataset.unreadable",
            field="file",
            remedy="Write it with columns of numbers, text, truth values, dates and timestamps.",
        ) from error
    return {
        "format": found.format, "compression": found.compression, "rows": found.rows, "schema": found.schema,
        "label_kind": found.label_kind, "profile": found.profile, "table": str(table) if table else None,
    }  # fmt: skip
