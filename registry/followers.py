"""Reactions of the registry to the ledger: versions and data sets are sealed, and lineage is read.

A follower only rings the bell: the row says what is to be done, and ``registry.tasks.sweep`` rings again for what was
lost. Tasks are sent by name, because tasks stand above followers.
"""

from functools import partial
from typing import ClassVar, Final
from uuid import UUID

from django.db import transaction

from audit.followers import Follower
from audit.models import Entry
from config.celery import app
from registry import events
from registry.services import model_signatures, webhook_delivery

QUEUE: Final = "ingest"


def send(task: str, argument: str) -> None:
    """Send a task of ``registry.tasks``; it is forgotten after a minute, by when the sweeper has sent it again."""
    app.send_task(f"registry.tasks.{task}", args=[argument], queue=QUEUE, expires=60)


class Ingest(Follower):
    """A version was registered, or a data set uploaded whole: have its bytes read and sealed."""

    name: ClassVar[str] = "registry.ingest"
    actions: ClassVar[frozenset[str]] = frozenset({"version.registered", "dataset.finished"})

    def handle(self, entry: Entry) -> None:
        """Start the task once the cursor has moved."""
        task = "seal_dataset" if entry.action == "dataset.finished" else "ingest_version"
        transaction.on_commit(partial(send, task, entry.subject_id), robust=True)


class Webhooks(Follower):
    """Something happened that a webhook may want: have a delivery written, and the courier send it."""

    name: ClassVar[str] = "registry.webhooks"
    actions: ClassVar[frozenset[str]] = events.actions() | {"webhook.created", "webhook.changed"}

    def handle(self, entry: Entry) -> None:
        """Write the deliveries with the cursor's move, and ring for each webhook after it."""
        for webhook_id in webhook_delivery.plan(entry):
            transaction.on_commit(partial(ring_for_webhook, webhook_id), robust=True)


def ring_for_webhook(webhook_id: UUID) -> None:
    """Have what waits for a webhook sent; a bell that nobody hears is rung again by the sweeper."""
    app.send_task("registry.tasks.deliver_webhook", args=[str(webhook_id)], expires=60)


class Signatures(Follower):
    """A version was sealed: have the model signatures among its files verified."""

    name: ClassVar[str] = "registry.signatures"
    actions: ClassVar[frozenset[str]] = frozenset({"version.sealed"})

    def handle(self, entry: Entry) -> None:
        """Start the task, if there is one, once the cursor has moved."""
        if model_signatures.among(UUID(entry.subject_id)):
            transaction.on_commit(partial(send, "check_signatures", entry.subject_id), robust=True)


class Lineage(Follower):
    """A version was sealed: have its lineage read from its run."""

    name: ClassVar[str] = "registry.lineage"
    actions: ClassVar[frozenset[str]] = frozenset({"version.sealed"})

    def handle(self, entry: Entry) -> None:
        """Start the task once the cursor has moved."""
        transaction.on_commit(partial(send, "record_lineage", entry.subject_id), robust=True)
