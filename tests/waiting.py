"""Waiting for something to become true, instead of sleeping and hoping."""

from collections.abc import Callable
from typing import TypeVar

import psycopg

from config import waiting

_Found = TypeVar("_Found")


def until(look: Callable[[], _Found | None], *, what: str, seconds: float = 30.0, every: float = 0.02) -> _Found:
    """Return the first true result of ``look``; fail the test, saying ``what`` never came, after ``seconds``."""
    if not (found := waiting.until(look, seconds=seconds, every=every)):
        raise AssertionError(f"Waited {seconds:g} seconds for {what}.")
    return found


def until_a_backend_waits_on_a_lock(*, seconds: float = 30.0) -> None:
    """Return when some other session of this test's database waits for a lock that another one holds.

    Asks over a connection of its own, so that it works inside any transaction and from any thread.
    """
    from django.db import connection  # noqa: PLC0415 - importable without Django, for tests of the runtime

    settings = connection.settings_dict
    with psycopg.connect(
        dbname=settings["NAME"],
        user=settings["USER"],
        password=settings["PASSWORD"],
        host=settings["HOST"],
        port=settings["PORT"],
        autocommit=True,
    ) as observer:
        until(
            lambda: observer.execute(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchone(),
            what="a session that waits on a lock",
            seconds=seconds,
        )
