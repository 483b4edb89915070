"""The template: loads trusted libraries, then forks a child for each run and reaps it. Never reads a job.

It has one thread (a fork copies no other), no data and an empty environment. It ends when its worker does: the line is
closed, or it has another parent. The kernel kills its children when it ends, however it does.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from governance.sandbox.child import main
from governance.sandbox.modes import MODES

CHANNEL = 3
MESSAGE = 4096
ROUND = 4
_LOOK_UP = 2.0
_LIBRARIES = (
    "numpy", "pandas", "pyarrow", "pyarrow.ipc", "pyarrow.parquet", "scipy.sparse", "scipy.special", "skops.io",
    "sklearn.compose", "sklearn.ensemble", "sklearn.linear_model", "sklearn.pipeline", "sklearn.preprocessing",
    "sklearn.tree",
)  # fmt: skip
_MORE = ("mlflow.pyfunc",)


def serve(line: int, worker: int) -> NoReturn:
    """Answer the worker until its end of the line is closed."""
    with socket.socket(fileno=line) as asked:
        for name in (*_LIBRARIES, *(mode.module for mode in MODES.values())):
            _load(name)
        gc.collect()
        gc.freeze()  # so that a collection in a child does not copy every page
        children: set[int] = set()
        asked.settimeout(_LOOK_UP)  # a process that the worker forked may hold the line open after it
        while os.getppid() == worker:
            try:
                data, descriptors, _, _ = socket.recv_fds(asked, MESSAGE, ROUND)
            except TimeoutError:
                continue
            if not data:
                break
            _answer(asked, json.loads(data), descriptors, children)
        for pid in children:
            _end(pid)
    os._exit(0)


def _answer(asked: socket.socket, message: dict[str, Any], given: list[int], children: set[int]) -> None:
    if "preload" in message:
        for name in message["preload"]:
            if name in _MORE:
                _load(name)
        _say(asked, {"threads": sum(1 for _ in Path("/proc/self/task").iterdir())})
    elif "fork" in message:
        pid = os.fork()
        if pid == 0:
            _become_child(given)
        children.add(pid)
        for descriptor in given:
            os.close(descriptor)
        exited = os.pidfd_open(pid)
        _say(asked, {"pid": pid}, (exited,))
        os.close(exited)
    elif message.get("end") in children:
        children.discard(message["end"])
        _say(asked, _end(message["end"]))
    else:
        _say(asked, {"error": "unknown"})


def _say(asked: socket.socket, answer: dict[str, Any], given: tuple[int, ...] = ()) -> None:
    with suppress(OSError):  # nobody listens any more: the next reading ends it all
        socket.send_fds(asked, [json.dumps(answer).encode()], given)


def _load(name: str) -> None:
    # Polars starts a thread when it is imported, and MLflow imports it for nothing that is needed here.
    absent = object()
    before = sys.modules.get("polars", absent)
    if before is absent:
        sys.modules["polars"] = None  # type: ignore[assignment]
    try:
        importlib.import_module(name)
    except ImportError:
        pass  # the child meets it again, and says so
    finally:
        if before is absent:
            del sys.modules["polars"]


def _become_child(given: list[int]) -> NoReturn:
    """As a fresh start would be: own session, only the given descriptors, then the ordinary entry."""
    try:
        os.setsid()
        gc.unfreeze()
        stdin, channel, stderr = (fcntl.fcntl(one, fcntl.F_DUPFD, 64) for one in given)  # above the targets
        null = os.open("/dev/null", os.O_WRONLY)
        for source, target in ((stdin, 0), (null, 1), (stderr, 2), (channel, CHANNEL)):
            os.dup2(source, target)
        os.closerange(CHANNEL + 1, os.sysconf("SC_OPEN_MAX"))
        main.main(forked=True)
    finally:
        os._exit(70)


def _end(pid: int) -> dict[str, Any]:
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)
    _, status, used = os.wait4(pid, 0)
    return {
        "status": os.waitstatus_to_exitcode(status), "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss * 1024,
    }  # fmt: skip
