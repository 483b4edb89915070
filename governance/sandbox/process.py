"""Starting the child, following its pipes, and ending it for certain at the deadline."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from governance.sandbox.job import Limits, Progress
from governance.sandbox.staging import Stage, open_to_all

if TYPE_CHECKING:
    from governance.sandbox.environments import Chosen

_ROOT = Path(__file__).resolve().parents[2]
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); import governance.sandbox.child.main as child; "
    "del sys.path[0]; child.main()"
)
_LINE = 64 * 1024
_TICK = 0.05


@dataclass(slots=True)
class Ended:
    """How the child ended, and what it said on its channel before."""

    status: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    stopped: str = ""
    stderr: bytes = b""
    layers: Mapping[str, str] = field(default_factory=dict)
    forbidden: str = ""
    loaded: bool = False
    garbage: int = 0


def environment(scratch: Path) -> dict[str, str]:
    """The child's whole environment: nothing of ours, one thread per library."""
    single = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT", "ARROW_IO_THREADS")
    return {
        **dict.fromkeys(single, "1"),
        "LANG": "C.UTF-8",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "PYTHONHASHSEED": "0",
        "MPLCONFIGDIR": str(scratch),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "JOBLIB_MULTIPROCESSING": "0",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    }


def follow(job: dict[str, Any], stage: Stage, chosen: Chosen, *, limits: Limits, progress: Progress) -> Ended:
    """Start the child with ``job`` on its standard input and stay with it to its end.

    Guarantee: when this returns or raises, the child and its process group are dead and reaped.
    """
    receive, send = os.pipe()
    scratch = stage.scratch
    names = environment(scratch)
    sites = [chosen.site] if chosen.site else []
    job = {
        **job,
        "channel": send,
        "environment": sorted(names),
        "parent": os.getpid(),
        "sites": [str(path) for path in sites],
        "readable": [*job["readable"], *map(str, sites)],
        "traverse": stage.uid is not None and not open_to_all(*sites, *([Path(chosen.python)] if sites else [])),
    }
    # Without “site” for what a stranger chose: its .pth files would run before the confinement.
    start = [chosen.python, "-I", "-S", "-B"] if sites else [sys.executable, "-I", "-B"]
    started = time.monotonic()
    child = subprocess.Popen(
        [*start, "-c", _START, str(_ROOT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=scratch,
        env=names,
        close_fds=True,
        pass_fds=(send,),
        start_new_session=True,
    )
    os.close(send)
    ended = Ended()
    try:
        _hand_over(child, job)
        _listen(child, receive, ended, limits=limits, scratch=scratch, progress=progress, started=started)
    finally:
        os.close(receive)
        _finish(child, ended)
        ended.seconds = time.monotonic() - started
    return ended


def _hand_over(child: subprocess.Popen[bytes], job: dict[str, Any]) -> None:
    stdin = _pipe(child.stdin)
    try:
        stdin.write(json.dumps(job).encode())
        stdin.close()
    except BrokenPipeError:
        return  # it is dead already; its status says the rest


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise RuntimeError("the child was started without its pipes")
    return pipe


def _listen(
    child: subprocess.Popen[bytes],
    receive: int,
    ended: Ended,
    *,
    limits: Limits,
    scratch: Path,
    progress: Progress,
    started: float,
) -> None:
    """Until the child has exited: read both pipes, mind the deadline and the size of the scratch directory."""
    stderr = _pipe(child.stderr).fileno()
    exited = os.pidfd_open(child.pid)
    held = b""
    try:
        with selectors.DefaultSelector() as selector:
            for descriptor in (receive, stderr, exited):
                selector.register(descriptor, selectors.EVENT_READ)
            gone = False
            while not gone:
                ready = {key.fd for key, _ in selector.select(_TICK)}
                gone = exited in ready
                if stderr in ready:
                    data = os.read(stderr, _LINE)
                    ended.stderr = (ended.stderr + data)[-limits.stderr_bytes :]
                    if not data:
                        selector.unregister(stderr)
                if receive in ready:
                    data = os.read(receive, _LINE)
                    held = _heard(held + data, ended, progress)
                    if not data:
                        selector.unregister(receive)
                if not gone and (why := _over(limits, scratch, started)):
                    ended.stopped = why
                    return
        _drain(receive, held, ended, progress)
    finally:
        os.close(exited)


def _drain(receive: int, held: bytes, ended: Ended, progress: Progress) -> None:
    """What was written in the last moment. The pipe may still be held open by someone, so never block."""
    os.set_blocking(receive, False)
    try:
        while data := os.read(receive, _LINE):
            held = _heard(held + data, ended, progress)
    except BlockingIOError:
        return


def _over(limits: Limits, scratch: Path, started: float) -> str:
    if time.monotonic() - started > limits.wall_seconds:
        return "timeout"
    return "output_too_large" if _size(scratch) > limits.scratch_bytes else ""


def _size(folder: Path) -> int:
    total = 0
    for path, _, files in os.walk(folder):
        for name in files:
            try:
                total += 4096 + os.lstat(os.path.join(path, name)).st_size  # noqa: PTH118 - many files, 20 times a second
            except FileNotFoundError:
                continue  # it was removed between listing and looking
    return total


def _heard(data: bytes, ended: Ended, progress: Progress) -> bytes:
    """Handle the complete lines; returns the rest. A line that is not ours is counted and dropped."""
    *lines, rest = data.split(b"\n")
    for line in lines:
        message = _message(line)
        if message is None:
            ended.garbage += 1
        elif "layers" in message:
            ended.layers = ended.layers or message["layers"]
        elif "loaded" in message:
            ended.loaded = True
        elif "forbidden" in message:
            ended.forbidden = message["forbidden"]
        else:
            progress(message["done"], message["total"])
    if len(rest) > _LINE:
        ended.garbage += 1
        return b""
    return rest


def _message(line: bytes) -> dict[str, Any] | None:
    """The line if it is one that our child code could have written, else None."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    kinds: dict[frozenset[str], type] = {
        frozenset({"layers"}): dict,
        frozenset({"loaded"}): bool,
        frozenset({"forbidden"}): str,
        frozenset({"done", "total"}): int,
    }
    kind = kinds.get(frozenset(message))
    if kind is None or not all(type(value) is kind for value in message.values()):
        return None
    if kind is dict:
        layers = message["layers"]
        return message if all(isinstance(value, str) and len(value) < 300 for value in layers.values()) else None
    if kind is int and not 0 <= message["done"] <= message["total"] < 2**53:
        return None
    if kind is str:
        message["forbidden"] = message["forbidden"][:200]
    return message


def _finish(child: subprocess.Popen[bytes], ended: Ended) -> None:
    """Kill the group, kill the child, reap it and read what it used."""
    for kill in (os.killpg, os.kill):
        try:
            kill(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # gone already
        except PermissionError:
            continue  # only zombies of another user are left in the group
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    _pipe(child.stderr).close()
    ended.status = child.returncode
    ended.cpu_seconds = used.ru_utime + used.ru_stime
    ended.peak_bytes = used.ru_maxrss * 1024
