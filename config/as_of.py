"""The moment that a request speaks of: the present, or a past one, and the clock that goes with it.

Within ``travelling`` every statement on the connection reads the schema ``asof``, whose views have the tables' own names
and show the rows as they were (``audit.history``), in a transaction that can write nothing. So selectors and templates need
no second way of reading. What is decided by today's facts, such as what a reader may see, is read within ``today``.
Whatever compares with the present time, to show it, asks ``now`` here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from config.errors import Refusal


@dataclass(frozen=True, slots=True)
class Moment:
    """A past state: that of the log's first ``size`` entries, signed with ``root`` at ``at``.

    ``snapshot`` says which transactions had committed. ``asked`` is what was asked for, ``kept`` what further addresses
    ask for: the same, or this very checkpoint where what was asked could still come to mean a later one.
    """

    size: int
    root: bytes
    at: datetime
    snapshot: str
    asked: str = ""
    kept: str = ""

    @property
    def name(self) -> str:
        """What asks for exactly this moment."""
        return f"entry:{self.size}"


class NotKept(Refusal):
    """The views of the past are not there: somebody is migrating the database."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "as_of.unavailable"


NOTHING_CHANGES = "This is how it was then. Nothing can be signed or changed here."

_moment: ContextVar[Moment | None] = ContextVar("moment", default=None)

_ENTER = """
    SELECT set_config('search_path', 'asof, public', true), set_config('transaction_read_only', 'on', true),
           set_config('countersign.moment', %s, true), set_config('countersign.size', %s, true),
           to_regclass('asof.complete') IS NOT NULL
"""
_TODAY = "SELECT set_config('search_path', 'public', true)"
_BACK = "SELECT set_config('search_path', 'asof, public', true)"


def current() -> Moment | None:
    """The moment that is being shown, or None for the present."""
    return _moment.get()


def now() -> datetime:
    """The time of what is being shown. Whoever writes asks ``timezone.now``."""
    moment = _moment.get()
    return moment.at if moment else timezone.now()


@contextmanager
def travelling(moment: Moment) -> Iterator[Moment]:
    """Show what is read inside as of ``moment``. Nothing can be written, and no such block begins inside another.

    Raises ``NotKept``: the past cannot be shown at present.
    """
    if _moment.get() is not None:
        raise RuntimeError("already at a past moment")
    inside = connection.in_atomic_block
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_ENTER, [moment.snapshot, str(moment.size)])
            row = cursor.fetchone()
        if row is None or not row[-1]:
            raise NotKept("The database is being upgraded: the past can be read again in a moment.")
        token = _moment.set(moment)
        try:
            yield moment
        finally:
            _moment.reset(token)
            # The end of a transaction takes the settings back; of a savepoint, only rolling back does. (After every
            # ROLLBACK psycopg prepares its statements anew, so it is left out where it can be.)
            if inside:
                transaction.set_rollback(True)


@contextmanager
def today() -> Iterator[None]:
    """Read the present inside, also where the past is being shown. Costs nothing where it is not."""
    if _moment.get() is None:
        yield
        return
    token = _moment.set(None)
    try:
        _execute(_TODAY)
        yield
    finally:
        _moment.reset(token)
        try:
            _execute(_BACK)
        except DatabaseError:  # the statement inside failed, and the transaction with it
            connection.needs_rollback = True


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
