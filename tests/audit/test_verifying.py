"""The log verifies itself: one look at a time, begun once, recorded with its result, which is an entry."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from audit import keys, selectors, sequencer, tasks, verifying
from audit.actors import Actor
from audit.fsck import fsck
from audit.guard import Guard, Refused
from audit.models import Entry, Verification
from registry.roles import Role
from registry.services import catalog
from tests.audit.test_fsck import tamper
from tests.factories import registry as make
from tests.factories.audit import touch
from tests.time_travel.test_tampering import as_owner

pytestmark = pytest.mark.django_db(transaction=True)
ANNA = Actor(id="user:7", name="anna", kind="user")


@pytest.fixture(autouse=True)
def log(transactional_db: None, keys_dir: Path, settings: Settings, tmp_path: Path) -> None:
    """A log of twenty entries, with this installation's key and guard file."""
    settings.DATA_DIR = tmp_path
    keys.ensure_keys(keys_dir)
    for number in range(20):
        touch(str(number % 3))
    seal()


def seal() -> None:
    sequencer.run_once(key=keys.ledger_key(), guard=Guard.default())


def ended(kind: str = "full") -> Verification:
    found = verifying.verify(verifying.ask(by=ANNA, kind=kind).pk)
    assert found is not None
    seal()
    return Verification.objects.get(pk=found.pk)


def test_a_log_that_holds_is_found_so_and_the_result_is_logged() -> None:
    found = ended()
    assert (found.state, found.size, found.done, found.problems, found.error) == ("sound", 20, 20, [], "")
    entry = Entry.objects.get(action="log.verified")
    assert (entry.object_type, entry.actor_id) == ("audit.log", "service:verifier")
    assert {name: entry.facts[name] for name in ("kind", "first", "size", "root", "asked_by", "problems")} == {
        "kind": "full", "first": 0, "size": 20, "root": found.root, "asked_by": "user:7", "problems": 0,
    }  # fmt: skip
    assert selectors.last_verification() == found


def test_a_log_that_does_not_hold_is_said_to_be_broken_and_where() -> None:
    for number in range(240):
        touch(str(number))
    seal()
    tamper("UPDATE audit_entry SET canon = replace(canon, 'robot', 'human') WHERE index = 7")
    found = ended()
    assert found.state == "broken"
    assert found.problems[0] == {
        "where": "entry 7", "what": "changed since it was integrated: the tree holds another leaf hash for it",
    }  # fmt: skip
    entry = Entry.objects.get(action="log.broken")
    assert "entry 7: changed since" in str(entry.facts["found"])


def test_a_log_that_may_not_be_continued_is_broken_all_the_same() -> None:
    tamper("UPDATE audit_entry SET canon = replace(canon, 'robot', 'human') WHERE index = 7")
    found = verifying.verify(verifying.ask(by=ANNA).pk)
    assert found is not None
    assert found.state == "broken"
    # The sequencer signs nothing on top of such a log, so the entry about it waits.
    with pytest.raises(Refused):
        seal()


def test_what_is_new_is_looked_at_from_the_last_verified_size_on() -> None:
    ended()
    touch()
    seal()
    found = ended("incremental")
    assert (found.state, found.kind, found.first, found.size) == ("sound", "incremental", 20, 22)


def test_a_look_at_what_is_new_begins_at_the_beginning_when_none_was_logged() -> None:
    assert ended("incremental").first == 0


def test_two_who_ask_get_one_look() -> None:
    first = verifying.ask(by=ANNA)
    assert verifying.ask(by=Actor.service("scheduler"), kind="incremental") == first
    assert verifying.verify(first.pk) is not None
    assert verifying.verify(first.pk) is None
    assert verifying.verify(first.pk + 1) is None
    assert verifying.ask(by=ANNA) != first


def test_no_two_workers_look_at_once() -> None:
    waiting = verifying.ask(by=ANNA)
    other = connection.copy()
    try:
        with verifying._alone(other) as mine:
            assert mine
            assert verifying.verify(waiting.pk) is None
            verifying.reap()
            waiting.refresh_from_db()
            assert waiting.state == "waiting"
    finally:
        other.close()


def test_what_a_dead_worker_left_is_ended_and_says_nothing_of_the_log() -> None:
    waiting = verifying.ask(by=ANNA)
    Verification.objects.filter(pk=waiting.pk).update(state="running", started_at=timezone.now())
    tasks.sweep()
    waiting.refresh_from_db()
    assert (waiting.state, waiting.broken) == ("failed", 0)
    assert "ended before it was done" in waiting.error
    assert selectors.last_verification() is None


def test_what_cannot_be_done_is_said_to_have_failed(keys_dir: Path) -> None:
    waiting = verifying.ask(by=ANNA)
    for path in keys_dir.iterdir():
        path.unlink()
    found = verifying.verify(waiting.pk)
    assert found is not None
    assert found.state == "failed"
    assert "ensure_keys" in found.error
    assert not Entry.objects.filter(action__startswith="log.").exists()


def test_the_clock_asks_for_everything_once_a_day_and_for_what_is_new_in_between() -> None:
    tasks.ask_for_verification()
    due = Verification.objects.get()
    assert (due.kind, due.asked_by) == ("full", "service:scheduler")
    tasks.verify(due.pk)
    seal()
    assert verifying.ask_if_due(by=ANNA) is None  # the entry about the look itself is no news
    touch()
    seal()
    new = verifying.ask_if_due(by=ANNA)
    assert new is not None
    assert new.kind == "incremental"
    tasks.verify(new.pk)
    Verification.objects.filter(kind="full").update(finished_at=timezone.now() - timedelta(days=1))
    daily = verifying.ask_if_due(by=ANNA)
    assert daily is not None
    assert daily.kind == "full"


def test_progress_is_seen_from_outside_while_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "_SAY_EVERY", 0.0)
    waiting = verifying.ask(by=ANNA)
    seen: list[int] = []

    def watched(**given: object) -> object:
        report = fsck(**given)  # type: ignore[arg-type]
        waiting.refresh_from_db()
        seen.append(waiting.done)
        return report

    monkeypatch.setattr(verifying, "fsck", watched)
    verifying.verify(waiting.pk)
    assert seen == [20]


def test_a_full_look_takes_in_the_history_of_the_tables() -> None:
    owner = make.person(Role.CONTRIBUTOR)
    model = make.registered_model(owner)
    for words in ("first", "second", "third"):
        catalog.update_model(model=model, description=words, by=make.actor(owner))
        seal()
    assert ended().state == "sound"

    as_owner("DELETE FROM history.registry_registeredmodel WHERE description = 'second'")
    found = ended()
    assert found.state == "broken"
    assert found.problems[0]["where"] == f"history of registry_registeredmodel {model.pk}"
    assert "missing" in found.problems[0]["what"]
