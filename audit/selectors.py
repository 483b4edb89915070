"""Reading the ledger. Whether the reader may is decided at the edges; what is returned here is the log as it is."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise

from django.db.models import QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from audit.models import Checkpoint, Entry, Verification
from config import statements
from config.pagination import Page, page_of

NEWEST_FIRST = ("-index",)


@dataclass(frozen=True, slots=True)
class Filters:
    """What the audit log page and the API can ask for. Empty means any; ``since`` is included, ``until`` is not."""

    action: str = ""
    actor: str = ""
    object_type: str = ""
    object_id: str = ""
    request_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


def entries(filters: Filters | None = None) -> "QuerySet[Entry]":
    """Return the entries that match, newest first. Every combination is served by an index of its own or the key's."""
    wanted = filters or Filters()
    exact = {
        "action": wanted.action,
        "actor_id": wanted.actor,
        "object_type": wanted.object_type,
        "object_id": wanted.object_id,
        "request_id": wanted.request_id,
    }
    found = Entry.objects.filter(**{field: value for field, value in exact.items() if value})
    if wanted.since:
        found = found.filter(at__gte=wanted.since)
    if wanted.until:
        found = found.filter(at__lt=wanted.until)
    return found.order_by(*NEWEST_FIRST)


def entries_page(filters: Filters, *, after: str, size: int) -> Page[Entry]:
    """Return one page, newest first. Raises ``Invalid`` for a token that is not ours."""
    return page_of(entries(filters), after=after, size=size, keys=NEWEST_FIRST)


def entries_per_week(*, weeks: int) -> list[tuple[date, int]]:
    """Return (Monday, entries) of the last weeks up to now, oldest first; those before the log began are left out.

    Indexes follow time, so a week is as long as the way from its first entry to the next week's: one look into the index by
    time for each, however large the log is. Entries of transactions that committed late may count a week on.
    """
    today = timezone.localdate()
    monday = today - timedelta(days=today.weekday())
    mondays = [monday - timedelta(weeks=back) for back in reversed(range(weeks))]
    begins = [timezone.make_aware(datetime.combine(day, time())) for day in mondays]
    rows = statements.rows(
        """
        SELECT (SELECT index FROM audit_entry WHERE at >= week.begins ORDER BY at LIMIT 1),
               (SELECT size FROM audit_checkpoint ORDER BY size DESC LIMIT 1)
        FROM unnest(%s::timestamptz[]) WITH ORDINALITY AS week (begins, place) ORDER BY place
        """,
        [begins],
    )
    size = rows[0][1] or 0
    firsts = [*(size if first is None else int(first) for first, _ in rows), size]
    counts = [max(0, after - before) for before, after in pairwise(firsts)]
    found = list(zip(mondays, counts, strict=True))
    began = next((place for place, count in enumerate(counts) if count), weeks)
    return found[began:]


def entries_about(subject_type: str, subject_id: str) -> "QuerySet[Entry]":
    """Return the stream of one object, oldest first."""
    return Entry.objects.filter(object_type=subject_type, object_id=subject_id).order_by("index")


def entry_of(entry_id: str) -> Entry | None:
    """Return the entry that ``append`` promised, or None while it waits to be integrated."""
    return Entry.objects.filter(entry_id=entry_id).order_by("index").first()


def head() -> Checkpoint | None:
    """Return the latest checkpoint, or None for an empty log."""
    return Checkpoint.objects.order_by("-size").first()


def verification_under_way() -> Verification | None:
    """Return the look at the log that waits or is being done, or None."""
    return Verification.objects.filter(state__in=["waiting", "running"]).order_by("-id").first()


def last_verification() -> Verification | None:
    """Return the last look at the log that came to a result, or None."""
    return Verification.objects.filter(state__in=["sound", "broken"]).order_by("-id").first()


def verification(pk: int) -> Verification | None:
    """Return one look at the log, or None."""
    return Verification.objects.filter(pk=pk).first() if pk < 2**63 else None


def last_with(actions: tuple[str, ...]) -> Entry | None:
    """Return the last entry with one of these actions, or None."""
    return Entry.objects.filter(action__in=actions).order_by("-index").first()


def checkpoint(size: int) -> Checkpoint | None:
    """Return the checkpoint of this size, or None."""
    return Checkpoint.objects.filter(size=size).first() if 0 < size < 2**63 else None


def last_failure() -> Verification | None:
    """Return the last look at the log that could not be done, or None."""
    return Verification.objects.filter(state="failed").order_by("-id").first()


def finding() -> Verification | None:
    """Return the last look that found something, unless a look at every entry has found the log whole since."""
    cleared = Verification.objects.filter(state="sound", kind="full").order_by("-id").values("id")[:1]
    since = Coalesce(Subquery(cleared), Value(0))
    return Verification.objects.filter(state="broken", id__gt=since).order_by("-id").first()
