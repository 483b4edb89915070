"""A data set's file read in a process of its own, within limits: what a hostile file can end is that process, no worker.

Reading is our own code over somebody's bytes, and a few kilobytes can ask for any amount of memory (a page that says it
unpacks to gigabytes, one long value that a million rows refer to, a million columns). The child has an empty environment,
bounded memory and files, and a deadline; it dies with its parent. Its answer is a file in the scratch directory.
Nothing here loads pyarrow.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from config.errors import Invalid

_ROOT: Final = Path(__file__).resolve().parents[2]
_START: Final = "import sys; sys.path.insert(0, sys.argv[1]); from registry.formats.apart_child import main; main()"
_LARGEST_ANSWER: Final = 256 << 20
_TICK: Final = 1.0
_SAID: Final = 4096
OUT_OF_MEMORY: Final = "memory"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What reading one file may take: MiB of memory, seconds; what the file itself may hold."""

    memory_mb: int
    seconds: float
    bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class Aligned:
    """Predictions are to be put into the order of these rows: see ``predictions.aligned``."""

    rows: Path
    columns: Mapping[str, Any]
    count: int
    secret: bool


@dataclass(frozen=True, slots=True)
class Read:
    """What the bytes hold: see ``examined.Examined``. ``table``: the rows as Parquet in the scratch directory, if written."""

    format: str
    compression: str
    rows: int
    schema: list[dict[str, str]]
    label_kind: str
    profile: dict[str, Any]
    table: Path | None


def read_apart(
    path: Path,
    columns: Mapping[str, Any],
    *,
    scratch: Path,
    bounds: Bounds,
    k: int,
    sealed: bool = False,
    aligned: Aligned | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Read:
    """Examine the file, and put predictions into order, in another process. Raises ``Invalid`` and what ``tick`` raises.

    Guarantee: whatever the file does to its reader is an ``Invalid`` with a sentence, and when this returns or raises the
    reader is gone. ``tick`` is called about once a second.
    """
    answer = scratch / "answer.json"
    answer.unlink(missing_ok=True)
    job: dict[str, Any] = {
        "path": str(path), "columns": dict(columns), "scratch": str(scratch), "answer": str(answer), "k": k,
        "sealed": sealed, "bytes": bounds.bytes, "rows": bounds.rows, "memory": bounds.memory_mb << 20,
        "parent": os.getpid(),
        "aligned": None if aligned is None else {
            "rows": str(aligned.rows), "columns": dict(aligned.columns), "count": aligned.count, "secret": aligned.secret,
        },
    }  # fmt: skip
    status, said = _followed(job, scratch, bounds, tick)
    found = _answer(answer)
    if status or found is None:
        raise _ended(status, said, bounds)
    if found.get("ended") == OUT_OF_MEMORY:
        raise _too_demanding(bounds)
    if "refused" in found:
        raise Invalid(**found["refused"])
    made = found["read"]
    return Read(**{**made, "table": Path(made["table"]) if made["table"] else None})


def _followed(job: dict[str, Any], scratch: Path, bounds: Bounds, tick: Callable[[], None]) -> tuple[int, bytes]:
    """The child's exit status and the end of its error output."""
    names = {"LANG": "C.UTF-8", "TMPDIR": str(scratch), "HOME": str(scratch), "OMP_NUM_THREADS": "2"}
    # The system's allocator gives memory back, so the limit counts what is in use.
    names |= {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"}
    deadline = time.monotonic() + bounds.seconds
    with (scratch / "said").open("w+b") as said:
        child = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", _START, str(_ROOT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            cwd=scratch,
            env=names,
            start_new_session=True,
        )
        watched = os.pidfd_open(child.pid)
        try:
            if child.stdin is not None:
                with suppress(BrokenPipeError), child.stdin as told:
                    told.write(json.dumps(job).encode())
            while not select.select([watched], [], [], _TICK)[0]:
                tick()
                if time.monotonic() > deadline:
                    raise _slow(bounds)
        finally:
            os.close(watched)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        said.seek(max(0, said.seek(0, os.SEEK_END) - _SAID))
        return child.returncode, said.read()


def _answer(path: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        if path.stat().st_size <= _LARGEST_ANSWER:
            found = json.loads(path.read_bytes())
            return found if isinstance(found, dict) else None
    return None


def _ended(status: int, said: bytes, bounds: Bounds) -> Invalid:
    """How a process ends that could not say why itself: C++ aborts where it has no memory, the kernel kills."""
    words = said.lower()
    if any(one in words for one in (b"bad_alloc", b"memoryerror", b"out of memory", b"cannot allocate")):
        return _too_demanding(bounds)
    if status == -signal.SIGKILL:
        return _too_demanding(bounds)
    name = signal.Signals(-status).name if status < 0 else f"status {status}"
    return Invalid(
        f"Reading the file ended its reader ({name}): it is damaged, or was made to do that.",
        code="dataset.damaged",
        field="file",
        remedy="Read it where it was made, write it again, and upload that.",
    )


def _too_demanding(bounds: Bounds) -> Invalid:
    return Invalid(
        f"Reading the file takes more than {bounds.memory_mb} MiB of memory, the limit of this installation.",
        code="dataset.memory",
        field="file",
        remedy="Write it again with smaller pages and row groups, shorter values or fewer columns; the operator can raise "
        "DATASET_MEMORY_MB.",
        extra={"limit": bounds.memory_mb << 20},
    )


def _slow(bounds: Bounds) -> Invalid:
    return Invalid(
        f"Reading the file takes more than {bounds.seconds:g} seconds, the limit of this installation.",
        code="dataset.slow",
        field="file",
        remedy="Split the data set, or save it as Parquet; the operator can raise DATASET_SECONDS.",
        extra={"limit": bounds.seconds},
    )
