"""Alias GET, version GET and model get: CPU per request and p50, over one connection and over eight."""

from typing import Final

from benchmarks.mlflow_registry.bench import Bench, get, in_turn
from benchmarks.mlflow_registry.filling import CHAMPION, HOT

SMALL: Final = "model-000003"
_CALLS: Final = (
    ("alias GET", "registered-models/alias", {"name": SMALL, "alias": CHAMPION}),
    ("version GET", "model-versions/get", {"name": SMALL, "version": "7"}),
    ("model get, 50 versions", "registered-models/get", {"name": SMALL}),
)
CPU: Final = 4.0
LATENCY: Final = 5.0
HOT_TIMES: Final = 50.0
FLAT: Final = 1.5


def measure(bench: Bench) -> None:
    """At the present size."""
    size = f"{bench.filling.total:,} versions"
    bench.report.heading(f"Reads, {size}")
    for title, call, fields in _CALLS:
        for connections in (1, 8):
            _one(bench, f"{title}, {size}, concurrency {connections}", call, fields, connections)
    if bench.filling.hot:
        _hot(bench)


def _one(bench: Bench, title: str, call: str, fields: dict[str, str], connections: int) -> None:
    bench.report.heading(f"  {title}")
    count = bench.amount.requests * (1 if connections == 1 else 4)
    servers = (*bench.both, bench.single)
    script = get(call, fields, count=count, connections=connections)
    ours, theirs, single = in_turn(servers, script, rounds=bench.amount.rounds)
    report = bench.report
    report.cheaper(f"{title}: CPU with all beside", ours.total, theirs.total, "ms", CPU)
    report.cheaper(f"{title}: CPU of the database", ours.database, theirs.database, "ms")
    report.cheaper(f"{title}: p50", ours.p50, theirs.p50, "ms", LATENCY)
    report.cheaper(f"{title}: p50 against MLflow's one worker", ours.p50, single.p50, "ms", LATENCY)
    report.cheaper(f"{title}: p99 against MLflow's one worker", ours.p99, single.p99, "ms")


def _hot(bench: Bench) -> None:
    """A model with very many versions: what the client asks for before nearly every write."""
    bench.report.heading(f"  model get, {bench.hot}")
    ours, theirs = in_turn(
        (bench.ours, bench.single),
        get("registered-models/get", {"name": HOT}, count=20),
        rounds=bench.amount.rounds,
        seconds=bench.amount.slow_seconds,
    )
    bench.report.cheaper(f"model get, {bench.hot}: p50", ours.p50, theirs.p50, "ms", HOT_TIMES)
    bench.report.cheaper(f"model get, {bench.hot}: CPU with all beside", ours.total, theirs.total, "ms")
    count = bench.amount.requests
    small, hot = (
        in_turn((bench.ours,), get("registered-models/get", {"name": name}, count=count), rounds=bench.amount.rounds)[0]
        for name in (SMALL, HOT)
    )
    versions = f"50 → {bench.filling.hot_versions:,} versions of the model"
    bench.report.flat(f"model get, ours, {versions}: p50", (small.p50, hot.p50), "ms", FLAT)
