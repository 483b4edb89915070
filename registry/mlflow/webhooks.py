"""``webhooks*``: MLflow's registry webhooks (webhooks.proto, mlflow/server/handlers.py, 3.17), for administrators.

MLflow's client raises on an event that is not in its enum, and on a webhook without events. So this door shows only
MLflow's events: a webhook that has ours beside them appears without those, keeps them when it is changed here, and one
that has ours alone does not appear in the list. REST and the page show all.
"""

from collections.abc import Callable
from functools import partial
from threading import BoundedSemaphore
from typing import Any, Final

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from audit.actors import Actor
from config.errors import Invalid
from config.pagination import page_of
from config.waiting import until
from registry import events
from registry.followers import ring_for_webhook
from registry.guards import check_can_administer
from registry.mlflow.auth import check_may_write, endpoint
from registry.mlflow.codec import Arguments, Field, Kind, arguments, milliseconds, required, respond
from registry.mlflow.errors import ProtocolError, invalid, missing
from registry.models import Webhook, WebhookDelivery
from registry.selectors.webhooks import webhook_by_id, webhooks_for_mlflow
from registry.services import webhooks as services

_FIELDS: Final = (Field("description"), Field("secret"), Field("status"))
_ENTITIES: Final = (
    "entity_unspecified", "registered_model", "model_version", "model_version_tag", "model_version_alias", "prompt",
    "prompt_version", "prompt_tag", "prompt_version_tag", "prompt_alias", "budget_policy",
)  # fmt: skip
_ACTIONS: Final = ("action_unspecified", "created", "updated", "deleted", "set", "exceeded")
"""In the order of their numbers in webhooks.proto."""
_PATIENCE: Final = 12.0
WAITING: Final = BoundedSemaphore(2)
"""A web process has few threads: those who would wait besides these are told at once that it is in the queue."""

View = Callable[..., HttpResponseBase]


def _routed(**methods: View) -> View:
    """As ``registry.mlflow.auth.rpc``, for addresses that name a webhook; only administrators get in."""

    @endpoint
    def dispatch(request: HttpRequest, by: Actor, **named: str) -> HttpResponseBase:
        view = methods.get(request.method or "")
        if view is None:
            raise ProtocolError(
                "ENDPOINT_NOT_FOUND", f"{request.method} is not spoken at {request.path}; {', '.join(methods)} is."
            )
        if request.method != "GET":
            check_may_write(request)
        check_can_administer(by)
        return view(request, by, **named)

    return dispatch


def create(request: HttpRequest, by: Actor) -> HttpResponse:
    """Make a webhook."""
    given = arguments(
        request, (required("name"), required("url"), Field("events", Kind.OBJECTS, required=True), *_FIELDS)
    )
    webhook = services.create_webhook(
        name=given["name"],
        url=given["url"],
        event_names=[_event(event) for event in given["events"]],
        description=given.get("description", ""),
        secret=given.get("secret", ""),
        status=_status(given) or Webhook.Status.ACTIVE,
        by=by,
    )
    return respond({"webhook": document(webhook)})


def find(request: HttpRequest, _by: Actor) -> HttpResponse:
    """A page of webhooks, newest first."""
    given = arguments(request, (Field("max_results", Kind.INTEGER), Field("page_token")))
    size = given.get("max_results") or 100
    if not 1 <= size <= 1000:
        raise invalid("max_results must be between 1 and 1000.")
    try:
        page = page_of(webhooks_for_mlflow(), after=given.get("page_token", ""), size=size, keys=("-created_at", "-pk"))
    except Invalid as error:
        raise invalid("Invalid page token.") from error
    answer: dict[str, Any] = {}
    if page.rows:
        answer["webhooks"] = [document(webhook) for webhook in page.rows]
    if page.next:
        answer["next_page_token"] = page.next
    return respond(answer)


def get(_request: HttpRequest, _by: Actor, webhook_id: str) -> HttpResponse:
    """One webhook."""
    return respond({"webhook": document(_named(webhook_id))})


def update(request: HttpRequest, by: Actor, webhook_id: str) -> HttpResponse:
    """Change what is given. An empty name, address or list of events keeps what is; an empty secret takes it away."""
    given = arguments(request, (Field("name"), Field("url"), Field("events", Kind.OBJECTS), *_FIELDS))
    webhook = _named(webhook_id)
    wanted = None
    if not given.get("events"):
        document(webhook)  # what cannot be shown here is not changed here
    else:
        unseen = [name for name in webhook.events if not events.known()[name].mlflow]
        wanted = [*(_event(event) for event in given["events"]), *unseen]
    webhook = services.update_webhook(
        webhook=webhook,
        name=given.get("name") or None,
        url=given.get("url") or None,
        event_names=wanted,
        description=given.get("description"),
        secret=given.get("secret"),
        status=_status(given) or None,
        by=by,
    )
    return respond({"webhook": document(webhook)})


def delete(_request: HttpRequest, by: Actor, webhook_id: str) -> HttpResponse:
    """Delete a webhook."""
    services.delete_webhook(webhook=_named(webhook_id), by=by)
    return respond({})


def try_out(request: HttpRequest, by: Actor, webhook_id: str) -> HttpResponse:
    """Have a worker send a sample, and wait a few seconds for what the receiver says."""
    given = arguments(request, (Field("event", Kind.OBJECT),))
    event = _event(given["event"]) if given.get("event") else ""
    delivery = services.send_sample(webhook=_named(webhook_id), event_name=event, by=by)
    transaction.on_commit(partial(ring_for_webhook, delivery.webhook_id), robust=True)
    return respond({"result": _result(_awaited(delivery))})


def _awaited(delivery: WebhookDelivery) -> WebhookDelivery:
    """The delivery once it has ended, or as it is when patience has, or when enough others wait."""

    def has_ended() -> bool:
        delivery.refresh_from_db()
        return delivery.state != WebhookDelivery.State.WAITING

    if WAITING.acquire(blocking=False):
        try:
            until(has_ended, seconds=_PATIENCE)
        finally:
            WAITING.release()
    return delivery


def _result(delivery: WebhookDelivery) -> dict[str, Any]:
    """A ``WebhookTestResult`` message."""
    if delivery.state == WebhookDelivery.State.WAITING:
        late = "It has not been sent yet and stays in the queue; the webhook's page shows what comes of it."
        return {"success": False, "error_message": late}
    result: dict[str, Any] = {"success": delivery.state == WebhookDelivery.State.DELIVERED}
    if delivery.response_status is not None:
        result |= {"response_status": delivery.response_status, "response_body": delivery.response_body}
    if delivery.reason:
        result["error_message"] = f"Failed to test webhook: {delivery.reason}"
    return result


def document(webhook: Webhook) -> dict[str, Any]:
    """A ``Webhook`` message. Raises ``ProtocolError`` for one without an event that MLflow's client knows."""
    known = [event for name in webhook.events if (event := events.known()[name]).mlflow]
    if not known:
        raise invalid(
            f"Webhook {webhook.pk} has only events that MLflow does not know. See it under /webhooks/ or /api/v1/webhooks."
        )
    found: dict[str, Any] = {
        "webhook_id": str(webhook.pk),
        "name": webhook.name,
        "description": webhook.description,
        "url": webhook.url,
        "events": [{"entity": event.entity.upper(), "action": event.action.upper()} for event in known],
        "status": webhook.status,
        "creation_timestamp": milliseconds(webhook.created_at),
        "last_updated_timestamp": milliseconds(webhook.updated_at),
    }
    return found if webhook.description else {key: value for key, value in found.items() if key != "description"}


def _named(webhook_id: str) -> Webhook:
    webhook = webhook_by_id(webhook_id)
    if webhook is None:
        raise missing(f"Webhook with ID {webhook_id} not found.")
    return webhook


def _event(given: dict[str, Any]) -> str:
    """The name of an event given as two words of MLflow's enums, or as their numbers."""
    entity = _word(given.get("entity"), _ENTITIES, "entity")
    action = _word(given.get("action"), _ACTIONS, "action")
    name = f"{entity}.{action}"
    event = events.known().get(name)
    if event is None or not event.mlflow:
        valid = sorted(one.action for one in events.known().values() if one.mlflow and one.entity == entity)
        raise invalid(f"Invalid action '{action}' for entity '{entity}'. Valid actions are: {valid}")
    return name


def _word(value: object, words: tuple[str, ...], name: str) -> str:
    word = ""
    if isinstance(value, str):
        word = value.lower() if value == value.upper() else ""
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(words):
        word = words[value]
    if word not in words[1:]:
        raise invalid(f"Invalid {name} of a webhook event: {str(value)[:100]!r}.")
    return word


def _status(given: Arguments) -> str:
    status: str = given.get("status", "")
    if status and status not in Webhook.Status.values:
        raise invalid(f"Invalid webhook status: {status[:100]!r}. Valid statuses are: ACTIVE, DISABLED.")
    return status


all_of_them = _routed(GET=find, POST=create)
one = _routed(GET=get, PATCH=update, DELETE=delete)
trial = _routed(POST=try_out)
