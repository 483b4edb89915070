"""Reports as jobs: asked for by people who may have them, made by workers, kept for a while."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from audit.actors import Actor
from audit.canonical import Json
from audit.history import moments
from audit.services import append
from config.as_of import travelling
from config.errors import NotFound, TooMany
from governance import guards
from governance.documents import catalogue
from governance.models import ReportFile, ReportJob
from governance.states import CheckState

logger = logging.getLogger(__name__)
PRESS: Final = Actor.service("reports")
LEASE: Final = timedelta(minutes=12)
"""Above the time that a worker gives one report; no heartbeat, because none takes long."""
RING_AGAIN: Final = timedelta(seconds=60)
MOST_WAITING: Final = 20


@dataclass(frozen=True, slots=True)
class Made:
    """A file of a finished report."""

    name: str
    media_type: str
    content: bytes

    @property
    def sha256(self) -> str:
        """Its digest."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that this worker holds."""

    job_id: UUID
    owner: str
    attempt: int


def ask(*, report: str, parameters: Mapping[str, Any], by: Actor, as_of: str = "") -> ReportJob:
    """Ask for a report, and log that it was asked for. Whether the person may have it is found out now, and again later.

    ``as_of`` is a day, a time or a log size as pages take it; what it means is settled now. Raises what
    ``catalogue.prepare`` raises, ``moments.NotAMoment``, and ``TooMany`` while twenty of theirs are not finished.
    """
    asked = as_of.strip()
    moment = moments.found(asked) if as_of else None
    person = guards.person(by)
    given = {key: value for key, value in parameters.items() if value not in {None, ""}}
    with travelling(moment) if moment else nullcontext():
        catalogue.prepare(report, given, reader=person)
    with transaction.atomic():
        if ReportJob.objects.filter(asked_by=person).exclude(state=CheckState.FINISHED).count() >= MOST_WAITING:
            raise TooMany(
                f"{MOST_WAITING} of your reports wait already.",
                code="report.too_many",
                remedy="Wait until some are made.",
            )
        job = ReportJob.objects.create(
            report=report,
            parameters=given,
            asked_by=person,
            rung_at=timezone.now(),
            as_of=asked,
            moment=moment.size if moment else None,
        )
        facts: dict[str, Json] = {"parameters": _plain(given)} | (
            {"as_of": asked, "moment": moment.size} if moment else {}
        )
        append(action="report.asked", subject=job, by=by, facts=facts)
    return job


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {key: str(value) for key, value in parameters.items()}


def claim(job_id: UUID, *, owner: str) -> Claim | None:
    """Take the job, if it is still to be done. None: somebody has it, or it is over."""
    now = timezone.now()
    taken = (
        _claimable(now)
        .filter(pk=job_id)
        .update(state=CheckState.RUNNING, owner=owner, attempt=F("attempt") + 1, lease_until=now + LEASE)
    )
    if taken != 1:
        return None
    return Claim(job_id, owner, ReportJob.objects.values_list("attempt", flat=True).get(pk=job_id))


def _claimable(now: datetime) -> QuerySet[ReportJob]:
    free = Q(state=CheckState.QUEUED) | Q(state=CheckState.RUNNING, lease_until__lt=now)
    return ReportJob.objects.filter(free, attempt__lt=settings.JOB_MAX_ATTEMPTS)


@transaction.atomic
def finish(held: Claim, *, title: str, answer: str, log_size: int, files: Sequence[Made]) -> bool:
    """Keep the files and log their digests, once. False if another worker holds the job by now."""
    job = _locked(held)
    if job is None:
        return False
    job.title, job.answer, job.log_size = title[:400], answer, log_size
    _close(job)
    ReportFile.objects.bulk_create(
        ReportFile(
            job=job,
            name=one.name,
            media_type=one.media_type,
            sha256=one.sha256,
            size=len(one.content),
            content=one.content,
        )
        for one in files
    )
    digests = {one.name.partition(".")[0]: one.sha256 for one in files}
    append(action="report.made", subject=job, by=PRESS, facts={"log_size": log_size, "digests": digests})
    return True


@transaction.atomic
def fail(held: Claim, problem: str) -> bool:
    """End the job without a report, saying why. False if another worker holds it by now."""
    job = _locked(held)
    if job is None:
        return False
    job.problem = problem
    _close(job)
    return True


def _locked(held: Claim) -> ReportJob | None:
    rows = ReportJob.objects.select_for_update(of=("self",), no_key=True)
    return rows.filter(pk=held.job_id, owner=held.owner, attempt=held.attempt, state=CheckState.RUNNING).first()


def _close(job: ReportJob) -> None:
    job.state, job.lease_until, job.finished_at = CheckState.FINISHED, None, timezone.now()
    job.save()


def sweep() -> list[UUID]:
    """Give up on what killed its worker three times, and return the jobs to ring for (each at most once a minute)."""
    now = timezone.now()
    ReportJob.objects.filter(
        state=CheckState.RUNNING, lease_until__lt=now, attempt__gte=settings.JOB_MAX_ATTEMPTS
    ).update(
        state=CheckState.FINISHED, lease_until=None, finished_at=now,
        problem="Its worker died each time while making it. Look into the worker's log, then ask again.",
    )  # fmt: skip
    silent = Q(rung_at=None) | Q(rung_at__lt=now - RING_AGAIN)
    due = list(_claimable(now).filter(silent).order_by("asked_at").values_list("pk", flat=True)[:100])
    ReportJob.objects.filter(pk__in=due).update(rung_at=now)
    return due


def forget() -> int:
    """Remove the files of reports older than REPORT_KEEP_DAYS. What they were stays in the log, by digest."""
    old = timezone.now() - timedelta(days=settings.REPORT_KEEP_DAYS)
    removed, _ = ReportFile.objects.filter(job__finished_at__lt=old).delete()
    return removed


def job_of(by: Actor, job_id: UUID) -> ReportJob:
    """A report that this person asked for. Raises ``NotFound`` for everybody else's."""
    found = ReportJob.objects.filter(pk=job_id, asked_by=guards.person(by)).first()
    if found is None:
        raise NotFound("There is no such report, or somebody else asked for it.", code="report.unknown")
    return found


def file_of(job: ReportJob, name: str) -> ReportFile:
    """A file of the report. Raises ``NotFound``, saying so when it was removed after its time."""
    found = ReportFile.objects.filter(job=job, name=name).first()
    if found is None:
        gone = job.made and not job.files.exists()
        why = "was removed after its time; ask for the report again" if gone else "does not exist"
        raise NotFound(f"The file {name[:80]} {why}.", code="report.no_file")
    return found
