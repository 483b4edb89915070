"""Tables against the log: each governed row must be as its last entry left it, each object of the log must be there.

The triggers (``audit.triggers``) refuse a change without an entry, but whoever owns the tables can disable them, and a
superuser can do what they like. Then a row differs from the digest in its last entry, or has no entry, or is missing. The
walk goes table by table in the order of keys, a few hundred rows at a time, each step in one snapshot: it needs little
memory, can be stopped and resumed after any key, and works while everybody writes. It reads rows through the ORM and so,
with another ``search_path``, also those of a past day.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connection, models, transaction
from django.utils.module_loading import import_string

from audit.actors import SYSTEM, Actor
from audit.governed import Governed, governed_models
from audit.models import Entry, Inbox
from audit.services import append
from audit.subjects import GONE, SCHEME, Subject, digest_of
from audit.triggers import missing

STEP: Final = 500
MOST_NAMED: Final = 20
RECONCILER: Final = Actor.service("reconciliation")
TABLES: Final = Subject("audit.tables", "governed", version="the governed tables")
RECONCILED: Final = "ledger.reconciled"
ADOPTED: Final = "ledger.adopted"

UNSAID, DIFFERS, LOST, LEFT, OPEN = "no_entry", "differs", "row_missing", "row_left", "trigger_off"


@dataclass(frozen=True, slots=True)
class Difference:
    """One object of which table and log say different things; ``entry`` is the index of the last entry, if it has one."""

    kind: str
    type: str
    id: str
    entry: int | None = None

    def __str__(self) -> str:
        last = "which has not its place yet" if self.entry is None else f"{self.entry}"
        return {
            UNSAID: f"{self.type} {self.id}: the row has no entry in the log",
            DIFFERS: f"{self.type} {self.id}: the row is not what its last entry ({last}) says",
            LOST: f"{self.type} {self.id}: its last entry ({last}) says what it is like, but there is no such row",
            LEFT: f"{self.type} {self.id}: its last entry ({last}) says that it is deleted, but the row is there",
            OPEN: f"{self.type}: the trigger that refuses changes without an entry is missing or disabled",
        }[self.kind]


@dataclass(slots=True)
class Report:
    """What was compared. ``earlier`` rows have only entries of the first releases, which said less of a row."""

    rows: int = 0
    objects: int = 0
    earlier: int = 0
    found: int = 0
    differences: list[Difference] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether nothing differs."""
        return not self.found

    def add(self, difference: Difference) -> None:
        """Count it; only the first are kept, however many there are."""
        self.found += 1
        if len(self.differences) < MOST_NAMED:
            self.differences.append(difference)


@dataclass(frozen=True, slots=True)
class Step:
    """How far the walk is: pass ``after`` to ``reconcile`` to go on behind it."""

    table: str
    after: str
    report: Report


Progress = Callable[[Step], None]


def reconcile(
    *,
    tables: Sequence[str] = (),
    after: str = "",
    below: int | None = None,
    progress: Progress | None = None,
    step: int = STEP,
) -> Report:
    """Compare the tables of these labels (all, if none are named) with the log and return what differs.

    ``after`` skips the rows of the first table up to that key. ``below`` takes the log as it was with so many entries,
    for the rows of a past day; what waits in the inbox then counts for nothing.

    Raises ``ValueError`` for a label that is no object's.
    """
    chosen = _chosen(tables)
    report = Report(tables=[one.label for one in chosen])
    if below is None:
        for table in missing(connection):
            report.add(Difference(OPEN, table, ""))
    for one in chosen:
        for last in _rows(one, after, below, step, report):
            if progress:
                progress(Step(one.label, last, report))
        after = ""
        for last in _objects(one, below, step, report):
            if progress:
                progress(Step(one.label, last, report))
    return report


@transaction.atomic
def record(report: Report) -> str:
    """Put the result of a comparison of every table into the log, and return the id of its entry."""
    return append(
        action=RECONCILED,
        subject=TABLES,
        by=RECONCILER,
        facts={
            "whole": report.whole,
            "tables": len(report.tables),
            "rows": report.rows,
            "objects": report.objects,
            "earlier": report.earlier,
            "differences": report.found,
            "first": [str(one)[:300] for one in report.differences],
        },
    )


def last_result() -> Entry | None:
    """The entry of the last comparison, for the page and the API of the log: its facts are those of ``record``."""
    return Entry.objects.filter(action=RECONCILED).order_by("-index").first()


def adopt(progress: Progress | None = None) -> int | None:
    """Let the log vouch for every row as it is now, once in the life of a database; None if that was done.

    Releases before this one logged less of a row, and of some rows nothing. This takes over what is there when the first
    such release starts, with an entry per object that says so: it does not say that the row was right. Runs as the owner,
    before anything else writes; what was interrupted is resumed. Returns how many objects that were.
    """
    if Entry.objects.filter(action=ADOPTED).exists() or Inbox.objects.filter(canon__contains=f'"{ADOPTED}"').exists():
        return None
    adopted = 0
    for one in _chosen(()):
        rows: Any = one.model._base_manager.order_by("pk").prefetch_related(*_read_along(one))
        found: list[models.Model] = list(rows[:STEP])
        while found:
            with transaction.atomic():
                said = _last_said(one.label, [str(row.pk) for row in found], None)
                new = [row for row in found if not said.get(str(row.pk), ("", None))[0].startswith(SCHEME)]
                for row in new:
                    append(action="ledger.row_adopted", subject=row, by=SYSTEM)
            adopted += len(new)
            if progress:
                progress(Step(one.label, str(found[-1].pk), Report(rows=adopted)))
            found = list(rows.filter(pk__gt=found[-1].pk)[:STEP])
    with transaction.atomic():
        append(action=ADOPTED, subject=TABLES, by=SYSTEM, facts={"objects": adopted})
    return adopted


def _chosen(labels: Sequence[str]) -> list[Governed]:
    known = {one.label: one for one in governed_models() if one.is_object}
    if unknown := [label for label in labels if label not in known]:
        raise ValueError(f"{unknown[0]} is no kind of object that the log speaks of; these are: {', '.join(known)}")
    return [known[label] for label in labels or known]


def _rows(one: Governed, after: str, below: int | None, step: int, report: Report) -> Iterator[str]:
    """Walk the table: each row must be what its last entry says."""
    rows: Any = one.model._base_manager.order_by("pk").prefetch_related(*_read_along(one))
    key = _key(one, after) if after else None
    while True:
        with _snapshot():
            found = list((rows.filter(pk__gt=key) if key is not None else rows.all())[:step])
            said = _last_said(one.label, [str(row.pk) for row in found], below)
        for row in found:
            _compare(one, row, said.get(str(row.pk)), report)
        report.rows += len(found)
        if found:
            key = found[-1].pk
            yield str(key)
        if len(found) < step:
            return


def _compare(one: Governed, row: models.Model, said: "tuple[str, int | None] | None", report: Report) -> None:
    if said is None:
        report.add(Difference(UNSAID, one.label, str(row.pk)))
    elif said[0] == GONE:
        report.add(Difference(LEFT, one.label, str(row.pk), said[1]))
    elif not said[0].startswith(SCHEME):
        report.earlier += 1
    elif said[0] != digest_of(row):
        report.add(Difference(DIFFERS, one.label, str(row.pk), said[1]))


def _objects(one: Governed, below: int | None, step: int, report: Report) -> Iterator[str]:
    """Walk the log's objects of this kind: each that is not said to be deleted must have its row."""
    after = ""
    while True:
        with _snapshot():
            ids = _ids_after(one.label, after, below, step)
            said = _last_said(one.label, ids, below)
            there = _there(one, ids)
        for key in ids:
            digest, index = said.get(key, ("", None))
            if digest.startswith(SCHEME) and digest != GONE and key not in there:
                report.add(Difference(LOST, one.label, key, index))
        report.objects += len(ids)
        if ids:
            after = ids[-1]
            yield after
        if len(ids) < step:
            return


def _ids_after(label: str, after: str, below: int | None, step: int) -> list[str]:
    """The next ids of this kind in the log, each once, by one probe of the index of objects each."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE ids AS (
                (SELECT object_id, 1 AS n FROM audit_entry
                 WHERE object_type = %(type)s AND object_id > %(after)s AND index < %(below)s
                 ORDER BY object_id LIMIT 1)
                UNION ALL
                SELECT next.object_id, ids.n + 1 FROM ids CROSS JOIN LATERAL (
                    SELECT object_id FROM audit_entry
                    WHERE object_type = %(type)s AND object_id > ids.object_id AND index < %(below)s
                    ORDER BY object_id LIMIT 1
                ) AS next WHERE ids.n < %(step)s
            )
            SELECT object_id FROM ids
            """,
            {"type": label, "after": after, "below": _below(below), "step": step},
        )
        return [str(row[0]) for row in cursor.fetchall()]


def _last_said(label: str, ids: Sequence[str], below: int | None) -> Mapping[str, tuple[str, int | None]]:
    """What the last entry that says what an object is like says, and its index; of the log and, today, of the inbox."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, digest, index FROM audit_last_said(%s, %s, %s, %s)",
            [label, list(ids), _below(below), below is None],
        )
        return {str(key): (str(digest), index) for key, digest, index in cursor.fetchall()}


def _below(below: int | None) -> int:
    return 2**62 if below is None else below


def _there(one: Governed, ids: Iterable[str]) -> set[str]:
    keys = [key for given in ids if (key := _key(one, given)) is not None]
    return {str(key) for key in one.model._base_manager.filter(pk__in=keys).values_list("pk", flat=True)}


def _key(one: Governed, text: str) -> Any:  # noqa: ANN401 - of whatever kind the key is
    """The key that reads so, or nothing if none can."""
    pk: Any = one.model._meta.pk
    try:
        key = pk.to_python(text)
    except ValidationError:
        return None
    return key if str(key) == text else None


def _read_along(one: Governed) -> Sequence[str]:
    others = {
        label: path
        for config in apps.get_app_configs()
        for label, path in getattr(config, "ledger_rows_of_others", {}).items()
    }
    said: Sequence[str] = import_string(others[one.label]) if one.label in others else ()
    return said or getattr(one.model, "ledger_rows", ())


@contextmanager
def _snapshot() -> Iterator[None]:
    """Rows and entries of one moment. Inside a transaction of the caller's, that one is it."""
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
