"""The followers ring the bell after the commit, and the sweeper rings again for what was lost."""

from collections.abc import Iterator
from datetime import timedelta
from queue import Empty
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from audit.models import Entry
from config.celery import app
from registry import tasks
from registry.followers import QUEUE, Ingest, Lineage
from registry.models import ModelVersion, RegisteredModel, User

pytestmark = pytest.mark.usefixtures("by_hand")

LONG_AGO = "2020-01-01T00:00:00Z"


class Bell:
    """The broker's queue for ingest."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def rung(self) -> list[tuple[str, str]]:
        """Every task waiting, with its argument; they are gone then."""
        found: list[tuple[str, str]] = []
        while True:
            try:
                message = self._queue.get(block=False)
            except Empty:
                return found
            found.append((message.headers["task"].removeprefix("registry.tasks."), message.decode()[0][0]))
            message.ack()


@pytest.fixture
def bell() -> Iterator[Bell]:
    with app.connection_for_write() as connection:
        queue = connection.SimpleQueue(QUEUE)
        queue.clear()
        yield Bell(queue)
        queue.close()


@pytest.fixture
def version(request: pytest.FixtureRequest) -> ModelVersion:
    request.getfixturevalue("db")
    ada = User.objects.create_user("ada")
    model = RegisteredModel.objects.create(name="credit", owner=ada)
    return ModelVersion.objects.create(model=model, number=1, registered_by=ada, source="runs:/a/m", run_id="a")


def entry(version: ModelVersion, action: str) -> Entry:
    return cast("Entry", SimpleNamespace(subject_id=str(version.pk), action=action))


def test_the_bell_rings_after_the_commit(
    version: ModelVersion, bell: Bell, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        Ingest().handle(entry(version, "version.registered"))
        Ingest().handle(entry(version, "dataset.finished"))
        Lineage().handle(entry(version, "version.sealed"))
        assert bell.rung() == []
    assert bell.rung() == [(task, str(version.pk)) for task in ("ingest_version", "seal_dataset", "record_lineage")]


def test_what_was_just_registered_is_left_to_the_follower(version: ModelVersion, bell: Bell) -> None:
    tasks.sweep()
    assert version.status == ModelVersion.Status.PENDING
    assert bell.rung() == []


def test_the_sweeper_rings_for_what_was_lost(version: ModelVersion, bell: Bell) -> None:
    ModelVersion.objects.update(created_at=LONG_AGO)
    tasks.sweep()
    assert bell.rung() == [("ingest_version", str(version.pk))]
    ModelVersion.objects.update(ingest_lease_until=LONG_AGO, ingest_attempts=1)
    tasks.sweep()
    assert bell.rung() == [("ingest_version", str(version.pk))]


def test_the_sweeper_leaves_alone_what_somebody_works_on(version: ModelVersion, bell: Bell) -> None:
    ModelVersion.objects.update(created_at=LONG_AGO, ingest_lease_until=timezone.now() + timedelta(minutes=1))
    tasks.sweep()
    assert version.number == 1
    assert bell.rung() == []


def test_the_sweeper_leaves_alone_what_is_uploaded_over_rest(version: ModelVersion, bell: Bell) -> None:
    ModelVersion.objects.update(created_at=LONG_AGO, source="")
    tasks.sweep()
    assert version.number == 1
    assert bell.rung() == []


def test_a_version_that_killed_three_workers_fails(version: ModelVersion, bell: Bell) -> None:
    ModelVersion.objects.update(created_at=LONG_AGO, ingest_lease_until=LONG_AGO, ingest_attempts=3)
    tasks.sweep()
    version.refresh_from_db()
    assert version.status == ModelVersion.Status.FAILED
    assert "in 3 attempts" in version.status_message
    assert bell.rung() == []
