"""The worker's side of the template: a process with the libraries loaded, which forks one child for each run.

Importing numpy, pandas, pyarrow, scikit-learn and MLflow takes seconds of CPU; a fork of a process that has them takes
milliseconds. The template never sees a model, a data set or a job: these go to the child, over the child's own pipe.
It belongs to one worker process, starts with its first run, and ends with it.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance.sandbox.child.template import CHANNEL, MESSAGE, ROUND

ROOT = Path(__file__).resolve().parents[2]
FOR_FLAVOR = {"python_function": ("mlflow.pyfunc",)}
"""What a flavour needs besides the libraries that every run needs."""
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); import governance.sandbox.child.template as template; "
    "del sys.path[0]; template.serve(int(sys.argv[2]), int(sys.argv[3]))"
)
_PATIENCE = 60.0
logger = logging.getLogger(__name__)
__all__ = ["CHANNEL", "FOR_FLAVOR", "ROOT", "Forked", "Template", "environment", "fork", "process_id", "ready"]


class TemplateGone(Exception):
    """The template ended, or did not answer."""


def environment(scratch: Path) -> dict[str, str]:
    """A child's whole environment: nothing of ours, one thread per library."""
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
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
    }


@dataclass(frozen=True, slots=True)
class Forked:
    """A child of the template. ``exited`` is a pidfd, ``parent`` the template's process id."""

    pid: int
    exited: int
    parent: int
    owner: Template

    def end(self) -> tuple[int, float, int]:
        """Kill and reap it: exit status, CPU seconds, peak bytes. Guarantee: it is dead when this returns."""
        with suppress(TemplateGone):
            answer = self.owner.ask({"end": self.pid})[0]
            return int(answer["status"]), float(answer["cpu"]), int(answer["peak"])
        # A template that is gone took its children along; make sure, by the descriptor, which is never reused.
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.exited, signal.SIGKILL)
        select.select([self.exited], [], [])
        return -signal.SIGKILL, 0.0, 0


class Template:
    """One template process and the line to it. Raises ``TemplateGone`` when it does not start."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.settimeout(_PATIENCE)
        self._lock = threading.Lock()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-B", "-c", _START, str(ROOT), str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=environment(Path("/nonexistent")),
                close_fds=True,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self.worker = os.getpid()
        try:
            ready = self.ask({"preload": []})[0]
            if ready.get("threads") != 1:
                raise TemplateGone(f"It has {ready.get('threads')} threads, so a fork of it is not safe.")
        except TemplateGone:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether it runs, and is this process's own (a fork of the worker inherits the object, not the right)."""
        return self.worker == os.getpid() and self.process.poll() is None

    def fork(self, given: tuple[int, int, int], more: tuple[str, ...]) -> Forked | None:
        """A child with ``given`` as its input, channel and error output; None if it cannot be forked safely."""
        if more and self.ask({"preload": list(more)})[0].get("threads") != 1:
            return None
        answer, descriptors = self.ask({"fork": True}, given)
        return Forked(int(answer["pid"]), descriptors[0], self.process.pid, self)

    def ask(self, message: dict[str, Any], given: tuple[int, ...] = ()) -> tuple[dict[str, Any], list[int]]:
        """One question, one answer. Raises ``TemplateGone``."""
        with self._lock:
            try:
                socket.send_fds(self._line, [json.dumps(message).encode()], given)
                data, descriptors, _, _ = socket.recv_fds(self._line, MESSAGE, ROUND)
                answer = json.loads(data) if data else None
            except (OSError, ValueError) as error:
                raise TemplateGone(str(error)) from error
        if not isinstance(answer, dict) or "error" in answer:
            raise TemplateGone(str(answer))
        return answer, descriptors

    def close(self) -> None:
        """End it and all its children."""
        self._line.close()
        if self.worker == os.getpid():
            self.process.kill()
            self.process.wait()
        else:
            self.process.returncode = 0  # somebody else's child: not ours to wait for, nor to warn about


_shared: Template | None = None
_starting = threading.Lock()


def fork(given: tuple[int, int, int], more: tuple[str, ...] = ()) -> Forked | None:
    """A child of this process's template, which is started if need be; None where only a fresh start will do."""
    for _ in range(2):  # a template that was killed between two runs is replaced
        found = _template()
        if found is None:
            return None
        try:
            return found.fork(given, more)
        except TemplateGone as gone:
            logger.warning("The sandbox's template ended and is replaced: %s", gone)
            close()
    return None


def _template() -> Template | None:
    global _shared  # noqa: PLW0603 - one for each worker process
    with _starting:
        if _shared is None or not _shared.alive:
            if _shared is not None:
                _shared.close()
                _shared = None
            try:
                _shared = Template()
            except TemplateGone as gone:
                logger.warning("The sandbox has no template and starts each run afresh: %s", gone)
                return None
        return _shared


def ready() -> bool:
    """Start this process's template now, rather than with the first run. Whether there is one."""
    return _template() is not None


def process_id() -> int | None:
    """Of this process's template, if it has one that runs."""
    return _shared.process.pid if _shared is not None and _shared.alive else None


def close() -> None:
    """End this process's template, if it has one."""
    global _shared  # noqa: PLW0603
    with _starting:
        if _shared is not None:
            _shared.close()
            _shared = None


atexit.register(close)
