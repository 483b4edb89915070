"""Which checkpoint stands for a moment: recorded by the sequencer, found for whoever asks for a day, a time or a size.

A moment is recorded with a checkpoint whose batch took everything that had committed. The statement that took it saw
exactly the transactions of the log's first ``size`` entries, so the rows that it could see are the state those entries led
to: no less, and nothing that is not in the log yet.
"""

import re
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, Protocol

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from audit.history import era
from audit.models import Checkpoint
from audit.models import Moment as Row
from config.as_of import Moment
from config.errors import Invalid, Refusal

FIELD: Final = "as_of"
CLOCKS_DIFFER: Final = timedelta(hours=1)
"""A clock that was set back by less is taken for one that stood still."""

_SIZE: Final = re.compile(r"entry:([0-9]{1,18})")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# A plus sign that nobody encoded arrives as a space.
_BARE_PLUS: Final = re.compile(r" (?=[0-9]{2}:?[0-9]{2}$)")
_FORMS: Final = "Give a day (2026-03-14), a time with its zone (2026-03-14T12:00:00+01:00), or a log size (entry:1234)."


class NotAMoment(Invalid):
    """What was asked for is no moment that is known. On ``as_of``, with what can be asked for."""

    status = HTTPStatus.BAD_REQUEST
    code = "as_of.malformed"

    def __init__(self, message: str, code: str, remedy: str = _FORMS) -> None:
        super().__init__(message, code=f"as_of.{code}", field=FIELD, remedy=remedy)


def record(size: int, at: datetime, snapshot: str) -> None:
    """Note which transactions the state of the log's first ``size`` entries consists of. Within the checkpoint's transaction.

    ``snapshot`` is that of the very statement that emptied the inbox. Raises ``NotInThisCluster``.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, {"size": size, "at": at, "snapshot": snapshot, "back": CLOCKS_DIFFER.total_seconds()})


_RECORD: Final = """
    INSERT INTO audit_moment (size, at, snapshot)
    SELECT %(size)s, CASE WHEN last.at > %(at)s AND extract(epoch FROM last.at - %(at)s) < %(back)s THEN last.at ELSE %(at)s END,
           history.shifted(%(snapshot)s)
    FROM (SELECT 1) AS one LEFT JOIN (SELECT at FROM audit_moment ORDER BY size DESC LIMIT 1) AS last ON true
    ON CONFLICT (size) DO NOTHING
"""
"""A moment of that size is there already only if the log was cut and grows again, which others betray."""


class NotInThisCluster(RuntimeError):
    """The database was restored elsewhere and not migrated since, so transactions would be numbered twice."""


def check_cluster() -> None:
    """Make sure that transactions here come after those of every moment before. Raises ``NotInThisCluster``."""
    with connection.cursor() as cursor:
        if problem := era.problem(cursor):
            raise NotInThisCluster(problem)


def found(asked: str) -> Moment:
    """The moment of a day (its end, in the server's zone), of a time, or of a log size. Raises ``NotAMoment``.

    It is the last one not after what was asked. Where no later one is known, ``kept`` names it by its size, because what
    was asked may yet come to mean a later one.
    """
    text = asked.strip()
    if match := _SIZE.fullmatch(text):
        return _by_size(int(match[1]), text)
    now = timezone.now()
    if _DAY.fullmatch(text):
        first = _day(text)
        if first > now:
            raise NotAMoment(f"{text} has not begun yet.", "future", "Ask for today or a day before.")
        return _by_time(first + timedelta(days=1), text, included=False)
    at = _time(text)
    if at > now:
        raise NotAMoment(f"{text} is still to come.", "future", "Ask for a time that has passed.")
    return _by_time(at, text, included=True)


def newest() -> Moment | None:
    """The newest moment that is known, or None before the first."""
    row = _rows().order_by("-size").first()
    return None if row is None else _moment(row, f"entry:{row.size}", f"entry:{row.size}")


def _by_size(size: int, asked: str) -> Moment:
    row = _rows().filter(size__lte=size).order_by("-size").first()
    if row is None or row.size < size:
        head = Checkpoint.objects.order_by("-size").values_list("size", flat=True).first() or 0
        if size > head:
            raise NotAMoment(f"The log has {head} entries, so what it was at {size} is still to come.", "future")
    if row is None:
        raise _before(f"the log's first {size} entries")
    # There will never be another moment up to this size: what comes is larger.
    return _moment(row, asked, asked)


def _by_time(until: datetime, asked: str, *, included: bool) -> Moment:
    rows = _rows().filter(at__lte=until) if included else _rows().filter(at__lt=until)
    row = rows.order_by("-size").first()
    if row is None:
        raise _before(asked)
    return _moment(row, asked, asked if row.followed else f"entry:{row.size}")


class _Found(Protocol):
    """A row of ``_rows``."""

    size: int
    at: datetime
    snapshot: str
    root: bytes
    followed: bool


def _rows() -> "QuerySet[Any]":
    return Row.objects.annotate(
        root=Subquery(Checkpoint.objects.filter(size=OuterRef("size")).values("root")),
        followed=Exists(Row.objects.filter(size__gt=OuterRef("size"))),
    )


def _moment(row: _Found, asked: str, kept: str) -> Moment:
    return Moment(row.size, bytes(row.root), row.at, row.snapshot, asked=asked, kept=kept)


def _before(asked: str) -> Refusal:
    first = Row.objects.order_by("size").first()
    if first is None:
        return NotAMoment("No moment has been recorded here yet, so there is no past to show.", "before", "")
    at = timezone.localtime(first.at)
    return NotAMoment(
        f"What was at {asked} is not known: the history begins at {at:%Y-%m-%d %H:%M:%S %Z}, with entry {first.size}.",
        "before",
        f"Ask for {at:%Y-%m-%d} or later, or for entry:{first.size}.",
    )


def _day(text: str) -> datetime:
    try:
        day = date.fromisoformat(text)
        return datetime(day.year, day.month, day.day, tzinfo=timezone.get_default_timezone())
    except (ValueError, OverflowError) as error:
        raise NotAMoment(f"{text} is no day of the calendar.", "malformed") from error


def _time(text: str) -> datetime:
    try:
        at = parse_datetime(_BARE_PLUS.sub("+", text))
    except ValueError:
        at = None
    if at is None:
        raise NotAMoment(f"{text[:60]!r} is no moment.", "malformed")
    if at.tzinfo is None:
        raise NotAMoment(
            f"{text} does not say in which time zone.", "zone", "Add Z for UTC, or an offset such as +01:00."
        )
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise NotAMoment(f"{text[:60]!r} is no moment.", "malformed") from error
