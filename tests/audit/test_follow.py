"""Followers: in order, at least once, each at its own pace, and none in another's way."""

from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from audit import actions, followers
from audit.models import Cursor, Entry
from config.runtime import roles
from tests.audit.conftest import Connect
from tests.factories.audit import TOUCHED, integrate, touch, vouch

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]
OTHER = actions.register("test.other", "{actor} did something else to {object}").name


class Collector(followers.Follower):
    """Writes a group for each entry, so that its writes can be seen to share the cursor's transaction."""

    name = "collector"

    def handle(self, entry: Entry) -> None:
        Group.objects.create(name=f"{self.name} {entry.index}")


class Vouching(Collector):
    """The same, committed: with the entry that PostgreSQL asks for."""

    def handle(self, entry: Entry) -> None:
        vouch(Group.objects.create(name=f"{self.name} {entry.index}"))


class Picky(Collector):
    """Wants one action only."""

    name = "picky"
    actions: ClassVar[frozenset[str]] = frozenset({OTHER})


class Broken(Collector):
    """Fails on entry 1 until it is mended, after having written."""

    name = "broken"
    mended: ClassVar[bool] = False

    def handle(self, entry: Entry) -> None:
        super().handle(entry)
        if entry.index == 1 and not self.mended:
            raise RuntimeError("cannot digest this")


def seen(name: str) -> list[int]:
    return sorted(int(group.name.split()[1]) for group in Group.objects.filter(name__startswith=f"{name} "))


def log_three() -> None:
    touch()
    touch(action=OTHER)
    touch()
    integrate()


def test_every_entry_is_handled_once_and_in_order() -> None:
    log_three()
    assert followers.run_all([Collector()]) == 3
    assert followers.run_all([Collector()]) == 0
    touch()
    integrate()
    assert followers.run_all([Collector()]) == 1
    assert seen("collector") == [0, 1, 2, 3]


def test_a_follower_sees_only_what_it_asked_for_and_keeps_up_with_the_rest() -> None:
    log_three()
    assert followers.run_all([Picky()]) == 1
    assert seen("picky") == [1]
    assert Cursor.objects.get(name="picky").next_index == 3


def test_a_failing_follower_stops_only_itself_and_leaves_nothing_half_done(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    log_three()
    assert followers.run_all([Broken(), Collector()]) == 4
    assert (seen("broken"), seen("collector")) == ([0], [0, 1, 2])
    cursor = Cursor.objects.get(name="broken")
    assert (cursor.next_index, cursor.failures, cursor.last_error) == (1, 1, "RuntimeError: cannot digest this")
    assert "Follower broken failed" in caplog.text
    assert "cannot digest this" in caplog.text
    call_command("audit_status")
    out = capsys.readouterr().out
    assert "broken: next entry 1, 2 behind, FAILED 1 times" in out
    assert "collector: next entry 3, 0 behind" in out


def test_a_poison_entry_is_tried_again_with_growing_pauses_and_never_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    log_three()
    followers.run_all([Broken()])
    assert followers.run_all([Broken()]) == 0
    assert Cursor.objects.get(name="broken").failures == 1
    pauses = []
    for _ in range(12):
        Cursor.objects.update(retry_at=timezone.now() - timedelta(seconds=1))
        before = timezone.now()
        followers.run_all([Broken()])
        retry_at = Cursor.objects.get(name="broken").retry_at
        assert retry_at is not None
        pauses.append(round((retry_at - before).total_seconds()))
    assert pauses == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300]
    monkeypatch.setattr(Broken, "mended", True)
    Cursor.objects.update(retry_at=timezone.now() - timedelta(seconds=1))
    assert followers.run_all([Broken()]) == 2
    assert seen("broken") == [0, 1, 2]
    cursor = Cursor.objects.get(name="broken")
    assert (cursor.failures, cursor.last_error, cursor.retry_at) == (0, "", None)


def test_many_entries_cost_as_many_statements_as_one(django_assert_max_num_queries: Any) -> None:
    class Quiet(followers.Follower):
        name = "quiet"

        def handle(self, entry: Entry) -> None:
            """It only looks."""

    touch()
    integrate()
    followers.run_all([Quiet()])
    for _ in range(100):
        touch()
    integrate()
    with django_assert_max_num_queries(6):  # the newest index, savepoint, cursor, entries, cursor, release
        assert followers.run_all([Quiet()]) == 100


def test_a_round_is_bounded() -> None:
    log_three()
    assert followers.run_all([Collector()], limit=2) == 2
    assert seen("collector") == [0, 1]


@pytest.mark.django_db(transaction=True)
def test_a_cursor_that_another_process_holds_is_left_alone(signed_in_as: Connect) -> None:
    log_three()
    followers.run_all([Vouching()], limit=1)
    other = signed_in_as(roles.SEQUENCER)
    other.execute("BEGIN")
    other.execute("SELECT * FROM audit_cursor WHERE name = 'collector' FOR UPDATE")
    assert followers.run_all([Vouching()]) == 0
    other.execute("ROLLBACK")
    assert followers.run_all([Vouching()]) == 2


def test_entries_offer_followers_what_they_need() -> None:
    touch("x", number=4)
    integrate()
    entry = Entry.objects.get()
    assert (entry.action, entry.subject_type, entry.subject_id, entry.actor_id) == (
        TOUCHED,
        "test.thing",
        "x",
        "service:robot",
    )
    assert (dict(entry.facts), dict(entry.diff), entry.reason, entry.index) == ({"number": 4}, {}, "", 0)


def test_the_configured_followers_are_checked(settings: Settings) -> None:
    def configure(*paths: str) -> None:
        settings.FOLLOWERS = list(paths)

    configure(f"{__name__}.Collector", f"{__name__}.Picky")
    assert [follower.name for follower in followers.configured()] == ["collector", "picky"]
    configure(f"{__name__}.Collector", f"{__name__}.Collector")
    with pytest.raises(followers.BadFollower, match="share a cursor"):
        followers.configured()
    configure(f"{__name__}.seen")
    with pytest.raises(followers.BadFollower, match="no Follower"):
        followers.configured()
    configure(f"{__name__}.Missing")
    with pytest.raises(ImportError):
        followers.configured()
