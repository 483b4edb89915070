"""Work of the registry that takes time. Every task may run twice, or be killed half-way, and does no harm."""

from datetime import timedelta
from importlib import import_module
from typing import Final
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.db.models import CharField, Exists, OuterRef, Value
from django.db.models.functions import Cast, Concat
from django.utils import timezone

from audit.actors import Actor
from registry.followers import ring_for_webhook, send
from registry.models import DatasetVersion, ModelVersion, Node
from registry.services import artifacts, idempotency, ingest, model_signatures, provenance, sealing, webhook_delivery

PER_ROUND: Final = 100
GRACE: Final = timedelta(seconds=10)
"""The follower has this long to start a task before the sweeper does."""
KEPT: Final = timedelta(days=7)
LOOK_BACK: Final = timedelta(days=7)


@shared_task(name="registry.tasks.ingest_version", soft_time_limit=3300, time_limit=3600)  # type: ignore[untyped-decorator]
def ingest_version(version_id: str) -> None:
    """Read, digest and seal the bytes of one version, if nobody else is doing so."""
    ingest.ingest(UUID(version_id))


@shared_task(name="registry.tasks.record_lineage", soft_time_limit=100, time_limit=120)  # type: ignore[untyped-decorator]
def record_lineage(version_id: str) -> None:
    """Read the lineage of one sealed version from its run and its environment files.

    For a run that still goes on, the sweeper asks again.
    """
    provenance.record_from_run(UUID(version_id), patient=True)


@shared_task(name="registry.tasks.check_signatures", soft_time_limit=1700, time_limit=1800)  # type: ignore[untyped-decorator]
def check_signatures(version_id: str) -> None:
    """Verify the model signatures among the files of one sealed version."""
    model_signatures.check(version=ModelVersion.objects.get(pk=UUID(version_id)), by=Actor.service("ingest"))


@shared_task(name="registry.tasks.locate_versions", soft_time_limit=100, time_limit=120)  # type: ignore[untyped-decorator]
def locate_versions(_: str) -> None:
    """Put on record where sealed versions were read, which keeps those artifacts from being written over."""
    ingest.locate(most=PER_ROUND)


@shared_task(name="registry.tasks.seal_dataset", soft_time_limit=1700, time_limit=1800)  # type: ignore[untyped-decorator]
def seal_dataset(dataset_version_id: str) -> None:
    """Read a data set that was uploaded or referred to, check its columns and fix its bytes."""
    sealing.seal_dataset(
        dataset_version=DatasetVersion.objects.get(pk=UUID(dataset_version_id)), by=Actor.service("ingest")
    )


@shared_task(name="registry.tasks.deliver_webhook", soft_time_limit=100, time_limit=120)  # type: ignore[untyped-decorator]
def deliver_webhook(webhook_id: str) -> None:
    """Send what waits for one webhook, oldest first."""
    webhook_delivery.deliver(UUID(webhook_id))


@shared_task(name="registry.tasks.sweep_webhooks", soft_time_limit=50, time_limit=60)  # type: ignore[untyped-decorator]
def sweep_webhooks() -> None:
    """Ring again for every webhook for which something is due."""
    for webhook_id in webhook_delivery.sweep():
        ring_for_webhook(webhook_id)


@shared_task(name="registry.tasks.sweep", soft_time_limit=50, time_limit=60)  # type: ignore[untyped-decorator]
def sweep() -> None:
    """Start again what the broker or a dying worker lost. Fail what was tried often enough."""
    before = timezone.now() - GRACE
    for version in (
        ingest.waiting().filter(created_at__lt=before).select_related("model").order_by("created_at")[:PER_ROUND]
    ):
        if version.ingest_attempts >= settings.JOB_MAX_ATTEMPTS:
            ingest.give_up(version)
        else:
            send("ingest_version", str(version.pk))
    for dataset_id in (
        sealing.waiting().filter(created_at__lt=before).order_by("created_at").values_list("pk", flat=True)[:PER_ROUND]
    ):
        send("seal_dataset", str(dataset_id))
    for version_id in _without_lineage()[:PER_ROUND]:
        send("record_lineage", str(version_id))
    for version_id in model_signatures.unchecked(since=timezone.now() - LOOK_BACK, before=before)[:PER_ROUND]:
        send("check_signatures", str(version_id))
    if ingest.unlocated().exists():
        send("locate_versions", "")


@shared_task(name="registry.tasks.tidy", soft_time_limit=280, time_limit=300)  # type: ignore[untyped-decorator]
def tidy() -> None:
    """Once a day: forget answers kept for repetitions, ended sessions, and bytes of uploads nobody went on with."""
    now = timezone.now()
    idempotency.forget(before=now - KEPT)
    artifacts.abandon(before=now - KEPT)
    webhook_delivery.forget(before=now - timedelta(days=settings.WEBHOOK_LOG_DAYS))
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()


def _without_lineage() -> list[UUID]:
    """Versions sealed lately whose lineage nobody has read."""
    now = timezone.now()
    recorded = Node.objects.filter(
        kind=Node.Kind.VERSION,
        namespace=Concat(Value("version:"), Cast(OuterRef("pk"), CharField()), output_field=CharField()),
    )
    sealed = ModelVersion.objects.alive().filter(sealed_at__gt=now - LOOK_BACK, sealed_at__lt=now - GRACE)
    return list(sealed.exclude(Exists(recorded)).values_list("pk", flat=True)[:PER_ROUND])
