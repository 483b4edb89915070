"""Create version and set alias: throughput over one connection and over eight, and on the hot model."""

from typing import Final

from benchmarks.load import ask, encode
from benchmarks.mlflow_registry.bench import API, Bench, Script, in_turn
from benchmarks.mlflow_registry.filling import HOT, PER_MODEL
from benchmarks.mlflow_registry.reads import FLAT, HOT_TIMES, SMALL
from benchmarks.stack import Server

THROUGHPUT: Final = 3.0


def measure(bench: Bench) -> None:
    """At the present size."""
    size = f"{bench.filling.total:,} versions"
    bench.report.heading(f"Writes, {size}")
    for connections in (1, 8):
        count = bench.count(connections) // connections
        for title, script in (
            ("create version", _creating(bench, connections, count)),
            ("set alias", _moving([f"model-{number:06}" for number in range(connections)], count)),
        ):
            if bench.wants(named := f"{title}, {size}, concurrency {connections}"):
                _one(bench, named, script)
    if bench.filling.hot:
        _hot(bench)


def _one(bench: Bench, title: str, script: Script) -> None:
    bench.report.heading(f"  {title}")
    servers = (*bench.both, bench.single)
    ours, theirs, single = in_turn(servers, script, rounds=bench.amount.rounds, seconds=bench.amount.seconds)
    report = bench.report
    report.faster(f"{title}: throughput", ours.rate, theirs.rate, "per second", THROUGHPUT)
    report.faster(f"{title}: throughput against MLflow's one worker", ours.rate, single.rate, "per second", THROUGHPUT)
    report.cheaper(f"{title}: CPU with all beside", ours.total, theirs.total, "ms")
    report.cheaper(f"{title}: p50 against MLflow's one worker", ours.p50, single.p50, "ms")


def _hot(bench: Bench) -> None:
    """MLflow loads every version of the model into memory to answer these."""
    rounds, seconds = bench.amount.rounds, bench.amount.seconds
    for title, script in (
        ("set alias", _moving([HOT], 20)),
        ("create version", lambda server, _: [[_version(server, bench, HOT)] * 20]),
    ):
        if not bench.wants(f"{title}, {bench.hot}"):
            continue
        bench.report.heading(f"  {title}, {bench.hot}")
        ours, theirs = in_turn((bench.ours, bench.single), script, rounds=rounds, seconds=seconds)
        target = HOT_TIMES if title == "set alias" else None
        bench.report.cheaper(f"{title}, {bench.hot}: p50", ours.p50, theirs.p50, "ms", target)
        bench.report.cheaper(f"{title}, {bench.hot}: CPU with all beside", ours.total, theirs.total, "ms")
    if not bench.wants(f"set alias, {bench.hot}"):
        return
    scripts = (_moving([name], bench.amount.requests) for name in (SMALL, HOT))
    small, hot = (in_turn((bench.ours,), script, rounds=rounds, seconds=seconds)[0] for script in scripts)
    versions = f"{PER_MODEL} → {bench.filling.hot_versions:,} versions of the model"
    bench.report.flat(f"set alias, ours, {versions}: p50", (small.p50, hot.p50), "ms", FLAT)


def _creating(bench: Bench, connections: int, count: int) -> Script:
    """A new model for each connection of each run: both begin with no version."""

    def script(server: Server, number: int) -> list[list[bytes]]:
        names = [f"new-{bench.filling.total}-{server.pid}-{number}-{connections}-{one}" for one in range(connections)]
        for name in names:
            ask(server, encode(server, "POST", f"{API}/registered-models/create", {"name": name}))
        return [[_version(server, bench, name)] * count for name in names]

    return script


def _version(server: Server, bench: Bench, name: str) -> bytes:
    fields = {"name": name, "tags": [{"key": "team", "value": "team-1"}], **bench.origin}
    return encode(server, "POST", f"{API}/model-versions/create", fields)


def _moving(names: list[str], count: int) -> Script:
    """Each connection moves an alias of its own model on, version by version."""

    def script(server: Server, number: int) -> list[list[bytes]]:
        return [
            [
                encode(
                    server,
                    "POST",
                    f"{API}/registered-models/alias",
                    {"name": name, "alias": "blue", "version": str((number + position) % PER_MODEL + 1)},
                )
                for position in range(count)
            ]
            for name in names
        ]

    return script
