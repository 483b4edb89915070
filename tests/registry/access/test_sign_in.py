"""Signing in: on record, and locked after five wrong passwords within fifteen minutes."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from audit.actors import Actor
from config.errors import TooMany
from registry.models import User
from registry.services import access
from tests.factories import registry as make

pytestmark = pytest.mark.django_db
VISITOR = Actor.service("visitor")
START = datetime(2026, 3, 14, 9, tzinfo=UTC)


@pytest.fixture
def ada() -> User:
    """An account."""
    return make.person(name="ada")


def _fail(minutes: float = 0, name: str = "ada") -> None:
    with time_machine.travel(START + timedelta(minutes=minutes), tick=False):
        access.record_failed_sign_in(username=name, by=VISITOR)


def _is_locked(minutes: float) -> bool:
    with time_machine.travel(START + timedelta(minutes=minutes), tick=False):
        try:
            access.check_may_try_sign_in(username="ada")
        except TooMany as refused:
            return bool(0 < refused.extra["retry_after"] <= 900)
        return False


def test_the_fifth_failure_locks_the_account_for_a_quarter_of_an_hour(ada: User) -> None:
    before = len(make.entries())
    for minute in range(5):
        assert not _is_locked(minute)
        _fail(minute)

    assert _is_locked(4)
    assert _is_locked(18.9)
    assert not _is_locked(19)
    logged = make.entries(before)
    assert [(entry["action"], entry["facts"]["locked"]) for entry in logged] == [
        ("user.sign_in_failed", locked) for locked in (False, False, False, False, True)
    ]
    assert {entry["object"]["id"] for entry in logged} == {str(ada.pk)}


def test_while_it_is_locked_nothing_counts_and_nothing_is_logged(ada: User) -> None:
    for _ in range(5):
        _fail()
    logged = make.entries()

    for _ in range(20):
        _fail(5)

    assert make.entries() == logged
    assert not _is_locked(15)


def test_failures_that_are_far_apart_do_not_lock(ada: User) -> None:
    for number in range(20):
        _fail(number * 16)
        assert not _is_locked(number * 16)


def test_a_sign_in_forgets_the_failures_before_it(ada: User) -> None:
    for _ in range(4):
        _fail()

    access.record_sign_in(user=ada, by=make.actor(ada))
    _fail(1)

    assert not _is_locked(1)
    assert make.actions()[-2:] == ["user.signed_in", "user.sign_in_failed"]


@pytest.mark.parametrize("name", ["nobody", "", "a\x00b", "x" * 10_000])
def test_a_name_nobody_has_leaves_no_entry(ada: User, name: str) -> None:
    before = make.entries()

    _fail(name=name)
    access.check_may_try_sign_in(username=name)

    assert make.entries() == before
