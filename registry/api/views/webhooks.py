"""Webhooks, for administrators: to everybody else there are none."""

from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from config.errors import NotAllowed, NotFound
from registry import events, guards
from registry.api.endpoint import Endpoint, PageQuery, created
from registry.api.schema import IDEMPOTENCY_KEY, IF_MATCH, documented, page_of
from registry.api.serializers.webhooks import (
    DeliveryOut,
    DeliveryQuery,
    DeliveryWholeOut,
    EventsOut,
    SampleIn,
    WebhookChange,
    WebhookIn,
    WebhookOut,
)
from registry.followers import ring_for_webhook
from registry.models import Webhook, WebhookDelivery
from registry.selectors.webhooks import deliveries_of, webhook_by_id, webhooks
from registry.services import webhooks as services
from registry.services.idempotency import Answer

TAG = "webhooks"
EXAMPLE = OpenApiExample(
    "Tell the deployment of permits",
    value={
        "name": "deployer",
        "url": "https://deploy.example.org/hooks/countersign",
        "events": ["permit.issued", "permit.revoked", "model_version_alias.created"],
        "secret": "a long random text",
    },
    request_only=True,
)


def etag(webhook: Webhook) -> str:
    """The webhook's ETag: its revision."""
    return f'"{webhook.revision}"'


class AdministratorEndpoint(Endpoint):
    """Views of webhooks."""

    def administering(self) -> None:
        """Raise ``NotAllowed`` for everybody but administrators."""
        guards.check_can_administer(self.actor)

    def webhook(self, webhook: UUID) -> Webhook:
        """The webhook. Raises ``NotFound``, also for everybody but administrators."""
        try:
            self.administering()
        except NotAllowed as refusal:
            raise NotFound("There is no such webhook.", code="webhook.unknown") from refusal
        found = webhook_by_id(webhook)
        if found is None:
            raise NotFound("There is no such webhook.", code="webhook.unknown")
        return found

    def delivery(self, webhook: UUID, delivery: UUID) -> WebhookDelivery:
        """One of its deliveries. Raises ``NotFound``."""
        rows = deliveries_of(self.webhook(webhook)).select_related("webhook")
        found = rows.filter(pk=delivery).first()
        if found is None:
            raise NotFound("This delivery is not kept, or never was.", code="webhook.no_delivery")
        return found


class Webhooks(AdministratorEndpoint):
    """All webhooks, and a new one."""

    query = PageQuery

    @documented("webhooks_list", "List the webhooks", tag=TAG, query=PageQuery, answer=page_of(WebhookOut))
    def get(self, _request: Request) -> Response:
        """Newest first."""
        self.administering()
        return self.listed(webhooks(), keys=["-created_at", "-pk"], asked=self.ask(), present=WebhookOut)

    @documented(
        "webhooks_create",
        "Make a webhook",
        tag=TAG,
        request=WebhookIn,
        answer=WebhookOut,
        status=201,
        writes=True,
        parameters=[IDEMPOTENCY_KEY],
        examples=[EXAMPLE],
    )
    def post(self, _request: Request) -> Response:
        """Create."""
        self.administering()
        given = self.read(WebhookIn)

        def create() -> Answer:
            found = services.create_webhook(by=self.actor, **_named(given))
            return created(
                WebhookOut(found).data,
                location=reverse("api:webhook", kwargs={"webhook": found.pk}),
                ETag=etag(found),
            )

        return self.once(create)


class OneWebhook(AdministratorEndpoint):
    """One webhook."""

    @documented("webhooks_read", "Read a webhook", tag=TAG, answer=WebhookOut)
    def get(self, _request: Request, webhook: UUID) -> Response:
        """Read."""
        self.ask()
        found = self.webhook(webhook)
        return Response(WebhookOut(found).data, headers={"ETag": etag(found)})

    @documented(
        "webhooks_change",
        "Change, enable or disable a webhook",
        tag=TAG,
        request=WebhookChange,
        answer=WebhookOut,
        writes=True,
        parameters=[IF_MATCH],
        errors=[412],
    )
    def patch(self, _request: Request, webhook: UUID) -> Response:
        """Change."""
        found = self.webhook(webhook)
        given = self.read(WebhookChange)
        changed = services.update_webhook(
            webhook=found, by=self.actor, revision=self.expected_revision(), **_named(given)
        )
        return Response(WebhookOut(changed).data, headers={"ETag": etag(changed)})

    @documented("webhooks_delete", "Delete a webhook", tag=TAG, answer=None, status=204, writes=True)
    def delete(self, _request: Request, webhook: UUID) -> Response:
        """Delete."""
        services.delete_webhook(webhook=self.webhook(webhook), by=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Events(AdministratorEndpoint):
    """What a webhook may be told of."""

    @documented("webhook_events_list", "List the events", tag=TAG, answer=EventsOut)
    def get(self, _request: Request) -> Response:
        """All, in the order of their tables."""
        self.administering()
        self.ask()
        return Response(EventsOut({"results": list(events.known().values())}).data)


class Sample(AdministratorEndpoint):
    """A sample of an event."""

    @documented(
        "webhooks_test",
        "Send a sample",
        tag=TAG,
        request=SampleIn,
        answer=DeliveryOut,
        status=202,
        writes=True,
        description="Queues a sample of an event, of the webhook's first one if none is named, and answers at once: "
        "read the delivery for how it ended. A sample is tried once.",
    )
    def post(self, _request: Request, webhook: UUID) -> Response:
        """Queue it."""
        found = self.webhook(webhook)
        delivery = services.send_sample(webhook=found, event_name=self.read(SampleIn)["event"], by=self.actor)
        return queued(delivery)


class Deliveries(AdministratorEndpoint):
    """What was sent, and is to be."""

    query = DeliveryQuery

    @documented(
        "webhook_deliveries_list",
        "List the deliveries of a webhook",
        tag=TAG,
        query=DeliveryQuery,
        answer=page_of(DeliveryOut),
    )
    def get(self, _request: Request, webhook: UUID) -> Response:
        """Newest first."""
        found = self.webhook(webhook)
        asked = self.ask()
        rows = deliveries_of(found, state=asked["state"])
        return self.listed(rows, keys=["-created_at", "-pk"], asked=asked, present=DeliveryOut)


class OneDelivery(AdministratorEndpoint):
    """One delivery."""

    @documented("webhook_deliveries_read", "Read a delivery", tag=TAG, answer=DeliveryWholeOut)
    def get(self, _request: Request, webhook: UUID, delivery: UUID) -> Response:
        """Read, with what is sent."""
        self.ask()
        return Response(DeliveryWholeOut(self.delivery(webhook, delivery)).data)


class Redelivery(AdministratorEndpoint):
    """Once more."""

    @documented(
        "webhook_deliveries_redeliver",
        "Send a delivery again",
        tag=TAG,
        answer=DeliveryOut,
        status=202,
        writes=True,
        description="The same body under the same id, by which the receiver knows a repetition.",
    )
    def post(self, _request: Request, webhook: UUID, delivery: UUID) -> Response:
        """Queue it."""
        return queued(services.redeliver(delivery=self.delivery(webhook, delivery), by=self.actor))


def queued(delivery: WebhookDelivery) -> Response:
    """Ring for a worker, and answer 202."""
    transaction.on_commit(partial(ring_for_webhook, delivery.webhook_id), robust=True)
    place = {"webhook": delivery.webhook_id, "delivery": delivery.pk}
    return Response(
        DeliveryOut(delivery).data,
        status=status.HTTP_202_ACCEPTED,
        headers={"Location": reverse("api:webhook-delivery", kwargs=place)},
    )


def _named(given: dict[str, Any]) -> dict[str, Any]:
    """The service's words for what was given."""
    return {"event_names" if name == "events" else name: value for name, value in given.items()}
