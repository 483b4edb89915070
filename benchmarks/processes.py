"""What processes cost, read from proc(5): CPU of a tree, memory of one."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident and proportional MiB of a process: the second shares what several processes share."""

    rss: float
    pss: float


def cpu_seconds(roots: Iterable[int]) -> dict[int, float]:
    """User and system seconds of each process of ``roots`` with its descendants, living or reaped, in one look.

    Fields 14 to 17 of ``/proc/<pid>/stat``. A tick is ten milliseconds, so a run should cost many.
    """
    total = dict.fromkeys(roots, 0.0)
    parents, seconds = _look()
    for number, spent in seconds.items():
        ancestor = number
        while ancestor > 1 and ancestor not in total:
            ancestor = parents.get(ancestor, 0)
        if ancestor in total:
            total[ancestor] += spent
    return total


def workers(head: int) -> list[int]:
    """Those descendants of ``head`` that have no children: the processes that answer requests."""
    parents, _ = _look()
    below = {number for number in parents if _is_below(number, head, parents)}
    return sorted(below - {parents[number] for number in below})


def memory(pid: int) -> Memory:
    """Memory of one process now (``/proc/<pid>/smaps_rollup``)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {name: float(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return Memory(rss=kib["Rss"] / 1024, pss=kib["Pss"] / 1024)


def _look() -> tuple[dict[int, int], dict[int, float]]:
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        number = int(stat.parent.name)
        parents[number] = int(fields[1])
        seconds[number] = sum(int(fields[position]) for position in (11, 12, 13, 14)) / _TICKS
    return parents, seconds


def _is_below(number: int, head: int, parents: dict[int, int]) -> bool:
    while (number := parents.get(number, 0)) > 1:
        if number == head:
            return True
    return False
