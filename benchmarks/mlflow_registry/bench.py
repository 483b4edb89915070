"""What every part of the benchmark works with: the servers, how to run them in turn, how much to measure."""

# ruff: noqa: RUF001 - a multiplication sign is one
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.load import Measured, encode, run
from benchmarks.mlflow_registry.filling import Filling
from benchmarks.report import Report
from benchmarks.stack import Server

API: Final = "/api/2.0/mlflow"
Script = Callable[[Server, int], Sequence[Sequence[bytes]]]
"""For a server and a round: what each connection sends, as bytes, one request after the other."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much a full or a quick benchmark measures."""

    rounds: int
    requests: int
    """Of a run over one connection; over eight it is four times as many."""
    seconds: float
    """A run sends nothing more after so many, but at least one request: MLflow needs long for some."""
    starts: int


FULL: Final = Amount(rounds=3, requests=300, seconds=4.0, starts=3)
QUICK: Final = Amount(rounds=1, requests=20, seconds=0.5, starts=1)


@dataclass(frozen=True, slots=True)
class Bench:
    """Both servers, over the same rows. ``single`` is MLflow with one worker, which keeps TCP_NODELAY."""

    ours: Server
    theirs: Server
    single: Server
    filling: Filling
    amount: Amount
    report: Report
    figure: str
    """Only what has this in its title is measured; empty: everything."""
    origin: dict[str, str]
    """Source and run of new versions: MLflow's server asks its tracking store for the run."""

    @property
    def both(self) -> tuple[Server, Server]:
        """The two with as many workers each."""
        return self.ours, self.theirs

    def wants(self, title: str) -> bool:
        """Whether this is to be measured."""
        return self.figure.lower() in title.lower()

    def count(self, connections: int) -> int:
        """Requests of a run in all."""
        return self.amount.requests * (1 if connections == 1 else 4)

    @property
    def hot(self) -> str:
        """How the hot model is called in a title."""
        return f"model of {self.filling.hot_versions:,} versions"


def get(call: str, fields: dict[str, Any], *, count: int, connections: int = 1) -> Script:
    """The same GET, ``count`` times in all."""
    return lambda server, _: [
        [encode(server, "GET", f"{API}/{call}", fields)] * (count // connections) for _ in range(connections)
    ]


def in_turn(servers: Sequence[Server], script: Script, *, rounds: int, seconds: float) -> list[Measured]:
    """Run each server in turn, ``rounds`` times and once more before that to warm it up; the median run of each."""
    runs: list[list[Measured]] = [[] for _ in servers]
    for number in range(rounds + 1):
        for server, results in zip(servers, runs, strict=True):
            result = run(server, script(server, number), seconds=seconds)
            if number:
                results.append(result)
    medians = [_median(results) for results in runs]
    for server, one in zip(servers, medians, strict=True):
        print(
            f"    {server.name:26} {one.requests:5} × {rounds}  {one.rate:8.1f}/s   p50 {one.p50:9.2f} ms   "
            f"p99 {one.p99:9.2f} ms   CPU ms: server {one.cpu:8.2f}, beside {one.beside:5.2f}, database {one.database:7.2f}",
            flush=True,
        )
    return medians


def _median(runs: Sequence[Measured]) -> Measured:
    def of(name: str) -> float:
        return float(statistics.median(getattr(one, name) for one in runs))

    return Measured(
        requests=int(of("requests")),
        **{name: of(name) for name in ("rate", "p50", "p99", "cpu", "beside", "database")},
    )
