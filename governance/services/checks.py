"""The life of a check as a job: a row with lease, owner and attempt (DESIGN section 10).

The broker is a doorbell. Whatever it loses or sends twice: a job starts by one conditional UPDATE, its result is written
by another one that names owner and attempt, and the sweeper finds what was lost. So a check has exactly one result.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import BooleanField, Exists, F, Func, OuterRef, Q, QuerySet
from django.utils import timezone

from audit.actors import Actor
from audit.canonical import canonical
from audit.services import append
from governance.checks import CheckError, manifest
from governance.models import CheckPart, CheckRun, PromotionRequest
from governance.services.planned import not_applicable
from governance.services.snapshots import finish_checks
from governance.states import CheckState, RequestState

ENGINE: Final = Actor.service("checks")
RING_AGAIN: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run one check: valid while the lease lasts, for this owner and attempt only."""

    run_id: UUID
    owner: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a check ended. ``result`` is the stored result's JSON, None for an error; ``summary`` a sentence for people."""

    verdict: str
    summary: str
    result: Mapping[str, Any] | None = None
    result_digest: str = ""
    result_blob: str = ""
    output_blob: str = ""
    error_code: str = ""
    sandbox: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    drawings: Mapping[str, str] = field(default_factory=dict)


def claim(run_id: UUID, *, owner: str) -> Claim | None:
    """Take the job if it may run now: waiting, or left by a dead worker; what it needs done; attempts left.

    None if somebody else has it, it is finished, or its request no longer wants it.
    """
    now = timezone.now()
    with transaction.atomic():
        taken = (
            _claimable(now)
            .filter(pk=run_id)
            .update(
                state=CheckState.RUNNING,
                owner=owner,
                attempt=F("attempt") + 1,
                lease_until=now + settings.JOB_LEASE,
                started_at=now,
                progress_done=0,
                progress_total=0,
            )
        )
        if taken != 1:
            return None
        run = CheckRun.objects.get(pk=run_id)
        append(action="check.started", subject=run, by=ENGINE, facts={"owner": owner, "attempt": run.attempt})
        return Claim(run.pk, owner, run.attempt)


class _IsAnyOf(Func):
    """``value = ANY(array)``."""

    template = "(%(expressions)s))"
    arg_joiner = " = ANY("
    output_field = BooleanField()


def _claimable(now: datetime) -> QuerySet[CheckRun]:
    """Those that may be run now: all their parts are computed."""
    free = Q(state=CheckState.QUEUED) | Q(state=CheckState.RUNNING, lease_until__lt=now)
    unfinished = CheckPart.objects.filter(run=OuterRef("pk")).exclude(state=CheckState.FINISHED)
    return startable().filter(free, ~Exists(unfinished), attempt__lt=settings.JOB_MAX_ATTEMPTS)


def startable() -> QuerySet[CheckRun]:
    """Those of rounds that are being checked, whose predictions are there: they, or parts of them, may be computed."""
    waits = CheckRun.objects.filter(Q(pk=OuterRef("needs_id")) | Q(_IsAnyOf("pk", OuterRef("also_needs"))))
    waits = waits.exclude(state=CheckState.FINISHED)
    wanted = PromotionRequest.objects.filter(
        pk=OuterRef("request_id"), round=OuterRef("round"), state=RequestState.CHECKING
    )
    return CheckRun.objects.filter(~Exists(waits), Exists(wanted))


def renew(held: Claim) -> bool:
    """Prolong the lease. False if it is lost: stop, the result would not be taken."""
    return _held(held).update(lease_until=timezone.now() + settings.JOB_LEASE) == 1


def progress(held: Claim, done: int, total: int) -> bool:
    """Show how far the check is. False if the lease is lost."""
    return _held(held).update(progress_done=max(done, 0), progress_total=max(total, 0)) == 1


def _held(held: Claim) -> QuerySet[CheckRun]:
    return CheckRun.objects.filter(pk=held.run_id, owner=held.owner, attempt=held.attempt, state=CheckState.RUNNING)


def record(request: PromotionRequest, run: CheckRun, outcome: Outcome, *, by: Actor) -> None:
    """End an awaited run with a person's finding; request and run are locked. The last of a round has the request judged."""
    run.owner = by.id
    _write(run, outcome, by=by)
    _after(request, run)


@transaction.atomic
def finish(held: Claim, outcome: Outcome) -> bool:
    """Write the result, once: only for the owner and attempt that hold the job. False if somebody else does.

    What needs this run and cannot have it ends as an error that names the cause. The last check of a round has the
    request judged, in the same transaction. Blobs are stored before.
    """
    request = _lock_request(held.run_id)
    if not _held(held).exists():
        return False
    run = CheckRun.objects.select_for_update(of=("self",)).get(pk=held.run_id)
    if (run.owner, run.attempt, run.state) != (held.owner, held.attempt, CheckState.RUNNING):
        return False
    _write(run, outcome)
    _after(request, run)
    return True


def sweep() -> list[UUID]:
    """Put back what dead workers left, give up on what killed three of them, and return the jobs to ring for.

    A job is rung for at most once a minute, so that a queue without workers does not fill up.
    """
    now = timezone.now()
    lapsed = CheckRun.objects.filter(state=CheckState.RUNNING, lease_until__lt=now)
    for run_id in lapsed.order_by("pk").values_list("pk", flat=True):
        _recover(run_id)
    with transaction.atomic():
        silent = Q(rung_at=None) | Q(rung_at__lt=now - RING_AGAIN)
        ringing = list(_claimable(now).filter(silent).order_by("queued_at").values_list("pk", flat=True)[:200])
        CheckRun.objects.filter(pk__in=ringing).update(rung_at=now)
    return ringing


def due(run_id: UUID) -> list[UUID]:
    """The job, if it may start now; it counts as rung for."""
    now = timezone.now()
    return [run_id] if _claimable(now).filter(pk=run_id).update(rung_at=now) else []


def due_of(request_id: UUID) -> list[UUID]:
    """The jobs of a request that may start now, those that may take long first; they count as rung for."""
    now = timezone.now()
    found = _claimable(now).filter(request_id=request_id).order_by("position")
    ringing = [run.pk for run in sorted(found.only("requirement", "category", "dataset"), key=_turn)]
    CheckRun.objects.filter(pk__in=ringing).update(rung_at=now)
    return ringing


def _turn(run: CheckRun) -> int:
    """Predictions, for which others wait; then what trains classifiers or asks the model; last what counts rows or reads none.

    So no worker begins a long job when the others have nothing left to do.
    """
    if run.category == "scoring":
        return 0
    try:
        quick = run.dataset_id is None or manifest(str(run.requirement.get("use"))).splits
    except CheckError:  # a plug-in that is not installed here; its worker will say so
        quick = True
    return 2 if quick else 1


@transaction.atomic
def _recover(run_id: UUID) -> None:
    request = _lock_request(run_id)
    run = CheckRun.objects.select_for_update(of=("self",)).get(pk=run_id)
    if run.state != CheckState.RUNNING or run.lease_until is None or run.lease_until >= timezone.now():
        return
    if run.attempt >= settings.JOB_MAX_ATTEMPTS:
        _write(run, worker_lost(run.attempt))
        _after(request, run)
        return
    lost = run.owner
    run.state, run.owner, run.lease_until, run.rung_at = CheckState.QUEUED, "", None, None
    run.save()
    append(action="check.requeued", subject=run, by=ENGINE, reason=f"Its worker {lost} stopped renewing its lease.")


def worker_lost(attempts: int) -> Outcome:
    """The end of a job that killed every worker that took it."""
    why = (
        f"Its worker died {attempts} times while running it, so it was given up. Look into the worker's log, then run the "
        "checks again."
    )
    return Outcome(CheckRun.Verdict.ERROR, why, error_code="worker_lost")


def locked(run_id: UUID) -> tuple[PromotionRequest, CheckRun] | None:
    """The request and the run, both locked, in that order; None if there is no such run."""
    if not CheckRun.objects.filter(pk=run_id).exists():
        return None
    request = _lock_request(run_id)
    return request, CheckRun.objects.select_related("request__model").select_for_update(of=("self",)).get(pk=run_id)


def end(request: PromotionRequest, run: CheckRun, outcome: Outcome, *, by: Actor) -> None:
    """Finish a run that is not over; request and run are locked. What needs it and the round follow."""
    _write(run, outcome, by=by)
    _after(request, run)


@transaction.atomic
def end_waiting(run_id: UUID, outcome: Outcome) -> bool:
    """End a check that waits for its parts, with the error of one. False if it does not wait any more."""
    request = _lock_request(run_id)
    run = CheckRun.objects.select_for_update(of=("self",)).get(pk=run_id)
    if run.state != CheckState.QUEUED:
        return False
    _write(run, outcome)
    _after(request, run)
    return True


def cancel_unfinished(request: PromotionRequest, *, why: str, by: Actor) -> None:
    """End what waits or runs of the (locked) request; a running worker's result is then not taken."""
    runs = CheckRun.objects.unfinished().filter(request=request).order_by("pk").select_for_update(of=("self",))
    for run in list(runs):
        _write(run, Outcome(CheckRun.Verdict.ERROR, f"Not run to its end: {why}", error_code="cancelled"), by=by)


def error_document(run: CheckRun) -> bytes:
    """The result of a run that ended as an error: what its ``result_digest`` covers."""
    return canonical(
        {
            "check": run.key,
            "version": run.check_version,
            "error": {"code": run.error_code, "message": run.summary},
        }
    )


def _lock_request(run_id: UUID) -> PromotionRequest:
    request_id = CheckRun.objects.values_list("request_id", flat=True).get(pk=run_id)
    return PromotionRequest.objects.locked().get(pk=request_id)


def _write(run: CheckRun, outcome: Outcome, *, by: Actor = ENGINE) -> None:
    """Finish the (locked, unfinished) run and log it with the digests of all that went in."""
    run.state = CheckState.FINISHED
    run.verdict = outcome.verdict
    run.summary = outcome.summary
    run.error_code = outcome.error_code
    run.result = dict(outcome.result) if outcome.result is not None else None
    run.result_blob_id = outcome.result_blob or None
    run.output_blob_id = outcome.output_blob or None
    run.sandbox = dict(outcome.sandbox)
    run.provenance = dict(outcome.provenance)
    run.drawings = dict(outcome.drawings)
    run.result_digest = outcome.result_digest or hashlib.sha256(error_document(run)).hexdigest()
    run.finished_at = timezone.now()
    run.lease_until = None
    run.save()
    append(
        action="check.finished",
        subject=run,
        by=by,
        facts={
            "request": str(run.request_id),
            "key": run.key,
            "check": str(run.requirement.get("use", run.key)),
            "check_version": run.check_version,
            "verdict": run.verdict,
            "result_digest": run.result_digest,
            "manifest_digest": run.request.manifest_digest,
            "dataset_digest": run.dataset.digest if run.dataset else "",
            "cache_key": run.cache_key,
            "attempt": run.attempt,
            "owner": run.owner,
            "environment": _environment(outcome.sandbox),
            "provenance": run.provenance,
            "files": [str(one["sha256"]) for one in (run.result or {}).get("files", ())],
            **not_applicable(run),
        },
    )


def _environment(sandbox: Mapping[str, Any]) -> dict[str, Any]:
    """What of the sandbox's record the ledger keeps: text only (its layers), never measurements."""
    return {"level": str(sandbox.get("level", "none")), "platform": str(sandbox.get("platform", ""))}


def _after(request: PromotionRequest, run: CheckRun) -> None:
    """End the dependants of a failed run; judge the request when nothing of its round is left."""
    if run.verdict == CheckRun.Verdict.ERROR:
        _end_dependants(run)
    if request.state != RequestState.CHECKING or run.round != request.round:
        return
    if not CheckRun.objects.unfinished().filter(request=request, round=request.round).exists():
        finish_checks(request, by=ENGINE)


def _end_dependants(run: CheckRun) -> None:
    needing = Q(needs=run) | Q(also_needs__contains=[run.pk])
    waiting = CheckRun.objects.unfinished().filter(needing).order_by("pk").select_for_update(of=("self",))
    for dependant in list(waiting):
        why = f"Not run, because “{run.title}” ended with an error: {run.summary}"
        _write(dependant, Outcome(CheckRun.Verdict.ERROR, why, error_code="needs_failed"))
        _end_dependants(dependant)
