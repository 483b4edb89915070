"""Alias GET, version GET and model get: CPU per request and p50, over one connection and over eight."""

from typing import Final

from benchmarks.mlflow_registry.bench import Bench, Script, get, in_turn
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
            named = f"{title}, {size}, concurrency {connections}"
            if bench.wants(named):
                _one(bench, named, get(call, fields, count=bench.count(connections), connections=connections))
    if bench.filling.hot and bench.wants(f"model get, {bench.hot}"):
        _hot(bench)


def _one(bench: Bench, title: str, script: Script) -> None:
    bench.report.heading(f"  {title}")
    servers = (*bench.both, bench.single)
    ours, theirs, single = in_turn(servers, script, rounds=bench.amount.rounds, seconds=bench.amount.seconds)
    report = bench.report
    report.cheaper(f"{title}: CPU with all beside", ours.total, theirs.total, "ms", CPU)
    report.cheaper(f"{title}: p50", ours.p50, theirs.p50, "ms", LATENCY)
    report.cheaper(f"{title}: p50 against MLflow's one worker", ours.p50, single.p50, "ms", LATENCY)


def _hot(bench: Bench) -> None:
    """A model with very many versions: what the client asks for before nearly every write."""
    bench.report.heading(f"  model get, {bench.hot}")
    rounds, seconds, count = bench.amount.rounds, bench.amount.seconds, bench.amount.requests
    script = get("registered-models/get", {"name": HOT}, count=20)
    ours, theirs = in_turn((bench.ours, bench.single), script, rounds=rounds, seconds=seconds)
    bench.report.cheaper(f"model get, {bench.hot}: p50", ours.p50, theirs.p50, "ms", HOT_TIMES)
    bench.report.cheaper(f"model get, {bench.hot}: CPU with all beside", ours.total, theirs.total, "ms")
    scripts = (get("registered-models/get", {"name": name}, count=count) for name in (SMALL, HOT))
    small, hot = (in_turn((bench.ours,), script, rounds=rounds, seconds=seconds)[0] for script in scripts)
    versions = f"50 → {bench.filling.hot_versions:,} versions of the model"
    bench.report.flat(f"model get, ours, {versions}: p50", (small.p50, hot.p50), "ms", FLAT)
