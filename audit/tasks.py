"""Work of the log that takes time. Every task may run twice, or be killed half-way, and does no harm."""

import logging
from typing import Final

from celery import shared_task
from django.conf import settings

from audit import reconcile, verifying
from audit.actors import Actor
from audit.models import Verification
from audit.tiles.publish import NotPublished
from audit.tiles.publish import publish as publish_to
from config.celery import app

logger = logging.getLogger(__name__)
LONGEST: Final = 6 * 3600
CLOCK: Final = Actor.service("scheduler")


@shared_task(name="audit.tasks.verify", soft_time_limit=LONGEST - 60, time_limit=LONGEST)  # type: ignore[untyped-decorator]
def verify(verification_id: int) -> None:
    """Do one look at the log that was asked for."""
    verifying.verify(verification_id)


@shared_task(name="audit.tasks.ask_for_verification", soft_time_limit=50, time_limit=60)  # type: ignore[untyped-decorator]
def ask_for_verification() -> None:
    """Ask for a look at the log if one is due."""
    verifying.ask_if_due(by=CLOCK)


@shared_task(name="audit.tasks.sweep", soft_time_limit=50, time_limit=60)  # type: ignore[untyped-decorator]
def sweep() -> None:
    """Have what waits begun, and end what a worker that died left under way."""
    verifying.reap()
    waiting = Verification.objects.filter(state=Verification.State.WAITING).values_list("pk", flat=True).first()
    if waiting is not None:
        app.send_task("audit.tasks.verify", args=[waiting], expires=60)


@shared_task(name="audit.tasks.publish", soft_time_limit=3540, time_limit=3600)  # type: ignore[untyped-decorator]
def publish() -> None:
    """Write what is new of the log as static files, if a directory is configured."""
    if settings.LOG_PUBLISH_DIR is None:
        return
    try:
        publish_to(settings.LOG_PUBLISH_DIR)
    except (NotPublished, OSError) as problem:
        logger.error("The log is not published: %s", problem)  # noqa: TRY400 - the message says it all


@shared_task(name="audit.tasks.reconcile_tables", soft_time_limit=3000, time_limit=3300)  # type: ignore[untyped-decorator]
def reconcile_tables() -> None:
    """Compare every governed table with the log, and put what was found into the log."""
    report = reconcile.reconcile()
    reconcile.record(report)
    for one in report.differences:
        logger.error("Table and log differ: %s", one)
