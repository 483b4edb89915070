"""The life of one part of a check as a job, with the same guarantees as the check's own (``services.checks``).

A check over many rows waits for its parts as it waits for predictions; when all are there its own job merges them. A part
that ends with an error ends the check. What nobody wants any more is not taken.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from governance.models import CheckPart, CheckRun
from governance.services import checks
from governance.services.checks import RING_AGAIN, Outcome
from governance.states import CheckState

MOST: Final = 64
SCORED_AT_ONCE: Final = 50_000
"""Rows of one batch in the sandbox (``governance.sandbox.modes.predict.CHUNK``, which web processes cannot read)."""
_SHARES: Final = 1000
"""Progress of a split check is told in thousandths: its parts are of different sizes."""


@dataclass(frozen=True, slots=True)
class PartClaim:
    """The right to compute one part: valid while the lease lasts, for this owner and attempt only."""

    part_id: UUID
    run_id: UUID
    number: int
    of: int
    owner: str
    attempt: int


def parts_for(rows: int) -> int:
    """How many parts a check over so many rows is cut into; 1 is not cut."""
    return min(MOST, math.ceil(rows / settings.CHECK_PART_ROWS)) or 1


def parts_for_scores(rows: int) -> int:
    """How many parts the predictions of so many rows are computed in; the model sees them by whole batches."""
    return min(parts_for(rows), max(1, rows // SCORED_AT_ONCE))


def cut(runs: Iterable[CheckRun], sizes: dict[UUID, int]) -> None:
    """Write the parts of the runs (by id) that are to be split, which are saved and wait."""
    CheckPart.objects.bulk_create(
        CheckPart(run=run, number=number, of=sizes[run.pk])
        for run in runs
        if run.state == CheckState.QUEUED and sizes.get(run.pk, 1) > 1
        for number in range(sizes[run.pk])
    )


def claim(part_id: UUID, *, owner: str) -> PartClaim | None:
    """Take the part if it may be computed now. None if somebody has it, it is finished, or nobody wants it."""
    now = timezone.now()
    with transaction.atomic():
        taken = _claimable(now).filter(pk=part_id).update(
            state=CheckState.RUNNING, owner=owner, attempt=F("attempt") + 1, lease_until=now + settings.JOB_LEASE,
            started_at=now, done=0, total=0,
        )  # fmt: skip
        if taken != 1:
            return None
        part = CheckPart.objects.get(pk=part_id)
        return PartClaim(part.pk, part.run_id, part.number, part.of, owner, part.attempt)


def renew(held: PartClaim) -> bool:
    """Prolong the lease. False if it is lost, or the check is over."""
    return _held(held).update(lease_until=timezone.now() + settings.JOB_LEASE) == 1


def progress(held: PartClaim, done: int, total: int) -> bool:
    """Show how far the part is, and the check with it. False if the lease is lost."""
    if _held(held).update(done=max(done, 0), total=max(total, 0)) != 1:
        return False
    _show(held.run_id)
    return True


@transaction.atomic
def finish(held: PartClaim, counts: str) -> bool:
    """Write where the part's state lies ("" without rows), once. False if somebody else has it or the check is over."""
    now = timezone.now()
    ended = _held(held).update(
        state=CheckState.FINISHED, counts_id=counts or None, lease_until=None, finished_at=now, done=F("total")
    )
    if ended != 1:
        return False
    _show(held.run_id)
    return True


@transaction.atomic
def fail(held: PartClaim, outcome: Outcome) -> bool:
    """End the check with the part's error. False if the part is somebody else's or the check is over."""
    if not _held(held).exists() or not checks.end_waiting(held.run_id, outcome):
        return False
    CheckPart.objects.filter(pk=held.part_id).update(
        state=CheckState.FINISHED, lease_until=None, finished_at=timezone.now()
    )
    return True


def due_of(request_id: UUID) -> list[UUID]:
    """The parts of a request that may start now; they count as rung for."""
    now = timezone.now()
    return _ringing(_claimable(now).filter(run__request_id=request_id), now)


def sweep() -> list[UUID]:
    """Put back the parts that dead workers left, give up on what killed three of them, return those to ring for."""
    now = timezone.now()
    lapsed = Q(state=CheckState.RUNNING, lease_until__lt=now)
    for part in CheckPart.objects.filter(lapsed).order_by("pk"):
        _recover(part, now)
    return _ringing(_claimable(now).filter(Q(rung_at=None) | Q(rung_at__lt=now - RING_AGAIN)), now)


def _recover(part: CheckPart, now: datetime) -> None:
    mine = CheckPart.objects.filter(pk=part.pk, state=CheckState.RUNNING, attempt=part.attempt, lease_until__lt=now)
    with transaction.atomic():
        if part.attempt < settings.JOB_MAX_ATTEMPTS:
            mine.update(state=CheckState.QUEUED, owner="", lease_until=None, rung_at=None)
        elif mine.update(state=CheckState.FINISHED, lease_until=None, finished_at=now):
            checks.end_waiting(part.run_id, checks.worker_lost(part.attempt))


def _claimable(now: datetime) -> QuerySet[CheckPart]:
    free = Q(state=CheckState.QUEUED) | Q(state=CheckState.RUNNING, lease_until__lt=now)
    waits = checks.startable().filter(pk=OuterRef("run_id"), state=CheckState.QUEUED)
    return CheckPart.objects.filter(free, Exists(waits), attempt__lt=settings.JOB_MAX_ATTEMPTS)


def _ringing(due: QuerySet[CheckPart], now: datetime) -> list[UUID]:
    found = list(due.order_by("run__queued_at", "run__position", "number").values_list("pk", flat=True)[:200])
    CheckPart.objects.filter(pk__in=found).update(rung_at=now)
    return found


def _held(held: PartClaim) -> QuerySet[CheckPart]:
    waits = CheckRun.objects.filter(pk=OuterRef("run_id"), state=CheckState.QUEUED)
    return CheckPart.objects.filter(
        Exists(waits), pk=held.part_id, owner=held.owner, attempt=held.attempt, state=CheckState.RUNNING
    )


def _show(run_id: UUID) -> None:
    """The share that is done of the whole check."""
    parts = CheckPart.objects.filter(run=run_id).values_list("state", "done", "total")
    shares = [1.0 if state == CheckState.FINISHED else done / total if total else 0.0 for state, done, total in parts]
    share = round(_SHARES * sum(shares) / len(shares))
    CheckRun.objects.filter(pk=run_id, state=CheckState.QUEUED).update(progress_done=share, progress_total=_SHARES)
