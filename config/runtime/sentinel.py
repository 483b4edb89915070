"""Ends what a killed supervisor has left behind, after everything had a chance to end by itself.

The kernel tells every child that its supervisor has died (``children.spawn``). A child may fail to act on that: Celery
can hang when it wants to report and nobody reads its output any more. This process holds the other end of a pipe, on
which the supervisor names its children; the pipe's end means that the supervisor has ended, however it did.

Its standard input has lines ``+ pid seconds`` (kill this child's group that long after) and ``- pid`` (it has ended).
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

_POLL_SECONDS = 0.1


def started_at(pid: int) -> str | None:
    """Return what tells this process from a later one with the same pid; ``None`` when there is none."""
    try:
        status = Path("/proc", str(pid), "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *rest = status.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else rest[18]


def watch(lines: Iterable[str]) -> None:
    """Keep the list of children until ``lines`` end, then kill the groups of those that outstay their time."""
    children: dict[int, tuple[float, str | None]] = {}
    for line in lines:
        sign, number, *seconds = line.split()
        if sign == "+":
            children[int(number)] = (float(seconds[0]), started_at(int(number)))
        else:
            children.pop(int(number), None)
    begun = time.monotonic()
    while children:
        for pid, (grace, identity) in list(children.items()):
            if identity is None or started_at(pid) != identity:
                del children[pid]
            elif time.monotonic() - begun >= grace:
                try:
                    os.killpg(pid, signal.SIGKILL)
                except ProcessLookupError:
                    del children[pid]
        time.sleep(_POLL_SECONDS)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watch(sys.stdin)
