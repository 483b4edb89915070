"""Exports as jobs: asked for, written once, kept for a while, safe against workers that die."""

import hashlib
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as live
from django.db import connection
from django.utils import timezone
from guardian.shortcuts import assign_perm, remove_perm
from pytest_django import Settings

from audit.models import Entry
from config.errors import Conflict, NotFound, TooMany
from governance.bundles import questions
from governance.models import Export, PromotionRequest
from governance.models.exports import ExportState
from governance.services import evidence, exports
from registry.models import User
from registry.roles import Role
from tests.factories import governance as make
from tests.governance.bundle.conftest import Verify

pytestmark = pytest.mark.django_db


@pytest.fixture
def auditor(house: object) -> User:
    return make.person("auditor", Role.AUDITOR)


def of(request: PromotionRequest, user: User) -> Export:
    return exports.ask(question=questions.about_request(user, request), by=make.actor(user))


def waiting(request: PromotionRequest, user: User) -> Export:
    """An export that nobody has begun to write."""
    question = questions.about_request(user, request)
    return Export.objects.create(
        asked_by=user,
        kind=question.kind,
        question=dict(question.document),
        title=question.title,
        log_size=Entry.objects.count(),
    )


def test_a_small_one_is_there_at_once_with_the_bytes_of_the_direct_answer(
    approved: PromotionRequest, scientist: User, verify: Verify
) -> None:
    make.integrate()
    size = Entry.objects.count()
    made = of(approved, scientist)
    assert made.state == ExportState.FINISHED
    content = exports.file_of(made).read_bytes()
    assert made.sha256 == hashlib.sha256(content).hexdigest()
    assert (made.length, made.log_size, made.left_out) == (len(content), size, 0)
    assert content == evidence.bundle_bytes(request=approved, by=make.actor(scientist), size=size)
    verify(content)
    logged = [entry["facts"] for entry in make.log() if entry["action"] == "evidence.exported"]
    assert [one["export"] for one in logged] == [str(made.pk), ""]
    assert {one["sha256"] for one in logged} == {made.sha256}


def test_a_large_one_waits_for_a_worker(
    approved: PromotionRequest, scientist: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.integrate()
    monkeypatch.setattr(exports, "AT_ONCE", 0)
    made = of(approved, scientist)
    assert made.state == ExportState.QUEUED
    with pytest.raises(Conflict) as caught:
        exports.file_of(made)
    assert caught.value.code == "export.unfinished"
    assert exports.sweep() == [made.pk]
    assert exports.sweep() == []  # rung for at most once a minute
    assert exports.write(made.pk, owner="worker")
    assert not exports.write(made.pk, owner="another")
    made.refresh_from_db()
    assert made.progress_done == made.progress_total == made.entries > 0
    assert exports.file_of(made).is_file()


def test_three_may_wait_and_no_more(
    approved: PromotionRequest, scientist: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.integrate()
    monkeypatch.setattr(exports, "AT_ONCE", 0)
    for _ in range(exports.MOST_WAITING):
        of(approved, scientist)
    with pytest.raises(TooMany):
        of(approved, scientist)


def test_only_the_asker_sees_it(approved: PromotionRequest, scientist: User, approvers: list[User]) -> None:
    make.integrate()
    made = of(approved, scientist)
    assert exports.export_of(scientist, made.pk) == made
    with pytest.raises(NotFound):
        exports.export_of(approvers[0], made.pk)


def test_what_one_may_no_longer_see_when_it_is_written_one_does_not_get(approved: PromotionRequest) -> None:
    make.integrate()
    reader = make.person("reader")
    assign_perm("registry.view_registeredmodel", reader, approved.model)
    made = waiting(approved, User.objects.get(pk=reader.pk))
    remove_perm("registry.view_registeredmodel", reader, approved.model)
    assert exports.write(made.pk, owner="worker")
    made.refresh_from_db()
    assert made.state == ExportState.FAILED
    assert "may not see" in made.problem
    assert not [entry for entry in make.log() if entry["action"] == "evidence.exported"]
    assert list((Path(live.ARTIFACT_ROOT) / "exports").iterdir()) == []


def test_an_old_file_is_removed_and_its_digest_kept(approved: PromotionRequest, scientist: User) -> None:
    make.integrate()
    made = of(approved, scientist)
    place = exports.file_of(made)
    Export.objects.filter(pk=made.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    exports.sweep()
    made.refresh_from_db()
    assert (made.state, place.exists()) == (ExportState.EXPIRED, False)
    with pytest.raises(Conflict, match="its digest and its entry in the log are kept"):
        exports.file_of(made)
    again = exports.ask(
        question=questions.about_request(scientist, approved), by=make.actor(scientist), size=made.log_size
    )
    assert again.sha256 == made.sha256


def test_a_worker_that_lost_its_lease_writes_no_end(approved: PromotionRequest, scientist: User) -> None:
    make.integrate()
    made = waiting(approved, scientist)
    held = exports._claim(made.pk, owner="slow")
    assert held is not None
    Export.objects.filter(pk=made.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert exports.write(made.pk, owner="quick")
    with pytest.raises(exports.LeaseLost):
        exports._progress(held, made)(1, 2)
    made.refresh_from_db()
    assert (made.state, made.owner, made.attempt) == (ExportState.FINISHED, "quick", 2)
    assert len([entry for entry in make.log() if entry["action"] == "evidence.exported"]) == 1


def test_after_three_dead_workers_it_is_given_up(approved: PromotionRequest, scientist: User) -> None:
    make.integrate()
    made = waiting(approved, scientist)
    for _ in range(3):
        assert exports._claim(made.pk, owner="doomed") is not None
        Export.objects.filter(pk=made.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert exports.sweep() == []
    made.refresh_from_db()
    assert made.state == ExportState.FAILED
    assert "given up" in made.problem


@pytest.mark.django_db(transaction=True)
def test_two_processes_give_the_same_answer_to_the_same_question(
    approved: PromotionRequest, scientist: User, settings: Settings
) -> None:
    make.integrate()
    first, second = waiting(approved, scientist), waiting(approved, scientist)
    Export.objects.update(log_size=Entry.objects.count())
    for made, seed, zone in ((first, "1", "UTC"), (second, "2", "Asia/Tokyo")):
        script = (
            "import sys, uuid, django; django.setup(); from governance.services import exports;"
            "sys.exit(not exports.write(uuid.UUID(sys.argv[1]), owner=sys.argv[1]))"
        )
        command = [sys.executable, "-c", script, str(made.pk)]
        environment = {**_environment(settings), "PYTHONHASHSEED": seed, "TZ": zone}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.sha256 == second.sha256 != ""
    assert exports.file_of(first).read_bytes() == exports.file_of(second).read_bytes()


def _environment(settings: Settings) -> dict[str, str]:
    database = connection.settings_dict
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.governance.bundle.process_settings",
        "TEST_DATABASE": str(database["NAME"]),
        "TEST_DATABASE_HOST": str(database["HOST"]),
        "TEST_DATABASE_PORT": str(database["PORT"]),
        "TEST_DATABASE_USER": str(database["USER"]),
        "TEST_DATABASE_PASSWORD": str(database["PASSWORD"]),
        "TEST_KEYS_DIR": str(settings.KEYS_DIR),
        "TEST_ARTIFACT_ROOT": str(settings.ARTIFACT_ROOT),
    }


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", ["middle", "written", "unlogged"])
def test_a_worker_killed_at_any_step_leaves_nothing_that_could_be_taken_for_a_bundle(
    step: str, approved: PromotionRequest, scientist: User, verify: Verify, settings: Settings
) -> None:
    make.integrate()
    made = waiting(approved, scientist)
    command = [sys.executable, "-m", "tests.governance.bundle.killed_export", str(made.pk), step]
    done = subprocess.run(command, env=_environment(settings), capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    made.refresh_from_db()
    assert made.state == ExportState.RUNNING
    assert made.sha256 == ""
    assert exports.sweep() == []  # its lease still holds
    Export.objects.filter(pk=made.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert exports.sweep() == [made.pk]
    assert exports.write(made.pk, owner="second")
    made.refresh_from_db()
    assert (made.state, made.attempt) == (ExportState.FINISHED, 2)
    place = exports.file_of(made)
    verify(place.read_bytes())
    assert list(place.parent.iterdir()) == [place]
    make.integrate()
    assert Entry.objects.filter(action="evidence.exported").count() == 1
