"""What the entry costs: the same business transaction with its entry and the deferred trigger, and without either.

``python -m benchmarks.ledger_transactions``. Two databases on one PostgreSQL (fsync on): one as the product makes it, and a
copy without the triggers of ``audit.triggers``, in which ``append`` is replaced by nothing. Processes of 1, 8 and 32 writers
set an alias through the service, each on a model of its own, as the runtime role. The two are measured in turns.
"""

import argparse
import os
import statistics
import sys
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Final

from psycopg import sql

from benchmarks.report import Report
from benchmarks.stack import Machine, database
from config.runtime import roles

WRITERS: Final = (1, 8, 32)
TARGET: Final = 0.8
WITHOUT: Final = "without_entries"
Team = list[tuple[Connection, Any]]


def main() -> int:
    """Measure, print, and say by the exit code whether each ratio is reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    report = Report()
    with database() as machine:
        _fill(max(WRITERS))
        _copy_without(machine)
        measure(machine, report, seconds=options.seconds, rounds=options.rounds)
    return 0 if all(figure.reached for figure in report.figures if figure.target) else 1


def measure(machine: Machine, report: Report, *, seconds: float, rounds: int) -> None:
    """Transactions with and without, by two sets of writers that work in turns: what else the machine does meets both."""
    report.heading("Business transaction (set an alias) with its entry and the trigger, against without either")
    for writers in WRITERS:
        places = (WITHOUT, roles.DATABASE)
        teams = {place: _team(machine, place, writers) for place in places}
        done: dict[str, list[float]] = {place: [] for place in places}
        for turn in range(rounds):
            for place in places if turn % 2 else reversed(places):
                done[place].append(_turn(teams[place], seconds))
            with machine.owner() as owner:
                owner.execute("DELETE FROM audit_inbox")
                owner.execute("VACUUM audit_inbox")
        for place in places:
            for pipe, process in teams[place]:
                pipe.send(0.0)
                process.join()
        title = f"{writers} writer{'s' if writers > 1 else ''}"
        ours, theirs = (statistics.mean(done[place]) for place in (roles.DATABASE, WITHOUT))
        report.faster(title, ours, theirs, "tx/s", TARGET)


def _fill(models: int) -> None:
    """A contributor with a model of two versions for each writer."""
    from audit.actors import SYSTEM, Actor
    from registry.roles import Role
    from registry.services import access, catalog, versions

    user = access.create_user(username="bench", password=None, by=SYSTEM)
    team = access.create_team(name="bench", by=SYSTEM)
    access.add_member(team=team, user=user, by=SYSTEM)
    access.grant_role(team=team, role=Role.CONTRIBUTOR, by=SYSTEM)
    by = Actor.person(user, auth="session")
    for number in range(models):
        model = catalog.create_model(name=f"model-{number}", by=by, tier=1)
        for _ in range(2):
            versions.register_version(model=model, by=by)


def _copy_without(machine: Machine) -> None:
    """The same database once more, without the triggers."""
    from django.db import connections

    from audit.triggers import PREFIX

    connections.close_all()
    names = {
        "new": sql.Identifier(WITHOUT),
        "old": sql.Identifier(roles.DATABASE),
        "owner": sql.Identifier(roles.OWNER),
    }
    with machine.cluster.connect() as server:
        server.execute(sql.SQL("CREATE DATABASE {new} TEMPLATE {old} OWNER {owner}").format(**names))
    with machine.owner(WITHOUT) as owner:
        found = owner.execute(
            "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE starts_with(tgname, %s)", [PREFIX]
        ).fetchall()
        for table, name in found:
            owner.execute(f'DROP TRIGGER "{name}" ON {table}')


def _team(machine: Machine, place: str, writers: int) -> Team:
    """So many writers, warm and waiting."""
    context = get_context("fork")
    address = machine.cluster.url(roles.APP, place)
    team: Team = []
    for number in range(writers):
        ours, theirs = context.Pipe()
        process = context.Process(target=_write, args=(theirs, address, number, place == WITHOUT))
        process.start()
        team.append((ours, process))
    for pipe, _ in team:
        pipe.recv()
    return team


def _turn(team: Team, seconds: float) -> float:
    """Transactions a second of a team together, while the other one waits."""
    end = time.monotonic() + seconds
    for pipe, _ in team:
        pipe.send(end)
    return sum(float(pipe.recv()) for pipe, _ in team) / seconds


def _write(pipe: Connection, address: str, number: int, without: bool) -> None:  # noqa: FBT001
    """One writer, in a process of its own: warm up, say so, then count the transactions of each turn."""
    from django.db import connections

    from audit.actors import Actor
    from registry.models import RegisteredModel, User
    from registry.services import catalog

    connections["default"].settings_dict.update(_settings_of(address))
    if without:
        _log_nothing()
    by = Actor.person(User.objects.get(username="bench"), auth="session")
    model = RegisteredModel.objects.get(name=f"model-{number}")

    def once(turn: int) -> None:
        catalog.set_alias(model=model, alias="candidate", number=turn % 2 + 1, by=by)

    for turn in range(50):
        once(turn)
    pipe.send("ready")
    while end := pipe.recv():
        done = 0
        while time.monotonic() < end:
            once(done)
            done += 1
        pipe.send(done)
    os._exit(0)


def _settings_of(address: str) -> dict[str, object]:
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(address)
    return {
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username,
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname,
        "PORT": parts.port,
    }


def _log_nothing() -> None:
    """In this process, a change writes no entry. Only a benchmark may ask what that would save."""
    from registry.services import catalog, gated

    for module in (catalog, gated):
        vars(module)["append"] = lambda **_: ""


if __name__ == "__main__":
    sys.exit(main())
