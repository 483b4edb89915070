"""Two ways to a child: forked from a template that holds the libraries, or a fresh interpreter; and its certain end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from governance.sandbox import template

_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); import governance.sandbox.child.main as child; "
    "del sys.path[0]; child.main()"
)


@dataclass(frozen=True, slots=True)
class Used:
    """How it ended (negative: by that signal), and what it took."""

    status: int
    cpu_seconds: float
    peak_bytes: int


class Child(Protocol):
    """A running child.

    ``exited`` becomes readable when it has ended; ``warm``: it came from a template; ``told``: what only this start
    knows.
    """

    @property
    def pid(self) -> int: ...

    @property
    def channel(self) -> int: ...

    @property
    def stderr(self) -> int: ...

    @property
    def exited(self) -> int: ...

    @property
    def told(self) -> dict[str, Any]: ...

    @property
    def warm(self) -> bool: ...

    def end(self) -> Used:
        """Kill it and its process group, and reap it. Guarantee: it is dead when this returns."""


@contextmanager
def started_child(job: dict[str, Any], *, scratch: Path, python: str, warm: bool) -> Iterator[Child]:
    """The child, told its job. ``python`` "": the platform's interpreter and libraries; ``warm``: from a template.

    The caller calls ``end`` before leaving the ``with``.
    """
    with ExitStack() as ours, ExitStack() as telling:
        with ExitStack() as theirs:
            told, tell = _pipe(theirs, telling)
            listen, complain = _pipe(ours, theirs)
            receive, send = _pipe(ours, theirs)
            child: Child | None = None
            if warm and not python:
                child = _forked(job, scratch, (told, send, complain), (receive, listen))
            if child is None:
                child = _fresh(scratch, python, (told, send, complain), (receive, listen))
            ours.callback(os.close, child.exited)
        with telling, suppress(BrokenPipeError), os.fdopen(tell, "wb", closefd=False) as pipe:
            pipe.write(json.dumps({**job, **child.told}).encode())  # a broken pipe: its status says the rest
        yield child


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """A pipe whose two ends are closed by two different stacks."""
    read, write = os.pipe()
    reader.callback(os.close, read)
    writer.callback(os.close, write)
    return read, write


def _forked(job: dict[str, Any], scratch: Path, given: tuple[int, int, int], ours: tuple[int, int]) -> _Forked | None:
    more = template.FOR_FLAVOR.get(job["flavor"], ())
    found = template.fork(given, more)
    if found is None:
        return None
    told = {"channel": template.CHANNEL, "environment": template.environment(scratch), "parent": found.parent}
    return _Forked(*ours, found.exited, told, found)


def _fresh(scratch: Path, python: str, given: tuple[int, int, int], ours: tuple[int, int]) -> _Fresh:
    stdin, send, stderr = given
    names = template.environment(scratch)
    # Without “site” for what a stranger chose: its .pth files would run before the confinement.
    start = [python, "-I", "-S", "-B"] if python else [sys.executable, "-I", "-B"]
    process = subprocess.Popen(
        [*start, "-c", _START, str(template.ROOT)],
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        cwd=scratch,
        env=names,
        close_fds=True,
        pass_fds=(send,),
        start_new_session=True,
    )
    told = {"channel": send, "environment": names, "parent": os.getpid()}
    return _Fresh(*ours, os.pidfd_open(process.pid), told, process)


@dataclass(frozen=True, slots=True)
class _Fresh:
    channel: int
    stderr: int
    exited: int
    told: dict[str, Any]
    process: subprocess.Popen[bytes]
    warm: bool = False

    @property
    def pid(self) -> int:
        return self.process.pid

    def end(self) -> Used:
        for kill in (os.killpg, os.kill):
            # Gone already, or only zombies of another user are left in the group.
            with suppress(ProcessLookupError, PermissionError):
                kill(self.process.pid, signal.SIGKILL)
        _, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return Used(self.process.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


@dataclass(frozen=True, slots=True)
class _Forked:
    channel: int
    stderr: int
    exited: int
    told: dict[str, Any]
    handle: template.Forked
    warm: bool = True

    @property
    def pid(self) -> int:
        return self.handle.pid

    def end(self) -> Used:
        status, cpu, peak = self.handle.end()
        return Used(status, cpu, peak)
