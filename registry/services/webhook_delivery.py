"""The life of a delivery: planned from an entry of the ledger, taken by one worker at a time, sent, tried again, given up.

The row is the job (DESIGN section 10): a worker takes it by a lease, counts the attempt before it sends, and writes the
end only if the lease is still its own. A broker that loses a message or brings it twice, and a worker that dies, change
nothing: each delivery arrives at least once, under one id, or ends as failed with the reason.
"""

import hmac
import json
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from audit.models import Entry
from audit.personal import named
from config.errors import Invalid
from registry.events import read
from registry.models import Webhook, WebhookDelivery
from registry.sealed_secrets import Unreadable, unseal
from registry.services.webhooks import place_of
from registry.webhook_address import parse
from registry.webhook_http import Answer, Resolve, Undeliverable, look_up, post

PAUSES: Final = tuple(timedelta(seconds=pause) for pause in (10, 30, 60, 300, 900, 1800, 3600, 7200, 14400))
"""Between one attempt and the next: ten attempts over nearly eight hours."""
MOST_ATTEMPTS: Final = len(PAUSES) + 1
LONGEST_WAIT: Final = 3600
"""The longest a receiver may ask us to wait, by ``Retry-After``."""
KEEPS_ORDER_FOR: Final = 4
"""Attempts for which what is later about the same object waits behind; then it overtakes."""
LONGEST_PAUSE: Final = timedelta(minutes=5)
"""The longest that a webhook rests because nobody was there."""
PATIENCE: Final = timedelta(days=3)
"""A receiver that is gone for longer is not told any more of what waits."""
LEASE: Final = timedelta(seconds=60)
ROUND_SECONDS: Final = 40.0
PER_ROUND: Final = 200
FORGET_AT_ONCE: Final = 10_000
_State = WebhookDelivery.State


def plan(entry: Entry) -> list[UUID]:
    """Write one delivery for each webhook that wants the entry; return those webhooks. Again for the same entry: nothing.

    Must be called in the transaction that moves the follower's cursor. A webhook wants what comes after the entry that
    made it active, in the order of the ledger, whatever clocks say.
    """
    if entry.action in {"webhook.created", "webhook.changed"}:
        Webhook.objects.filter(pk=entry.subject_id, since_entry=str(entry.entry_id)).update(since_index=entry.index)
        return []
    active = Webhook.objects.filter(status=Webhook.Status.ACTIVE, deleted_at=None, since_index__lt=entry.index)
    if not active.exists():
        return []
    happening = read(entry)
    if happening is None:
        return []
    # Locked, so that a webhook that is being disabled gets its last delivery before the others are cancelled, or none.
    wanting = list(
        active.filter(events__contains=[happening.event]).order_by("pk").select_for_update(of=("self",), no_key=True)
    )
    entity, _, action = happening.event.partition(".")
    document = {
        "entity": entity,
        "action": action,
        "timestamp": entry.at.isoformat(),
        "data": happening.data,
        "actor": {"id": entry.actor_id, "name": named([entry])[0].who, "kind": entry.actor_kind},
        "ledger": {"index": entry.index, "id": entry.entry_id, "leaf_hash": bytes(entry.leaf_hash).hex()},
    }
    body, now = json.dumps(document), timezone.now()
    WebhookDelivery.objects.bulk_create(
        [
            WebhookDelivery(
                webhook=webhook,
                event=happening.event,
                about=happening.about,
                body=body,
                entry_index=entry.index,
                entry_id=str(entry.entry_id),
                queued_at=now,
                next_attempt_at=now,
            )
            for webhook in wanting
        ],
        ignore_conflicts=True,
    )
    return [webhook.pk for webhook in wanting]


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that is this worker's to send, for the length of the lease."""

    delivery: WebhookDelivery
    webhook: Webhook
    owner: str
    attempt: int


@transaction.atomic
def claim(webhook_id: UUID) -> Claim | None:
    """Take the next delivery that is due, and count the attempt; None if there is none, or another worker is sending."""
    webhook = Webhook.objects.select_for_update(no_key=True).filter(pk=webhook_id, deleted_at=None).first()
    if webhook is None:
        return None
    now = timezone.now()
    if WebhookDelivery.objects.filter(webhook=webhook, state=_State.WAITING, lease_until__gt=now).exists():
        return None
    # Samples first, for somebody waits; then what is new, so that what never succeeds does not use up every round.
    order = F("entry_index").asc(nulls_first=True)
    delivery = due(now).filter(webhook=webhook).order_by("attempts", order, "queued_at").first()
    if delivery is None:
        return None
    delivery.attempts += 1
    delivery.lease_owner, delivery.lease_until = uuid4().hex, now + LEASE
    delivery.save(update_fields=["attempts", "lease_owner", "lease_until"])
    return Claim(delivery, webhook, delivery.lease_owner, delivery.attempts)


def due(now: datetime) -> QuerySet[WebhookDelivery]:
    """What may be sent now: its time has come, nobody is sending it, and nothing earlier about the same object waits."""
    earlier = WebhookDelivery.objects.filter(
        webhook=OuterRef("webhook"),
        about=OuterRef("about"),
        state=_State.WAITING,
        entry_index__lt=OuterRef("entry_index"),
        attempts__lt=KEEPS_ORDER_FOR,
    )
    awake = Q(webhook__paused_until=None) | Q(webhook__paused_until__lte=now)
    return (
        WebhookDelivery.objects.filter(
            Q(entry_index=None) | awake & Q(webhook__status=Webhook.Status.ACTIVE),
            Q(lease_until=None) | Q(lease_until__lte=now),
            state=_State.WAITING,
            next_attempt_at__lte=now,
            attempts__lt=MOST_ATTEMPTS,
        )
        .exclude(Q(entry_index__isnull=False) & Exists(earlier))
        .select_related("webhook")
    )


def send(held: Claim, *, resolve: Resolve = look_up) -> bool:
    """Make one attempt and write down how it ended. False if the receiver isn't there at all: leave it alone for now.

    No transaction may be open: the network is slow.
    """
    began = time.monotonic()
    answer, reason, down = None, "", False
    try:
        answer = _post(held, resolve)
        reason = _displeasure(answer)
    except Undeliverable as problem:
        reason, down = str(problem), problem.down
    except (Unreadable, Invalid) as problem:
        reason, down = f"Not sent: {problem}", True
    _finish(held, answer, reason, int((time.monotonic() - began) * 1000))
    _rest(held.webhook, down=down)
    return not down


def _rest(webhook: Webhook, *, down: bool) -> None:
    """Leave a webhook alone for longer and longer while nobody is there; one answer ends that."""
    if down:
        failures = Webhook.objects.filter(pk=webhook.pk).values_list("failures", flat=True).first() or 0
        pause = min(PAUSES[min(failures, len(PAUSES) - 1)], LONGEST_PAUSE)
        Webhook.objects.filter(pk=webhook.pk).update(failures=failures + 1, paused_until=timezone.now() + pause)
    elif webhook.failures:
        Webhook.objects.filter(pk=webhook.pk).update(failures=0, paused_until=None)


def _post(held: Claim, resolve: Resolve) -> Answer:
    """Raises ``Undeliverable``, ``Unreadable``, ``Invalid``."""
    webhook, delivery = held.webhook, held.delivery
    target = parse(webhook.url)
    if webhook.userinfo_sealed is not None:
        userinfo = unseal(webhook.userinfo_sealed, place=place_of(webhook.pk, "userinfo"))
        target = replace(target, userinfo=userinfo)
    now = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "X-MLflow-Delivery-Id": str(delivery.pk),
        "X-MLflow-Timestamp": now,
    }
    if webhook.secret_sealed is not None:
        secret = unseal(webhook.secret_sealed, place=place_of(webhook.pk, "secret"))
        headers["X-MLflow-Signature"] = signature(secret, str(delivery.pk), now, delivery.body)
    return post(target, body=delivery.body.encode(), headers=headers, seconds=settings.WEBHOOK_TIMEOUT, resolve=resolve)


def signature(secret: str, delivery_id: str, timestamp: str, body: str) -> str:
    """MLflow's signature: HMAC-SHA256 over id, time and body (mlflow/webhooks/delivery.py, 3.17)."""
    signed = hmac.new(secret.encode(), f"{delivery_id}.{timestamp}.{body}".encode(), sha256).digest()
    return f"v1,{b64encode(signed).decode()}"


def _displeasure(answer: Answer) -> str:
    """Why an answer is no success, or an empty text."""
    if 200 <= answer.status < 300:
        return ""
    if 300 <= answer.status < 400:
        return f"It answered {answer.status}: redirects are not followed. Give the address it leads to."
    return f"It answered {answer.status}."


def _finish(held: Claim, answer: Answer | None, reason: str, milliseconds: int) -> bool:
    """Write the end of an attempt, if the lease is still ours."""
    now = timezone.now()
    state, pause = _State.DELIVERED, timedelta()
    finished: datetime | None = now
    if reason:
        state = _State.FAILED
        if held.attempt < MOST_ATTEMPTS and not held.delivery.is_sample:
            state, finished, pause = _State.WAITING, None, PAUSES[held.attempt - 1]
            if answer is not None and answer.retry_after is not None:
                pause = max(pause, timedelta(seconds=min(answer.retry_after, LONGEST_WAIT)))
    mine = WebhookDelivery.objects.filter(
        pk=held.delivery.pk, state=_State.WAITING, lease_owner=held.owner, attempts=held.attempt
    )
    changed = mine.update(
        state=state,
        finished_at=finished,
        next_attempt_at=now + pause,
        lease_until=None,
        lease_owner="",
        response_status=answer.status if answer else None,
        response_body=answer.body[:1000] if answer else "",
        reason=reason[:500],
        milliseconds=milliseconds,
    )
    return changed == 1


def deliver(webhook_id: UUID, *, resolve: Resolve = look_up) -> int:
    """Send what is due for a webhook, one after the other, until nothing is, the round is over, or nobody is there."""
    ends, sent = time.monotonic() + ROUND_SECONDS, 0
    while time.monotonic() < ends and (held := claim(webhook_id)) is not None:
        sent += 1
        if not send(held, resolve=resolve):
            break
    return sent


def sweep() -> Iterator[UUID]:
    """Give up what died in its last attempt, or was only a sample; name the webhooks for which something is due."""
    now = timezone.now()
    dead = WebhookDelivery.objects.filter(state=_State.WAITING, lease_until__lte=now)
    dead.filter(Q(attempts__gte=MOST_ATTEMPTS) | Q(entry_index=None)).update(
        state=_State.FAILED,
        finished_at=now,
        lease_until=None,
        lease_owner="",
        reason="The worker that sent it died; whether it arrived is not known.",
    )
    WebhookDelivery.objects.filter(
        Q(lease_until=None) | Q(lease_until__lte=now), state=_State.WAITING, queued_at__lt=now - PATIENCE
    ).update(
        state=_State.FAILED,
        finished_at=now,
        lease_until=None,
        lease_owner="",
        reason=f"Nobody was there to take it for {PATIENCE.days} days.",
    )
    yield from due(now).order_by("webhook").values_list("webhook", flat=True).distinct()[:PER_ROUND]


def forget(*, before: datetime) -> int:
    """Drop what ended before that, in pieces that hold no long transaction. Return how many."""
    dropped = 0
    old = WebhookDelivery.objects.exclude(state=_State.WAITING).filter(finished_at__lt=before)
    while piece := list(old.values_list("pk", flat=True)[:FORGET_AT_ONCE]):
        dropped += WebhookDelivery.objects.filter(pk__in=piece).delete()[0]
    return dropped
