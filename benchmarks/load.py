"""Load from threads over kept-alive connections, counted and bounded; times per request in milliseconds."""

import http.client
import json
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.stack import Server

Call = tuple[str, str, dict[str, Any] | None]
"""Method, path, JSON body."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: requests per second, percentiles in milliseconds, CPU milliseconds per request of the server's tree."""

    rate: float
    p50: float
    p99: float
    cpu: float


def _tree_cpu_seconds(pid: int) -> float:
    """User and system seconds of a process and its descendants, living or reaped (proc(5), fields 14 to 17)."""
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        number = int(stat.parent.name)
        parents[number] = int(fields[1])
        seconds[number] = sum(int(fields[position]) for position in (11, 12, 13, 14)) / 100
    total = 0.0
    for number, spent in seconds.items():
        ancestor = number
        while ancestor not in (0, 1, pid):
            ancestor = parents.get(ancestor, 0)
        total += spent if ancestor == pid else 0
    return total


def run(server: Server, calls: Callable[[int, int], Call], *, requests: int, concurrency: int) -> Measured:
    """Send ``requests`` calls from ``concurrency`` threads; ``calls(thread, position)`` makes each.

    Raises:
        RuntimeError: the server answered with anything but 200.

    """
    share = requests // concurrency
    times: list[list[float]] = [[] for _ in range(concurrency)]
    failures: list[str] = []
    barrier = threading.Barrier(concurrency + 1)

    def work(thread: int) -> None:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
        connection.connect()
        barrier.wait()
        for position in range(share):
            method, path, body = calls(thread, position)
            data = json.dumps(body).encode() if body is not None else None
            headers = {**server.headers, **({"Content-Type": "application/json"} if data else {})}
            began = time.perf_counter()
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            text = response.read()
            times[thread].append((time.perf_counter() - began) * 1000)
            if response.status != 200:
                failures.append(f"{server.name}: {method} {path} answered {response.status}: {text[:300]!r}")
                break
        connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(concurrency)]
    for thread in threads:
        thread.start()
    cpu = _tree_cpu_seconds(server.pid)
    barrier.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - began
    if failures:
        raise RuntimeError(failures[0])
    flat = sorted(time for one in times for time in one)
    return Measured(
        rate=len(flat) / elapsed,
        p50=statistics.median(flat),
        p99=flat[int(len(flat) * 0.99)],
        cpu=(_tree_cpu_seconds(server.pid) - cpu) * 1000 / len(flat),
    )
