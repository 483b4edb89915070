"""Writes to webhooks: making, changing, deleting, trying. For administrators; each change is an entry of the ledger.

A secret and the name and password of an address are encrypted before they reach the database, and never leave it but
to be used. The ledger has the origin of an address only: the paths of many receivers are secrets themselves.
"""

import json
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from audit.actors import Actor
from audit.canonical import Json
from audit.services import append
from config.errors import Conflict, Invalid, NotFound, StaleEdit
from registry import events, guards, names
from registry.models import Webhook, WebhookDelivery
from registry.sealed_secrets import seal
from registry.webhook_address import Target, parse

LONGEST_SECRET: Final = 1000
_NAME: Final = re.compile(r"(?=.{1,63}\Z)[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?")
_STATE = WebhookDelivery.State


def place_of(webhook_id: UUID, column: str) -> str:
    """Where a sealed value of a webhook belongs."""
    return f"registry.webhook:{webhook_id}:{column}"


def _lock(webhook: Webhook) -> Webhook:
    found = Webhook.objects.select_for_update(no_key=True).filter(pk=webhook.pk, deleted_at=None).first()
    if found is None:
        raise NotFound(f"There is no webhook {webhook.name!r} any more.", code="webhook.unknown")
    return found


@transaction.atomic
def create_webhook(
    *,
    name: str,
    url: str,
    event_names: Sequence[str],
    by: Actor,
    description: str = "",
    secret: str = "",
    status: str = Webhook.Status.ACTIVE,
) -> Webhook:
    """Make a webhook. Active, it is told of what enters the ledger after this. Raises ``NotAllowed``, ``Invalid``."""
    guards.check_can_administer(by)
    check_name(name)
    target = parse(url)
    chosen = check_events(event_names)
    _check_texts(description, secret)
    _check_status(status)
    now = timezone.now()
    webhook = Webhook(
        name=name,
        description=description,
        url=target.shown,
        events=chosen,
        status=status,
        created_at=now,
        updated_at=now,
    )
    _keep_secret(webhook, secret)
    _keep_userinfo(webhook, target)
    webhook.save()
    facts: dict[str, Json] = {
        "name": name,
        "origin": target.origin,
        "events": list(chosen),
        "status": status,
        "signed": webhook.has_secret,
    }
    entry_id = append(action="webhook.created", subject=webhook, by=by, facts=facts)
    if status == Webhook.Status.ACTIVE:
        webhook.since_entry = entry_id
        webhook.save(update_fields=["since_entry"])
    return webhook


@transaction.atomic
def update_webhook(
    *,
    webhook: Webhook,
    by: Actor,
    name: str | None = None,
    url: str | None = None,
    event_names: Sequence[str] | None = None,
    description: str | None = None,
    secret: str | None = None,
    status: str | None = None,
    revision: int | None = None,
) -> Webhook:
    """Change what is given; ``None`` keeps a field, an empty ``secret`` takes it away.

    The address as it is shown keeps the name and password that it was given with; any other brings its own. A webhook
    switched off is told nothing more, and what waited for it is cancelled; switched on again, it hears what comes then.

    Raises ``NotAllowed``, ``Invalid``, ``NotFound``, ``StaleEdit`` when ``revision`` is not the current one.
    """
    guards.check_can_administer(by)
    webhook = _lock(webhook)
    if revision is not None and revision != webhook.revision:
        raise StaleEdit(
            "Somebody changed this webhook after you read it.", code="webhook.stale", remedy="Read it, then try again."
        )
    diff: dict[str, Json] = {}
    if name is not None and name != webhook.name:
        check_name(name)
        diff["name"] = {"before": webhook.name, "after": name}
        webhook.name = name
    if url is not None and url != webhook.url:
        target = parse(url)
        diff["origin"] = {"before": _origin(webhook.url), "after": target.origin}
        webhook.url = target.shown
        _keep_userinfo(webhook, target)
    if event_names is not None and (chosen := check_events(event_names)) != webhook.events:
        diff["events"] = {"before": list(webhook.events), "after": list(chosen)}
        webhook.events = chosen
    _check_texts(description or "", secret or "")
    if description is not None and description != webhook.description:
        diff["description"] = {"before": webhook.description, "after": description}
        webhook.description = description
    if secret is not None:
        diff["secret"] = "replaced" if secret else "removed"
        _keep_secret(webhook, secret)
    switched = status is not None and status != webhook.status
    if status is not None and switched:
        _check_status(status)
        diff["status"] = {"before": webhook.status, "after": status}
        webhook.status = status
    if not diff:
        return webhook
    webhook.revision += 1
    webhook.updated_at = timezone.now()
    entry_id = append(action="webhook.changed", subject=webhook, by=by, diff=diff)
    if switched:
        webhook.since_index = None
        webhook.since_entry = entry_id if webhook.status == Webhook.Status.ACTIVE else ""
        if webhook.status == Webhook.Status.DISABLED:
            _cancel(webhook, "The webhook was disabled.")
    if switched or url is not None:
        webhook.failures, webhook.paused_until = 0, None
    webhook.save()
    return webhook


@transaction.atomic
def delete_webhook(*, webhook: Webhook, by: Actor) -> None:
    """Delete a webhook and its secrets. What was sent stays on record for its time. Raises ``NotAllowed``, ``NotFound``."""
    guards.check_can_administer(by)
    webhook = _lock(webhook)
    webhook.deleted_at = webhook.updated_at = timezone.now()
    webhook.secret_sealed = webhook.userinfo_sealed = None
    webhook.since_entry, webhook.since_index = "", None
    webhook.save()
    _cancel(webhook, "The webhook was deleted.")
    append(action="webhook.deleted", subject=webhook, by=by)


@transaction.atomic
def send_sample(*, webhook: Webhook, by: Actor, event_name: str = "") -> WebhookDelivery:
    """Queue a sample of an event (the webhook's first, if none is named), whether or not it is active.

    Raises ``NotAllowed``, ``Invalid`` for an unknown event, ``NotFound``.
    """
    guards.check_can_administer(by)
    webhook = _lock(webhook)
    name = check_events([event_name])[0] if event_name else webhook.events[0]
    event = events.known()[name]
    now = timezone.now()
    body = {
        "entity": event.entity,
        "action": event.action,
        "timestamp": now.isoformat(),
        "data": dict(event.example),
        "actor": {"id": by.id, "name": by.name, "kind": by.kind},
        "test": True,
    }
    delivery = WebhookDelivery.objects.create(
        webhook=webhook, event=name, body=json.dumps(body), queued_at=now, next_attempt_at=now
    )
    append(action="webhook.tested", subject=webhook, by=by, facts={"event": name, "delivery": str(delivery.pk)})
    return delivery


@transaction.atomic
def redeliver(*, delivery: WebhookDelivery, by: Actor) -> WebhookDelivery:
    """Send what was sent, or was given up, once more: under the same id, by which a receiver knows a repetition.

    Raises ``NotAllowed``, ``NotFound``, ``Conflict`` while it waits anyway and while its webhook is disabled.
    """
    guards.check_can_administer(by)
    webhook = _lock(delivery.webhook)
    found = WebhookDelivery.objects.select_for_update(no_key=True).filter(pk=delivery.pk).first()
    if found is None:
        raise NotFound("This delivery is not kept any more.", code="webhook.no_delivery")
    if found.state == _STATE.WAITING:
        raise Conflict("It waits to be sent already.", code="webhook.waiting")
    if webhook.status != Webhook.Status.ACTIVE and not found.is_sample:
        raise Conflict("This webhook is disabled.", code="webhook.disabled", remedy="Enable it first.")
    before = found.state
    now = timezone.now()
    found.state, found.finished_at, found.attempts = _STATE.WAITING, None, 0
    found.queued_at = found.next_attempt_at = now
    found.reason, found.response_status, found.response_body, found.milliseconds = "", None, "", None
    found.save()
    Webhook.objects.filter(pk=webhook.pk).update(paused_until=None)
    facts: dict[str, Json] = {"event": found.event, "delivery": str(found.pk), "before": before}
    append(action="webhook.redelivered", subject=webhook, by=by, facts=facts)
    return found


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def check_name(name: str) -> None:
    """Raise ``Invalid`` unless it is a name (mlflow/utils/validation.py)."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"Webhook name {name[:80]!r} is invalid. It must start and end with a letter or digit, be less than 63 "
            "characters long, and contain only letters, digits, dots (.), underscores (_), and hyphens (-).",
            code="webhook.name",
            field="name",
        )


def check_events(event_names: Sequence[str]) -> list[str]:
    """The events, each once, in the order of their table. Raises ``Invalid`` for none and for unknown ones."""
    known = events.known()
    if unknown := [name for name in event_names if name not in known]:
        raise Invalid(f"There is no event {unknown[0][:100]!r}.", code="webhook.event", field="events")
    if not event_names:
        raise Invalid("Webhook events cannot be empty.", code="webhook.events", field="events")
    return [name for name in known if name in set(event_names)]


def _check_status(status: str) -> None:
    if status not in Webhook.Status.values:
        raise Invalid("The status is ACTIVE or DISABLED.", code="webhook.status", field="status")


def _check_texts(description: str, secret: str) -> None:
    names.check_text(description, field="description", longest=1000)
    if len(secret) > LONGEST_SECRET or not secret.isprintable():
        raise Invalid(
            f"A secret has at most {LONGEST_SECRET} characters, all of them printable.",
            code="webhook.secret",
            field="secret",
        )


def _keep_secret(webhook: Webhook, secret: str) -> None:
    webhook.secret_sealed = seal(secret, place=place_of(webhook.pk, "secret")) if secret else None


def _keep_userinfo(webhook: Webhook, target: Target) -> None:
    webhook.userinfo_sealed = seal(target.userinfo, place=place_of(webhook.pk, "userinfo")) if target.userinfo else None


def _cancel(webhook: Webhook, reason: str) -> None:
    WebhookDelivery.objects.filter(webhook=webhook, state=_STATE.WAITING).update(
        state=_STATE.CANCELLED, finished_at=timezone.now(), lease_until=None, lease_owner="", reason=reason
    )
