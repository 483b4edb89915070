"""The log verifies itself: asked for by a person or by the clock, done by a worker, and the result is an entry.

The row (``Verification``) is the job. Whoever works on it holds an advisory lock in a session of its own for as long, so
that a worker that died is told from one that is busy. The result is worth as much as this server: a person who has its
database and its key can make it say anything. docs/auditors/verify.md says how to look for oneself.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from audit import keys, selectors, services
from audit.actors import Actor
from audit.canonical import Json
from audit.fsck import Problem, Report, fsck
from audit.guard import Head
from audit.history.inspection import findings as history_findings
from audit.log_actions import BROKEN, LOG, VERIFIED
from audit.models import Checkpoint, Entry, Verification

logger = logging.getLogger(__name__)

LOCK: Final = 0x766572696679  # "verify"
FULL_EVERY: Final = timedelta(hours=23)
_SAY_EVERY: Final = 1.0
_MOMENTS: Final = 3
"""At how many moments of the past the full look also holds the history against the log: the first, the last and one between."""
_PROBLEMS_LOGGED: Final = 10
_LONGEST_PROBLEM: Final = 300
_Kind, _State = Verification.Kind, Verification.State


def ask(*, by: Actor, kind: str = _Kind.FULL) -> Verification:
    """Ask for a look at the log and return it; one that waits or is under way is returned instead of a second one.

    What comes of it is logged, not the asking. The worker looks for what waits every few seconds.
    """
    if (pending := selectors.verification_under_way()) is not None:
        return pending
    try:
        with transaction.atomic():
            return Verification.objects.create(kind=_Kind(kind), asked_by=by.id, asked_at=timezone.now())
    except IntegrityError:
        return Verification.objects.filter(state__in=[_State.WAITING, _State.RUNNING]).latest("id")


def ask_if_due(*, by: Actor) -> Verification | None:
    """What the clock does: a full look once a day, and in between a look at what is new, if anything is."""
    full = Verification.objects.filter(kind=_Kind.FULL, state__in=[_State.SOUND, _State.BROKEN]).order_by("-id").first()
    if full is None or full.finished_at is None or full.finished_at < timezone.now() - FULL_EVERY:
        return ask(by=by, kind=_Kind.FULL)
    last, head = selectors.last_verification(), selectors.head()
    # The entry about the last look is no news.
    if last is None or head is None or head.size > last.size + 1:
        return ask(by=by, kind=_Kind.INCREMENTAL)
    return None


def reap() -> None:
    """End what a worker that died left under way: it says nothing of the log, and somebody can ask again."""
    with _alone(connection) as mine:
        if mine:
            Verification.objects.filter(state=_State.RUNNING).update(
                state=_State.FAILED,
                finished_at=timezone.now(),
                error="The worker that was at it ended before it was done.",
            )


def verify(verification_id: int, *, processes: int = 1) -> Verification | None:
    """Do it, if it still waits; return it as it ended, or None. A second worker, or a second message, finds nothing."""
    aside = connection.copy()
    try:
        with _alone(aside) as mine:
            if not mine or not _claim(verification_id):
                return None
            found = Verification.objects.get(pk=verification_id)
            try:
                report = _look(found, aside, processes)
            except (DatabaseError, keys.KeyProblem, OSError) as error:
                logger.exception("Verification %d could not be done", verification_id)
                return _end(found, _State.FAILED, error=f"{type(error).__name__}: {error}"[:2000])
            return _record(found, report)
    finally:
        aside.close()


def _claim(verification_id: int) -> bool:
    now = timezone.now()
    waiting = Verification.objects.filter(pk=verification_id, state=_State.WAITING)
    return bool(waiting.update(state=_State.RUNNING, started_at=now, seen_at=now))


def _look(found: Verification, aside: BaseDatabaseWrapper, processes: int) -> Report:
    said_at = 0.0

    def say(done: int, total: int) -> None:
        nonlocal said_at
        if time.monotonic() - said_at < _SAY_EVERY:
            return
        said_at = time.monotonic()
        # Through a session of its own: the look itself only reads, from one snapshot.
        with aside.cursor() as cursor:
            cursor.execute(
                "UPDATE audit_verification SET done = %s, size = %s, seen_at = now() WHERE id = %s",
                [done, total, found.pk],
            )

    if found.kind == _Kind.INCREMENTAL:
        return fsck(since=verified_before(), processes=processes, progress=say)
    report = fsck(processes=processes, progress=say)
    for finding in history_findings(moments=_MOMENTS):
        report.add(f"history of {finding.table} {finding.key}", finding.problem)
    return report


def verified_before() -> Head | None:
    """The largest size that was found whole, if that look itself was logged. None: begin at the beginning."""
    for entry in Entry.objects.filter(action=VERIFIED, object_type=LOG.type).order_by("-index")[:1]:
        facts = entry.facts
        if Checkpoint.objects.filter(size=facts["size"]).exists():
            return Head(int(facts["size"]), bytes.fromhex(str(facts["root"])))
    return None


def _record(found: Verification, report: Report) -> Verification:
    """Write the end and its entry, both or neither."""
    took = timezone.now() - (found.started_at or found.asked_at)
    facts: dict[str, Json] = {
        "kind": found.kind,
        "first": report.first,
        "size": report.size,
        "root": report.root.hex(),
        "entries": report.entries,
        "checkpoints": report.checkpoints,
        "took_ms": int(took.total_seconds() * 1000),
        "asked_by": found.asked_by,
        "problems": report.broken,
    }
    if not report.sound:
        facts["found"] = [str(problem)[:_LONGEST_PROBLEM] for problem in report.problems[:_PROBLEMS_LOGGED]]
    with transaction.atomic():
        if report.size:
            action = VERIFIED if report.sound else BROKEN
            services.append(action=action, subject=LOG, by=Actor.service("verifier"), facts=facts)
        state = _State.SOUND if report.sound else _State.BROKEN
        return _end(found, state, report=report)


def _end(found: Verification, state: str, *, report: Report | None = None, error: str = "") -> Verification:
    found.state, found.finished_at, found.error = state, timezone.now(), error
    if report is not None:
        found.first, found.size, found.root = report.first, report.size, report.root.hex()
        found.done, found.broken = report.entries, report.broken
        found.problems = [_kept(problem) for problem in report.problems]
    found.save()
    return found


def _kept(problem: Problem) -> dict[str, str]:
    return {"where": problem.where, "what": problem.what[:2000]}


@contextmanager
def _alone(session: BaseDatabaseWrapper) -> Iterator[bool]:
    """Hold the lock of the one verifier in this session, if it is free."""
    with session.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine:
            with session.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
