"""Pages of a past moment beside the same pages of today: time and queries, and what keeping the past costs who writes.

Every model was changed since that moment and every tenth version, so that each page is put together from rows of now and
of then. Run: ``python -m benchmarks.time_travel``.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from benchmarks import stack
from benchmarks.report import Report

if TYPE_CHECKING:
    from config.as_of import Moment
    from registry.models import ModelVersion, User

BATCH: Final = 5_000
TARGET: Final = 2.0


def _person(name: str, role: str) -> "User":
    from audit.actors import SYSTEM
    from registry.services import access

    user = access.create_user(username=name, password="a long benchmark password", by=SYSTEM)  # noqa: S106 - thrown away
    team = access.create_team(name=f"team of {name}", by=SYSTEM)
    access.add_member(team=team, user=user, by=SYSTEM)
    access.grant_role(team=team, role=role, by=SYSTEM)
    return user


def _fill(author: "User", models: int, versions: int) -> None:
    """Many models and versions, as rows, with an alias on each model's newest."""
    from registry.models import Alias, ModelVersion, RegisteredModel

    rows = [
        RegisteredModel(name=f"model-{number:06}", owner=author, next_version=99, card={"intended_use": "Rank."})
        for number in range(models)
    ]
    made = RegisteredModel.objects.bulk_create(rows, batch_size=BATCH)
    pending = ModelVersion.objects.bulk_create(
        [
            ModelVersion(
                model=made[number % models], number=number // models + 1, registered_by=author, metrics={"auc": "0.8"}
            )
            for number in range(versions)
        ],
        batch_size=BATCH,
    )
    Alias.objects.bulk_create(
        [
            Alias(model=version.model, name="production", version=version, set_by=author)
            for version in pending[-models:]
        ],
        batch_size=BATCH,
    )


def _change() -> None:
    """Every model, every tenth version."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("UPDATE registry_registeredmodel SET use_case = 'Changed since', updated_at = now()")
        cursor.execute(
            "UPDATE registry_modelversion SET description = 'Changed', updated_at = now() WHERE number % 10 = 1"
        )
        cursor.execute("VACUUM ANALYZE")


def _moment(author: "User") -> "Moment":
    """The moment of what is committed now."""
    from audit.actors import Actor
    from audit.history.moments import found
    from audit.models import Checkpoint
    from audit.sequencer import run_once
    from registry.models import RegisteredModel
    from registry.services import catalog

    catalog.update_model(
        model=RegisteredModel.objects.earliest("pk"), description=str(time.time()), by=Actor.person(author)
    )
    run_once()
    return found(f"entry:{Checkpoint.objects.latest('size').size}")


def _both(user: "User", address: str, moment: "Moment", rounds: int) -> tuple[float, float, int, int]:
    """Median milliseconds of the page today and as of the moment, turn by turn, and both numbers of queries."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    times: dict[str, list[float]] = {"": [], moment.name: []}
    counts = []
    for asked in times:
        query = {"as_of": asked} if asked else {}
        response = client.get(address, query)
        if response.status_code != 200:
            raise SystemExit(f"{address} as of {asked or 'today'} answered {response.status_code}")
        with CaptureQueriesContext(connection) as queries:
            client.get(address, query)
        counts.append(len(queries))
    for _ in range(rounds):
        for asked, taken in times.items():
            began = time.perf_counter()
            client.get(address, {"as_of": asked} if asked else {})
            taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(times[""]), statistics.median(times[moment.name]), counts[0], counts[1]


def _writing(version: "ModelVersion", author: "User", rounds: int) -> dict[str, tuple[float, float]]:
    """Median milliseconds of two verbs with the history's triggers and without, turn by turn."""
    from django.db import connection

    from audit.actors import Actor
    from audit.history.ddl import TRIGGERS
    from audit.history.tables import remembered
    from registry.services import versions

    by = Actor.person(author)

    def switch(how: str) -> None:
        with connection.cursor() as cursor:
            for one in remembered():
                for trigger in TRIGGERS[:2]:
                    cursor.execute(f'ALTER TABLE "{one.table}" {how} TRIGGER {trigger}')

    verbs: dict[str, Callable[[int], object]] = {
        "register a version": lambda n: versions.register_version(model=version.model, by=by, tags={"n": str(n)}),
        "set a version's tag": lambda n: versions.set_version_tag(version=version, key="k", value=str(n), by=by),
    }
    times: dict[tuple[str, bool], list[float]] = {}
    for turn in range(2 * rounds):
        kept = turn % 2 == 0
        switch("ENABLE ALWAYS" if kept else "DISABLE")
        for name, verb in verbs.items():
            verb(-1)
            began = time.perf_counter()
            for number in range(20):
                verb(turn * 100 + number)
            times.setdefault((name, kept), []).append((time.perf_counter() - began) / 20 * 1000)
    switch("ENABLE ALWAYS")
    return {name: (statistics.median(times[name, True]), statistics.median(times[name, False])) for name in verbs}


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--versions", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    report = Report()
    with stack.database():
        from registry.models import ModelVersion

        author, auditor = _person("author", "contributor"), _person("auditor", "auditor")
        _fill(author, given.models, given.versions)
        then = _moment(author)
        _change()
        _moment(author)
        name = "model-000007"
        pages = {
            "models": "/models/",
            "models, live ones": "/models/?view=live",
            "model": f"/models/{name}/",
            "version": f"/models/{name}/versions/1/",
            "lineage of a version": f"/models/{name}/versions/1/lineage/",
            "inbox": "/",
            "REST: models": "/api/v1/models?page_size=50",
            "REST: versions of a model": f"/api/v1/models/{name}/versions",
        }
        report.heading(f"As of a past moment, with {given.models} models and {given.versions} versions")
        for title, address in pages.items():
            today, past, few, more = _both(auditor, address, then, given.rounds)
            report.flat(f"{title}: {few} → {more} queries", (today, past), "ms", TARGET)
        report.heading("What keeping the past costs who writes")
        version = ModelVersion.objects.select_related("model").get(model__name=name, number=1)
        for title, (kept, not_kept) in _writing(version, author, given.rounds).items():
            report.flat(f"{title}, without and with history", (not_kept, kept), "ms", 1.25)
    report.table()


if __name__ == "__main__":
    main()
