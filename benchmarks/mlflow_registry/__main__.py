"""``python -m benchmarks.mlflow_registry``: start both, fill them alike, measure in turn, print ratios and targets."""

import argparse
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final

from benchmarks import stack
from benchmarks.load import ask, encode
from benchmarks.mlflow_registry import footprint, reads, writes
from benchmarks.mlflow_registry.bench import API, FULL, QUICK, Bench
from benchmarks.mlflow_registry.filling import PER_MODEL, Filling
from benchmarks.mlflow_registry.searches import Searches
from benchmarks.report import Report
from benchmarks.stack import Server

PARTS: Final = ("reads", "writes", "search", "footprint")


def main() -> None:
    """Every part at every size; writes and footprint at the largest."""
    given = _arguments()
    amount = QUICK if given.quick else FULL
    if given.rounds:
        amount = replace(amount, rounds=given.rounds)
    if given.seconds:
        amount = replace(amount, seconds=given.seconds)
    with stack.database() as machine, ExitStack() as running:
        token, owner_id = _account()
        sequencer = running.enter_context(stack.sequencer(machine))
        ours = running.enter_context(stack.countersign(machine, token))
        theirs = running.enter_context(stack.mlflow(machine))
        single = running.enter_context(stack.mlflow(machine, workers=1))
        bench = Bench(
            ours=stack.with_sequencer(machine, ours, sequencer),
            theirs=theirs,
            single=single,
            filling=Filling(machine, owner_id, hot_versions=given.hot),
            amount=amount,
            report=Report(),
            figure=given.figure,
            origin=_origin(theirs),
        )
        searches = Searches(last=given.sizes[-1])
        for size in given.sizes:
            bench.filling.grow(size)
            if "reads" in given.only:
                reads.measure(bench)
            if "search" in given.only:
                searches.measure(bench)
        if "writes" in given.only:
            writes.measure(bench)
        if "footprint" in given.only:
            footprint.measure_memory(bench)
            footprint.measure_start(bench, machine, token)
        bench.report.table()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small and few, to see that it runs: no ratio to believe")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be given again")
    parser.add_argument("--sizes", type=_sizes, help="versions, comma-separated, growing, multiples of 50")
    parser.add_argument("--hot", type=int, help="versions of the hot model")
    parser.add_argument("--rounds", type=int, help="counted rounds, after one that warms up; 3 unless --quick")
    parser.add_argument("--seconds", type=float, help="a run sends nothing more after so many; 4 unless --quick")
    parser.add_argument("--figure", default="", help="only figures that have this in their title: 'alias GET'")
    given = parser.parse_args()
    given.sizes = given.sizes or ([1_000, 4_000] if given.quick else [1_000, 20_000, 100_000])
    given.hot = given.hot or (1_000 if given.quick else 10_000)
    given.only = given.only or PARTS
    return given


def _sizes(text: str) -> list[int]:
    sizes = [int(part.replace("_", "")) for part in text.split(",")]
    if sizes != sorted(set(sizes)) or any(size % PER_MODEL or size < 20 * PER_MODEL for size in sizes):
        raise argparse.ArgumentTypeError("growing multiples of 50, the first at least 1000")
    return sizes


def _account() -> tuple[str, int]:
    """A contributor's token, on an installation whose built-in policy is in force; and whose versions they are."""
    from audit.actors import SYSTEM
    from governance.services.policies import adopt_built_in
    from registry.roles import Role
    from registry.services import access

    adopt_built_in()
    person = access.create_user(username="bench", password=None, by=SYSTEM)
    team = access.create_team(name="bench", by=SYSTEM)
    access.add_member(team=team, user=person, by=SYSTEM)
    access.grant_role(team=team, role=Role.CONTRIBUTOR, by=SYSTEM)
    return access.issue_token(user=person, name="bench", days=1, by=SYSTEM)[1], person.pk


def _origin(peer: Server) -> dict[str, str]:
    """A run of the peer with its artifact location: its server checks that a source belongs to a run it knows."""
    fields = {"experiment_id": "0", "start_time": 1}
    run: dict[str, Any] = ask(peer, encode(peer, "POST", f"{API}/runs/create", fields))["run"]["info"]
    return {"source": f"{run['artifact_uri']}/model", "run_id": run["run_id"]}


if __name__ == "__main__":
    main()
