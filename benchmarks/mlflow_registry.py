"""Registrations per second and alias resolution through the MLflow protocol, beside ``mlflow server`` on PostgreSQL.

Both servers run on the same cluster with two workers; the runs are interleaved, ours and theirs in turn, and the
median run of each is printed, with the ratio. Run: ``python -m benchmarks.mlflow_registry``.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from benchmarks import stack
from benchmarks.load import Call, Measured, run
from benchmarks.stack import Server

API = "/api/2.0/mlflow"
HOT = "hot"


def _ask(server: Server, path: str, body: dict[str, object], method: str = "POST") -> dict[str, Any]:
    headers = {"Content-Type": "application/json", **server.headers}
    request = Request(f"http://{server.host}:{server.port}{path}", json.dumps(body).encode(), headers, method=method)
    try:
        with urlopen(request, timeout=60) as response:  # noqa: S310 - our own server
            answer: dict[str, Any] = json.load(response)
    except HTTPError as error:
        raise SystemExit(f"{server.name} answered {error.code} at {path}: {error.read()[:300]!r}") from error
    return answer


def _origin(peer: Server) -> dict[str, object]:
    """A run of the peer with its artifact location: its server checks that a source belongs to a run it knows."""
    run = _ask(peer, f"{API}/runs/create", {"experiment_id": "0", "start_time": 1})["run"]["info"]
    return {"source": f"{run['artifact_uri']}/model", "run_id": run["run_id"]}


def _token() -> str:
    from audit.actors import SYSTEM
    from registry.roles import Role
    from registry.services import access

    person = access.create_user(username="bench", password=None, by=SYSTEM)
    team = access.create_team(name="bench", by=SYSTEM)
    access.add_member(team=team, user=person, by=SYSTEM)
    access.grant_role(team=team, role=Role.CONTRIBUTOR, by=SYSTEM)
    return access.issue_token(user=person, name="bench", days=1, by=SYSTEM)[1]


def _median(runs: list[Measured]) -> Measured:
    return Measured(*(statistics.median(getattr(one, name) for one in runs) for name in ("rate", "p50", "p99", "cpu")))


def _compare(
    title: str,
    servers: tuple[Server, Server],
    calls: Callable[[str], Callable[[int, int], Call]],
    *,
    requests: int,
    concurrency: int,
    rounds: int,
) -> None:
    ours: list[Measured] = []
    theirs: list[Measured] = []
    for number in range(rounds + 1):
        for server, results in zip(servers, (ours, theirs), strict=True):
            result = run(server, calls(f"r{number}"), requests=requests, concurrency=concurrency)
            if number:  # the first round warms both up
                results.append(result)
    a, b = _median(ours), _median(theirs)
    print(f"\n{title}, concurrency {concurrency}, {requests} requests, median of {rounds} runs")
    print(f"  {'':14}{'per second':>12}{'p50 ms':>10}{'p99 ms':>10}{'CPU ms':>10}")
    for name, one in (("countersign", a), ("mlflow server", b)):
        print(f"  {name:14}{one.rate:12.1f}{one.p50:10.2f}{one.p99:10.2f}{one.cpu:10.2f}")
    print(f"  {'ratio':14}{a.rate / b.rate:11.1f}x{b.p50 / a.p50:9.1f}x{b.p99 / a.p99:9.1f}x{b.cpu / a.cpu:9.1f}x")


def main() -> None:
    """Start both, fill them alike, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--versions", type=int, default=300, help="versions of the model whose alias is resolved")
    given = parser.parse_args()
    with stack.database() as cluster, stack.both(_token(), cluster) as servers:
        origin = _origin(servers[1])
        for server in servers:
            _ask(server, f"{API}/registered-models/create", {"name": HOT})
            for number in range(8):
                _ask(server, f"{API}/registered-models/create", {"name": f"busy-{number}"})
            for _ in range(given.versions):
                _ask(server, f"{API}/model-versions/create", {"name": HOT, **origin})
            _ask(server, f"{API}/registered-models/alias", {"name": HOT, "alias": "champion", "version": "7"})

        def register(_: str) -> Callable[[int, int], Call]:
            path = f"{API}/model-versions/create"
            return lambda thread, _: ("POST", path, {"name": f"busy-{thread}", **origin})

        def resolve(_: str) -> Callable[[int, int], Call]:
            path = f"{API}/registered-models/alias?name={HOT}&alias=champion"
            return lambda _thread, _position: ("GET", path, None)

        def get_model(_: str) -> Callable[[int, int], Call]:
            path = f"{API}/registered-models/get?name={HOT}"
            return lambda _thread, _position: ("GET", path, None)

        for title, calls in (("Registrations", register), ("Alias resolution", resolve), ("Get model", get_model)):
            for concurrency in (1, 8):
                _compare(
                    title,
                    servers,
                    calls,
                    requests=given.requests,
                    concurrency=concurrency,
                    rounds=given.rounds,
                )


if __name__ == "__main__":
    main()
