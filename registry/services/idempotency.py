"""``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header): a repeated request gets the answer of the first."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from config.errors import Conflict, Invalid, Refusal
from registry.models import IdempotencyKey, User

LONGEST_KEY: Final = 128
_KEY: Final = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: status, body as JSON values, and the headers that belong to it."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    replayed: bool = False


def once(*, user: User, key: str, route: str, payload: bytes, effect: Callable[[], Answer]) -> Answer:
    """Run ``effect`` once per (user, key, route) and give its answer to every repetition.

    The key and the effect commit together or not at all: a crash leaves neither. A ``Refusal`` of the effect leaves
    no key, so the caller may try again, but keeps what the ledger says of it. Two simultaneous calls never both
    run: the later one is refused, not queued.

    Raises ``Invalid`` for a key that is malformed (``idempotency.malformed``) or was used with another payload
    (``idempotency.reused``), ``Conflict`` while the first request with this key is still being worked on
    (``idempotency.in_progress``), and whatever ``effect`` raises.
    """
    if not _KEY.fullmatch(key):
        raise Invalid(
            f"An Idempotency-Key is 1 to {LONGEST_KEY} visible ASCII characters.",
            code="idempotency.malformed",
            field="Idempotency-Key",
        )
    with transaction.atomic():
        _hold(f"{user.pk}\0{route}\0{key}")
        row, made = IdempotencyKey.objects.get_or_create(
            user=user, key=key, route=route, defaults={"request_sha256": hashlib.sha256(payload).hexdigest()}
        )
        if not made:
            return _repeated(row, payload)
        try:
            answer = effect()
        except Refusal as refused:
            row.delete()
            refusal = refused
        else:
            row.status = answer.status
            row.body = {"body": answer.body, "headers": dict(answer.headers)}
            row.save(update_fields=["status", "body"])
            return answer
    raise refusal


def _repeated(row: IdempotencyKey, payload: bytes) -> Answer:
    if row.request_sha256 != hashlib.sha256(payload).hexdigest():
        raise Invalid(
            "This Idempotency-Key was used before, with a different request.",
            code="idempotency.reused",
            field="Idempotency-Key",
            remedy="Use a new key for a new request.",
        )
    stored: dict[str, Any] = row.body or {}
    return Answer(status=row.status or 200, body=stored["body"], headers=stored["headers"], replayed=True)


def forget(*, before: datetime) -> int:
    """Delete the keys made before a moment, and say how many. A repetition after that is a new request."""
    return IdempotencyKey.objects.filter(created_at__lt=before).delete()[0]


def _hold(identity: str) -> None:
    """Lock the key's identity until the transaction ends. The unique constraint guarantees; this answers early."""
    number = int.from_bytes(hashlib.sha256(f"idempotency\0{identity}".encode()).digest()[:8], signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        row = cursor.fetchone()
    if row is None or not row[0]:
        raise Conflict(
            "A request with this Idempotency-Key is still being worked on.",
            code="idempotency.in_progress",
            remedy="Try again in a moment.",
        )
