"""Celery's door to governance: thin. What a job is and how it survives stands in ``services.checks``."""

import logging
import os
import socket
import threading
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4

from celery import shared_task, signals
from django.conf import settings
from django.db import DatabaseError, connections
from django.utils import timezone

from governance.documents.job import make
from governance.followers import ring, ring_export, ring_for_part, ring_for_report
from governance.models import WorkerHeartbeat
from governance.services import checks, exports, parts, permits, promotions, reports

logger = logging.getLogger(__name__)
HEARTBEAT_SECONDS: Final = 5.0
GRACE: Final = 60
REPORT_SECONDS: Final = 600
FORGET_AFTER: Final = timedelta(hours=1)


@shared_task(  # type: ignore[untyped-decorator]
    name="governance.tasks.run_check",
    soft_time_limit=settings.CHECK_TIME_LIMIT + GRACE // 2,
    time_limit=settings.CHECK_TIME_LIMIT + GRACE,
)
def run_check(check_run_id: str) -> None:
    """Run one check, if it still is to be run. Delivered twice, or after the fact, it does nothing."""
    # Here, because it loads numpy and pyarrow, which the scheduler, who imports this module too, never needs.
    from governance.engine.execute import execute  # noqa: PLC0415
    from governance.engine.lease import Lease, LeaseLost  # noqa: PLC0415

    held = checks.claim(UUID(check_run_id), owner=f"{worker_name()}:{uuid4().hex[:8]}")
    if held is None:
        return
    with Lease(partial(checks.renew, held), partial(checks.progress, held), name=check_run_id) as lease:
        try:
            outcome = execute(held.run_id, lease.progress)
        except LeaseLost:
            logger.warning(
                "Check %s: the lease was lost on attempt %d, its result is not taken", held.run_id, held.attempt
            )
            return
        if not checks.finish(held, outcome):
            logger.warning(
                "Check %s: attempt %d is not the current one, its result is not taken", held.run_id, held.attempt
            )


@shared_task(  # type: ignore[untyped-decorator]
    name="governance.tasks.run_part",
    soft_time_limit=settings.CHECK_TIME_LIMIT + GRACE // 2,
    time_limit=settings.CHECK_TIME_LIMIT + GRACE,
)
def run_part(part_id: str) -> None:
    """Compute one part of a check, if it still is to be computed. The last one rings for the check itself."""
    from governance.engine.execute import execute_part  # noqa: PLC0415 - as in run_check
    from governance.engine.lease import Lease, LeaseLost  # noqa: PLC0415

    held = parts.claim(UUID(part_id), owner=f"{worker_name()}:{uuid4().hex[:8]}")
    if held is None:
        return
    with Lease(partial(parts.renew, held), partial(parts.progress, held), name=part_id) as lease:
        try:
            ended = execute_part(held, lease.progress)
        except LeaseLost:
            logger.warning("Part %d of check %s: the lease was lost, it is not taken", held.number, held.run_id)
            return
        taken = parts.finish(held, ended) if isinstance(ended, str) else parts.fail(held, ended)
        if not taken:
            logger.warning("Part %d of check %s: it is not wanted any more", held.number, held.run_id)
    for run_id in checks.due(held.run_id):
        ring(run_id)


@shared_task(  # type: ignore[untyped-decorator]
    name="governance.tasks.make_report", soft_time_limit=REPORT_SECONDS, time_limit=REPORT_SECONDS + GRACE
)
def make_report(job_id: str) -> None:
    """Make one report that somebody asked for. Delivered twice, or after the fact, it does nothing."""
    held = reports.claim(UUID(job_id), owner=f"{worker_name()}:{uuid4().hex[:8]}")
    if held is not None:
        make(held)


@shared_task(name="governance.tasks.sweep")  # type: ignore[untyped-decorator]
def sweep() -> None:
    """Ring for what waits, put back what dead workers left, give up on what kills them; forget workers long gone.

    Requests that waited for the lineage of their version are started.
    """
    promotions.start_waiting(by=checks.ENGINE)
    WorkerHeartbeat.objects.filter(seen_at__lt=timezone.now() - FORGET_AFTER).delete()
    for part_id in parts.sweep():
        ring_for_part(part_id)
    for run_id in checks.sweep():
        ring(run_id)
    for job_id in reports.sweep():
        ring_for_report(job_id)


@shared_task(name="governance.tasks.run_export", soft_time_limit=7000, time_limit=7100)  # type: ignore[untyped-decorator]
def run_export(export_id: str) -> None:
    """Write one evidence bundle, if it still is to be written."""
    exports.write(UUID(export_id), owner=f"{worker_name()}:{uuid4().hex[:8]}")


@shared_task(name="governance.tasks.sweep_exports")  # type: ignore[untyped-decorator]
def sweep_exports() -> None:
    """Ring for the bundles that wait, put back what dead workers left, remove files that are too old."""
    for export_id in exports.sweep():
        ring_export(export_id)


@shared_task(name="governance.tasks.expire")  # type: ignore[untyped-decorator]
def expire() -> None:
    """End the permits whose time is up, and remove the files of old reports."""
    permits.expire_due()
    reports.forget()


def worker_name() -> str:
    """Host and process."""
    return f"{socket.gethostname()}:{os.getpid()}"[:100]


class Heart:
    """Renews this worker's row every five seconds, from a thread, until it is stopped."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="worker-heartbeat", daemon=True)

    def start(self) -> None:
        """Begin; the first beat comes at once."""
        self._thread.start()

    def stop(self) -> None:
        """End, and take the row away."""
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        started = timezone.now()
        try:
            while True:
                try:
                    now = timezone.now()
                    WorkerHeartbeat.objects.update_or_create(
                        name=self.name,
                        defaults={"seen_at": now},
                        create_defaults={"seen_at": now, "started_at": started},
                    )
                except DatabaseError:
                    logger.exception("No heartbeat of %s", self.name)
                    connections.close_all()
                if self._over.wait(HEARTBEAT_SECONDS):
                    break
            WorkerHeartbeat.objects.filter(name=self.name).delete()
        finally:
            connections.close_all()


_hearts: list[Heart] = []


@signals.worker_ready.connect  # type: ignore[untyped-decorator]
def _start_heart(sender: Any, **_: Any) -> None:  # noqa: ANN401 - Celery has no types
    """Only who takes checks counts: the courier's heart would hide that no worker is there."""
    if "checks" not in sender.app.amqp.queues.consume_from:
        return
    heart = Heart(worker_name())
    _hearts.append(heart)
    heart.start()


@signals.worker_shutdown.connect  # type: ignore[untyped-decorator]
def _stop_heart(**_: Any) -> None:
    while _hearts:
        _hearts.pop().stop()
