"""Webhooks, their events and deliveries."""

from typing import Any

from rest_framework import serializers

from registry.api.endpoint import PageQuery
from registry.api.fields import Input, Text
from registry.models import Webhook, WebhookDelivery

_MOST_EVENTS = 100


def _event_names(**options: Any) -> serializers.ListField:
    return serializers.ListField(child=Text(max_length=100, single_line=True), max_length=_MOST_EVENTS, **options)


class WebhookIn(Input):
    """A new webhook."""

    name = Text(max_length=63, single_line=True)
    url = Text(
        max_length=500, single_line=True, help_text="https. A name and password in it are kept apart, encrypted."
    )
    events = _event_names(help_text="Names of events: see `webhook-events`.")
    description = Text(max_length=1000, required=False, allow_blank=True, default="")
    secret = Text(
        max_length=1000, single_line=True, required=False, allow_blank=True, default="", help_text="Signs what is sent."
    )
    status = serializers.ChoiceField(choices=Webhook.Status.choices, required=False, default=Webhook.Status.ACTIVE)


class WebhookChange(Input):
    """What of a webhook may change. What is not named stays."""

    name = Text(max_length=63, single_line=True, required=False)
    url = Text(max_length=500, single_line=True, required=False)
    events = _event_names(required=False)
    description = Text(max_length=1000, required=False, allow_blank=True)
    secret = Text(
        max_length=1000,
        single_line=True,
        required=False,
        allow_blank=True,
        help_text="Empty: nothing is signed any more.",
    )
    status = serializers.ChoiceField(choices=Webhook.Status.choices, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A change changes something."""
        if not attrs:
            raise serializers.ValidationError(f"Name at least one of: {', '.join(self.fields)}.")
        return attrs


class WebhookOut(serializers.Serializer[Webhook]):
    """A webhook, without its secrets."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    url = serializers.CharField(help_text="Without name and password.")
    events = serializers.ListField(child=serializers.CharField())
    status = serializers.ChoiceField(choices=Webhook.Status.choices)
    signed = serializers.BooleanField(source="has_secret", help_text="Whether it has a secret.")
    paused_until = serializers.DateTimeField(
        allow_null=True, help_text="Nobody was there; nothing is tried before this."
    )
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class EventOut(serializers.Serializer[Any]):
    """An event that a webhook may want."""

    name = serializers.CharField()
    words = serializers.CharField()
    mlflow = serializers.BooleanField(help_text="Whether MLflow's client knows it too.")
    example = serializers.DictField(help_text="`data` of a sample.")


class EventsOut(serializers.Serializer[Any]):
    """Every event there is."""

    results = EventOut(many=True)


class SampleIn(Input):
    """Which event to send a sample of."""

    event = Text(max_length=100, single_line=True, required=False, allow_blank=True, default="")


class DeliveryQuery(PageQuery):
    """Filter of the list of deliveries."""

    state = serializers.ChoiceField(choices=WebhookDelivery.State.choices, required=False, default="")


class DeliveryOut(serializers.Serializer[WebhookDelivery]):
    """One event for one webhook, and how the last attempt to send it ended."""

    id = serializers.UUIDField(help_text="What the receiver got as X-MLflow-Delivery-Id.")
    event = serializers.CharField()
    state = serializers.ChoiceField(choices=WebhookDelivery.State.choices)
    attempts = serializers.IntegerField()
    next_attempt_at = serializers.SerializerMethodField()
    response_status = serializers.IntegerField(allow_null=True)
    response_body = serializers.CharField(allow_blank=True, help_text="Its first 1,000 characters.")
    reason = serializers.CharField(allow_blank=True, help_text="Why the last attempt did not succeed.")
    milliseconds = serializers.IntegerField(allow_null=True)
    entry_index = serializers.IntegerField(allow_null=True, help_text="Place in the ledger; null for a sample.")
    entry_id = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_next_attempt_at(self, delivery: WebhookDelivery) -> str | None:
        """While it waits."""
        waits = delivery.state == WebhookDelivery.State.WAITING
        return delivery.next_attempt_at.isoformat() if waits else None


class DeliveryWholeOut(DeliveryOut):
    """The same, with what is sent."""

    body = serializers.CharField(help_text="JSON, exactly as sent.")
