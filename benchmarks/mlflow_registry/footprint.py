"""Memory of a web worker under load, start-up to the first answer, CPU of the start."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from benchmarks import stack
from benchmarks.load import run
from benchmarks.mlflow_registry.bench import Bench, get
from benchmarks.mlflow_registry.reads import SMALL
from benchmarks.processes import memory, workers
from benchmarks.stack import Machine, Server

MEBIBYTES: Final = 120.0
TIMES: Final = 5.0


def measure_memory(bench: Bench) -> None:
    """After whatever load there was, and some more over eight connections."""
    bench.report.heading("Memory of a web worker, after load")
    count = bench.amount.requests * 8
    script = get("registered-models/get", {"name": SMALL}, count=count, connections=8)
    found = {}
    for server in bench.both:
        run(server, script(server, 0))
        sizes = [memory(pid) for pid in workers(server.pid)]
        sizes = [one for one in sizes if one.rss > max(each.rss for each in sizes) / 2]  # not a resource tracker
        for one in sizes:
            print(f"    {server.name:26} RSS {one.rss:7.1f} MiB   PSS {one.pss:7.1f} MiB")
        found[server.name] = max(sizes, key=lambda one: one.rss)
    ours, theirs = (found[server.name] for server in bench.both)
    bench.report.limit("web worker: RSS", ours.rss, "MiB", MEBIBYTES, theirs=theirs.rss)
    bench.report.limit("web worker: PSS", ours.pss, "MiB", MEBIBYTES, theirs=theirs.pss)


def measure_start(bench: Bench, machine: Machine, token: str) -> None:
    """Both anew, in turn, on their filled databases, with two workers each."""
    bench.report.heading("Start to the first answer of registered-models/search, and CPU until all workers rest")
    starts: dict[str, Callable[[], AbstractContextManager[Server]]] = {
        "ours": lambda: stack.countersign(machine, token),
        "theirs": lambda: stack.mlflow(machine),
    }
    seconds: dict[str, list[float]] = {name: [] for name in starts}
    spent: dict[str, list[float]] = {name: [] for name in starts}
    for _ in range(bench.amount.starts):
        for name, start in starts.items():
            with start() as server:
                seconds[name].append(server.started)
                spent[name].append(stack.start_up_cpu(server))
            print(f"    {server.name:26} {seconds[name][-1]:6.2f} s   CPU {spent[name][-1]:6.2f} s", flush=True)
    first = {name: statistics.median(values) for name, values in seconds.items()}
    cpu = {name: statistics.median(values) for name, values in spent.items()}
    bench.report.cheaper("start to the first answer", first["ours"], first["theirs"], "s", TIMES)
    bench.report.cheaper("start: CPU of the tree", cpu["ours"], cpu["theirs"], "s")
    began = time.monotonic()
    subprocess.run([sys.executable, "manage.py", "setup_database"], cwd=stack.ROOT, check=True, capture_output=True)
    setting_up = time.monotonic() - began
    bench.report.cheaper(
        "start, ours with `setup_database` before it", first["ours"] + setting_up, first["theirs"], "s"
    )
