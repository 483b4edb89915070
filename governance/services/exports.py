"""The life of an export: asked for, written by a worker (or at once, if it is small), kept for a while, removed.

The row is the job, as for checks (DESIGN section 10): it starts by one conditional UPDATE, its end is written by another one
that names owner and attempt, and the sweeper puts back what a dead worker left. A file counts only once its row says so,
and each attempt writes a file of its own, so a worker killed at any point leaves nothing that could be taken for a bundle.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from audit.actors import Actor
from audit.exports.attachments import HEADS_AT_ONCE
from audit.exports.bundle import Written, checkpoint_of
from config.errors import Conflict, NotFound, Refusal, TooMany
from governance import guards
from governance.bundles import questions
from governance.bundles.members import scale_of
from governance.bundles.questions import Question
from governance.models import Export
from governance.models.exports import ExportState
from governance.services import evidence
from registry.models import User
from registry.storage import artifact_root

KEPT: Final = timedelta(days=7)
LEASE: Final = timedelta(minutes=2)
"""Prolonged with every few thousand entries and every fifty members."""
MOST_WAITING: Final = 3
AT_ONCE: Final = 2000
"""Entries up to which a bundle is written while its asker waits."""
RING_AGAIN: Final = timedelta(seconds=60)


class LeaseLost(Exception):
    """Another worker has the export now, or nobody wants it any more."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write one export: valid while the lease lasts, for this owner and attempt only."""

    export_id: UUID
    owner: str
    attempt: int


def ask(*, question: Question, by: Actor, size: int | None = None) -> Export:
    """Make the export, and write it at once if it is small and asks for no report. ``state`` says whether it is ready.

    Proved against the checkpoint of ``size``, or the latest. Raises ``NotFound`` for a size without a checkpoint, and
    ``TooMany`` while this person has three that wait.
    """
    person = guards.person(by)
    at = checkpoint_of(size).size
    question = questions.with_heads(question)
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=person.pk)
        if Export.objects.unfinished().filter(asked_by=person).count() >= MOST_WAITING:
            raise TooMany(
                f"{MOST_WAITING} exports of yours are being written.",
                code="export.too_many",
                remedy="Wait until one of them is ready.",
            )
        made = Export.objects.create(
            asked_by=person,
            kind=question.kind,
            question=dict(question.document),
            title=question.title[:400],
            log_size=at,
        )
    if "report" not in question.document and at <= HEADS_AT_ONCE and scale_of(question, size=at).entries <= AT_ONCE:
        write(made.pk, owner=f"web:{os.getpid()}")
        made.refresh_from_db()
    return made


def of_person(user: User) -> QuerySet[Export]:
    """The exports that this person asked for, newest first. Nobody else sees them."""
    return Export.objects.filter(asked_by=user)


def export_of(user: User, which: UUID) -> Export:
    """One of them. Raises ``NotFound``."""
    found = of_person(user).filter(pk=which).first()
    if found is None:
        raise NotFound("There is no such export of yours.", code="export.unknown")
    return found


def name_of(export: Export) -> str:
    """What the file is called on somebody's disk."""
    words = re.sub("[^A-Za-z0-9]+", "-", export.title).strip("-")[:60]
    return f"{export.kind}-{words or export.pk}-evidence.zip"


def file_of(export: Export) -> Path:
    """The finished file. Raises ``Conflict`` while or after there is none."""
    if export.state == ExportState.FINISHED:
        place = _place(export.pk, export.attempt)
        if place.is_file():
            return place
    if export.state in {ExportState.EXPIRED, ExportState.FINISHED}:
        raise Conflict(
            "The file was removed; its digest and its entry in the log are kept.",
            code="export.expired",
            remedy="Ask for it again at the same size of the log: it will have the same digest.",
        )
    if export.state == ExportState.FAILED:
        raise Conflict(f"It could not be written: {export.problem}", code="export.failed")
    raise Conflict("It is still being written.", code="export.unfinished", remedy="Look again in a while.")


def write(export_id: UUID, *, owner: str) -> bool:
    """Write one export, if it still is to be written. False if somebody else has it, or it is done.

    What is refused (the asker may no longer see it, evidence is damaged) ends as failed, with the reason; anything else that
    goes wrong leaves the row to the sweeper.
    """
    held = _claim(export_id, owner=owner)
    if held is None:
        return False
    export = Export.objects.select_related("asked_by").get(pk=export_id)
    by = Actor.person(export.asked_by, auth="export")
    draft = _place(export.pk, held.attempt).with_suffix(".part")
    draft.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        question = questions.asked(export.asked_by, export.kind, export.question)
        with draft.open("wb") as out:
            written, left_out = evidence.write(
                question, by=by, out=out, size=export.log_size, progress=_progress(held, export)
            )
            out.flush()
            os.fsync(out.fileno())
        draft.replace(draft.with_suffix(".zip"))
    except Refusal as refusal:
        return _fail(held, str(refusal))
    except LeaseLost:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return _finish(held, question, written, left_out, by)


def sweep() -> list[UUID]:
    """Remove what is too old, put back what dead workers left, and return the exports to ring for."""
    now = timezone.now()
    for export in Export.objects.filter(state=ExportState.FINISHED, expires_at__lt=now).order_by("pk")[:100]:
        Export.objects.filter(pk=export.pk, state=ExportState.FINISHED).update(state=ExportState.EXPIRED)
        _place(export.pk, export.attempt).unlink(missing_ok=True)
    lapsed = Q(state=ExportState.RUNNING, lease_until__lt=now)
    Export.objects.filter(lapsed, attempt__gte=settings.JOB_MAX_ATTEMPTS).update(
        state=ExportState.FAILED,
        problem="Its worker died each time it wrote it, so it was given up. Ask for less, or look into the worker's log.",
        lease_until=None,
        finished_at=now,
    )
    for export in Export.objects.filter(state=ExportState.FAILED, finished_at__gt=now - RING_AGAIN):
        _remove_before(export.pk, export.attempt + 1)
    due = _claimable(now).filter(Q(rung_at=None) | Q(rung_at__lt=now - RING_AGAIN))
    found = list(due.order_by("created_at").values_list("pk", flat=True)[:50])
    Export.objects.filter(pk__in=found).update(rung_at=now)
    return found


def _claimable(now: object) -> QuerySet[Export]:
    free = Q(state=ExportState.QUEUED) | Q(state=ExportState.RUNNING, lease_until__lt=now)
    return Export.objects.filter(free, attempt__lt=settings.JOB_MAX_ATTEMPTS)


def _claim(export_id: UUID, *, owner: str) -> Claim | None:
    now = timezone.now()
    taken = _claimable(now).filter(pk=export_id)
    changed = taken.update(
        state=ExportState.RUNNING,
        owner=owner,
        attempt=F("attempt") + 1,
        lease_until=now + LEASE,
        progress_done=0,
        progress_total=0,
    )
    if changed != 1:
        return None
    export = Export.objects.get(pk=export_id)
    if export.owner != owner:
        return None
    _remove_before(export_id, export.attempt)
    return Claim(export_id, owner, export.attempt)


def _remove_before(export_id: UUID, attempt: int) -> None:
    """Remove what earlier attempts left."""
    for number in range(1, attempt):
        _place(export_id, number).unlink(missing_ok=True)
        _place(export_id, number).with_suffix(".part").unlink(missing_ok=True)


def _held(held: Claim) -> QuerySet[Export]:
    return Export.objects.filter(pk=held.export_id, owner=held.owner, attempt=held.attempt, state=ExportState.RUNNING)


def _progress(held: Claim, export: Export) -> Callable[[int, int], None]:
    """Shows how far it is and prolongs the lease. Raises ``LeaseLost``."""

    def told(done: int, total: int) -> None:
        until = timezone.now() + LEASE
        if _held(held).update(progress_done=done, progress_total=total, lease_until=until) != 1:
            raise LeaseLost(str(export))

    return told


@transaction.atomic
def _finish(held: Claim, question: Question, written: Written, left_out: int, by: Actor) -> bool:
    now = timezone.now()
    changed = _held(held).update(
        state=ExportState.FINISHED,
        sha256=written.sha256,
        length=written.length,
        entries=written.entries,
        left_out=left_out,
        progress_done=written.entries,
        progress_total=written.entries,
        lease_until=None,
        finished_at=now,
        expires_at=now + KEPT,
    )
    if changed != 1:
        return False
    evidence.log_export(question, written, by=by, export=str(held.export_id))
    return True


def _fail(held: Claim, problem: str) -> bool:
    changed = _held(held).update(
        state=ExportState.FAILED, problem=problem, lease_until=None, finished_at=timezone.now()
    )
    return changed == 1


def _place(export_id: UUID, attempt: int) -> Path:
    return artifact_root() / "exports" / f"{export_id}.{attempt}.zip"
