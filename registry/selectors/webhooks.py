"""Webhooks and their deliveries, for those who administer."""

from datetime import datetime
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from registry import events
from registry.models import Webhook, WebhookDelivery


def webhooks() -> QuerySet[Webhook]:
    """Every webhook that is not deleted."""
    return Webhook.objects.filter(deleted_at=None)


def webhook_by_id(webhook_id: UUID | str) -> Webhook | None:
    """The webhook, if there is one; None also for what is no id."""
    try:
        found = webhook_id if isinstance(webhook_id, UUID) else UUID(webhook_id)
    except ValueError:
        return None
    return webhooks().filter(pk=found).first()


def webhooks_for_mlflow() -> QuerySet[Webhook]:
    """Those that MLflow's client can take: it fails on an event it does not know, and on a webhook without any."""
    return webhooks().filter(events__overlap=[event.name for event in events.known().values() if event.mlflow])


def with_last_delivery(rows: QuerySet[Webhook]) -> QuerySet[Webhook]:
    """The same, each with ``last_state``, ``last_reason``, ``last_at`` and ``last_event`` of its latest delivery."""
    latest = WebhookDelivery.objects.filter(webhook=OuterRef("pk")).order_by("-created_at", "-id")
    return rows.annotate(
        last_state=Subquery(latest.values("state")[:1]),
        last_reason=Subquery(latest.values("reason")[:1]),
        last_at=Subquery(latest.values("created_at")[:1]),
        last_event=Subquery(latest.values("event")[:1]),
    )


def deliveries_of(webhook: Webhook, *, state: str = "") -> QuerySet[WebhookDelivery]:
    """What was sent to a webhook, or is to be."""
    rows = WebhookDelivery.objects.filter(webhook=webhook)
    return rows.filter(state=state) if state else rows


def paused_until(webhook: Webhook, now: datetime) -> datetime | None:
    """Until when nothing is tried because nobody was there, if that is still ahead."""
    return webhook.paused_until if webhook.paused_until and webhook.paused_until > now else None
