"""Real Celery workers on a real broker, killed in the middle of a check."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from celery import Celery
from django.conf import settings
from django.db import connection

from audit.models import Inbox
from config.runtime.secretfiles import SecretFiles
from config.runtime.valkey import Broker
from governance.models import CheckRun, PromotionRequest, WorkerHeartbeat
from governance.selectors.requests import workers_alive
from governance.states import CheckState, RequestState
from registry.models import User
from tests.governance.engine import models
from tests.governance.engine.test_execute import asked
from tests.waiting import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
Start = Callable[..., "subprocess.Popen[bytes]"]
PATIENCE = 120.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """An embedded broker of the test's own."""
    made = Broker(tmp_path / "broker", SecretFiles(tmp_path / "secrets"))
    made.configure()
    with (tmp_path / "broker.log").open("wb") as log:
        process = subprocess.Popen(made.command(), stdout=log, stderr=log)
    until(made.is_ready, what="the broker")
    yield made
    process.terminate()
    process.wait()


@pytest.fixture
def start(broker: Broker, artifact_root: Path, tmp_path: Path) -> Iterator[Start]:
    """Start worker processes on this test's database and broker; all are gone afterwards."""

    def on_test_database(url: str) -> str:
        return urlunsplit(urlsplit(url)._replace(path=f"/{connection.settings_dict['NAME']}"))

    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.governance.engine.process_settings",
        "DATABASE_ROLE": "app",
        "DATABASE_URL": on_test_database(os.environ["DATABASE_URL"]),
        "BROKER_URL": broker.url,
        "ARTIFACT_ROOT": str(artifact_root),
        "DATA_DIR": str(tmp_path / "data"),
        "SECRET_KEY": settings.SECRET_KEY,
    }
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str) -> "subprocess.Popen[bytes]":
        command = [
            sys.executable,
            "-m",
            "celery",
            "--app",
            "config.celery",
            "worker",
            "--pool",
            "prefork",
            "--concurrency",
            "1",
        ]
        command += ["--queues", "checks,default", "--without-gossip", "--without-mingle", *arguments]
        with (tmp_path / f"worker-{len(started)}.log").open("wb") as log:
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def finished_entries(run: CheckRun) -> int:
    bodies = [json.loads(row.canon) for row in Inbox.objects.all()]
    return sum(body["action"] == "check.finished" and body["object"]["id"] == str(run.pk) for body in bodies)


def test_a_worker_killed_in_the_middle_of_a_check_neither_loses_nor_doubles_it(
    scientist: User, start: Start, tmp_path: Path
) -> None:
    request = asked(scientist, models.sound_model())
    assert not workers_alive()
    beat = ("--beat", "--schedule", str(tmp_path / "beat"))
    first = start(*beat)
    until(lambda: request.checks.filter(state=CheckState.RUNNING).exists(), what="a running check", seconds=PATIENCE)
    assert workers_alive()
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    (interrupted,) = request.checks.filter(state=CheckState.RUNNING)
    start(*beat)
    until(
        lambda: PromotionRequest.objects.get(pk=request.pk).state == RequestState.READY,
        what="every check to be finished", seconds=PATIENCE,
    )  # fmt: skip
    interrupted.refresh_from_db()
    assert (interrupted.attempt, interrupted.verdict) == (2, "pass")
    assert [finished_entries(run) for run in request.checks.all()] == [1] * request.checks.count()


def test_a_check_rung_for_twice_has_one_result_and_a_leaving_worker_says_so(
    scientist: User, start: Start, broker: Broker, tmp_path: Path
) -> None:
    request = asked(scientist, models.sound_model())
    worker = start()
    until(WorkerHeartbeat.objects.exists, what="the worker's heartbeat", seconds=PATIENCE)
    with Celery(broker=broker.url) as bell:
        for _ in range(3):
            bell.send_task(
                "governance.tasks.run_check", args=[str(request.checks.get(key="security.scan").pk)], queue="checks"
            )
    until(
        lambda: request.checks.filter(key="security.scan", state=CheckState.FINISHED).exists(),
        what="the scan", seconds=PATIENCE,
    )  # fmt: skip
    worker.terminate()
    worker.wait()
    scan = request.checks.get(key="security.scan")
    assert (scan.attempt, finished_entries(scan)) == (1, 1)
    assert not WorkerHeartbeat.objects.exists()
