"""Reactions of governance to the ledger. They ring for workers; what is to be done stands in the rows."""

import logging
from functools import partial
from typing import ClassVar
from uuid import UUID

from django.db import transaction

from audit.followers import Follower
from audit.models import Entry
from config.celery import app
from governance.models import CheckRun
from governance.permits import keyfiles, signed
from governance.services import parts
from governance.services.checks import due_of
from governance.services.permits import issuing, lists

logger = logging.getLogger(__name__)

RUN_CHECK = "governance.tasks.run_check"
RUN_PART = "governance.tasks.run_part"
RUN_EXPORT = "governance.tasks.run_export"
MAKE_REPORT = "governance.tasks.make_report"
DOORBELL_SECONDS = 120


class Plan(Follower):
    """Tells workers of checks that may start: when a round begins, and when what others wait for is there."""

    name: ClassVar[str] = "governance.plan"
    actions: ClassVar[frozenset[str]] = frozenset({"promotion.checks_started", "check.finished", "check.requeued"})

    def handle(self, entry: Entry) -> None:
        """Ring after the commit. A bell that nobody hears is rung again by ``governance.tasks.sweep``."""
        request_id: UUID | None = UUID(entry.subject_id)
        if entry.action != "promotion.checks_started":
            request_id = CheckRun.objects.filter(pk=entry.subject_id).values_list("request_id", flat=True).first()
        if request_id is None:
            return
        for part_id in parts.due_of(request_id):
            transaction.on_commit(partial(ring_for_part, part_id), robust=True)
        for run_id in due_of(request_id):
            transaction.on_commit(partial(ring, run_id), robust=True)


class Permits(Follower):
    """The issuer of permits and of their status lists: the first of two signers, in the sequencer's process.

    What it learns from the log it writes down; what it signs it finds in the rows, so that it can be tried again without
    the log, and one refusal holds up nobody.
    """

    name: ClassVar[str] = "governance.permits"
    actions: ClassVar[frozenset[str]] = frozenset(
        {"promotion.approved", "promotion.approved_with_conditions"}
        | {f"permit.{change}" for change in ("issued", "suspended", "resumed", "revoked", "superseded", "expired")}
        | {"trust.root_adopted"}
    )

    told = ""

    def handle(self, entry: Entry) -> None:
        """An approval gets the id of its permit; a changed permit asks for a new list."""
        if entry.action.startswith("promotion."):
            issuing.begin(UUID(entry.object_id))
        else:
            lists.want()

    def tick(self) -> None:
        """Sign what is due."""
        issuing.prepare_waiting()
        try:
            lists.prepare_due()
        except (keyfiles.NoKey, signed.Refused) as refused:
            if str(refused) != self.told:
                logger.warning("No status list: %s", refused)
                self.told = str(refused)


def ring(run_id: UUID) -> None:
    """Send one doorbell message; it expires, because the sweeper sends another."""
    app.send_task(RUN_CHECK, args=[str(run_id)], queue="checks", expires=DOORBELL_SECONDS, ignore_result=True)


def ring_for_part(part_id: UUID) -> None:
    """Tell a worker of a part of a check; the sweeper tells another if nobody hears it."""
    app.send_task(RUN_PART, args=[str(part_id)], queue="checks", expires=DOORBELL_SECONDS, ignore_result=True)


def ring_for_report(job_id: UUID) -> None:
    """Tell a worker of a report that somebody asked for; the sweeper tells another if nobody hears it."""
    app.send_task(MAKE_REPORT, args=[str(job_id)], queue="exports", expires=DOORBELL_SECONDS, ignore_result=True)


def ring_export(export_id: UUID) -> None:
    """Tell a worker of a bundle to write. Nobody hears it: ``governance.tasks.sweep_exports`` rings again."""
    app.send_task(RUN_EXPORT, args=[str(export_id)], queue="exports", expires=DOORBELL_SECONDS, ignore_result=True)
