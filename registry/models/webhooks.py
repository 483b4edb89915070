"""Webhooks and what was, or is to be, sent to them."""

import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from audit.governed import EntryOf


class Webhook(models.Model):
    """Where events are sent. ``url`` never holds a name or password; what is secret is encrypted."""

    ledger_entry_of: ClassVar = EntryOf(
        quiet=("failures", "paused_until", "since_index", "since_entry"),
        because="How sending goes, and which entry it begins with: the one of the change itself.",
    )
    history_free: ClassVar = "Its page shows how sending goes at present; entries say what was set when."

    class Status(models.TextChoices):
        ACTIVE = "ACTIVE", "Active"
        DISABLED = "DISABLED", "Disabled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63)
    description = models.CharField(max_length=1000, blank=True)
    url = models.CharField(max_length=500)
    events = ArrayField(models.CharField(max_length=100))
    status = models.CharField(max_length=8, choices=Status, default=Status.ACTIVE)
    secret_sealed = models.BinaryField(null=True, editable=False)
    userinfo_sealed = models.BinaryField(null=True, editable=False)
    since_entry = models.CharField(
        max_length=36,
        blank=True,
        editable=False,
        help_text="The entry that made it active: what came before is not sent.",
    )
    since_index = models.BigIntegerField(null=True, editable=False, help_text="That entry's place, once it has one.")
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="Attempts in a row that found nobody.")
    paused_until = models.DateTimeField(
        null=True, editable=False, help_text="Nobody was there: nothing is tried before this."
    )
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(name="webhook_has_events", condition=Q(events__len__gt=0)),
            models.CheckConstraint(name="webhook_known_status", condition=Q(status__in=["ACTIVE", "DISABLED"])),
            models.CheckConstraint(name="webhook_place_iff_entry", condition=Q(since_index=None) | ~Q(since_entry="")),
            models.CheckConstraint(
                name="webhook_deleted_keeps_no_secret",
                condition=Q(deleted_at=None) | Q(secret_sealed=None, userinfo_sealed=None),
            ),
        ]

    @property
    def ledger_version(self) -> str:
        """The words by which the ledger's readers know it."""
        return self.name

    def __str__(self) -> str:
        return self.name

    @property
    def has_secret(self) -> bool:
        """Whether what is sent is signed."""
        return self.secret_sealed is not None


class WebhookDelivery(models.Model):
    """One event for one webhook: the job of sending it, and afterwards the record that it was sent or not."""

    ledger_free: ClassVar = "A job of sending what is in the log already, and for a while the record that it was sent."

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Delivered"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.PROTECT, related_name="deliveries")
    event = models.CharField(max_length=100)
    about = models.CharField(max_length=120, blank=True, help_text="The object in whose order it is sent.")
    body = models.TextField(help_text="JSON, exactly as sent.")
    entry_index = models.BigIntegerField(null=True, help_text="Place in the ledger; none for a sample.")
    entry_id = models.CharField(max_length=36, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    lease_owner = models.CharField(max_length=40, blank=True)
    response_status = models.PositiveSmallIntegerField(null=True)
    response_body = models.CharField(max_length=1000, blank=True)
    reason = models.CharField(max_length=500, blank=True, help_text="Why the last attempt did not succeed.")
    milliseconds = models.PositiveIntegerField(null=True, help_text="How long the last attempt took.")
    created_at = models.DateTimeField(auto_now_add=True)
    queued_at = models.DateTimeField(help_text="Since when it waits, or waited: sending again begins anew.")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["webhook", "entry_index", "event"],
                condition=Q(entry_index__isnull=False),
                name="webhookdelivery_once_per_entry",
            ),
            models.CheckConstraint(
                name="webhookdelivery_finished_iff_not_waiting",
                condition=Q(state="waiting", finished_at=None) | ~Q(state="waiting") & Q(finished_at__isnull=False),
            ),
            models.CheckConstraint(
                name="webhookdelivery_leased_only_while_waiting",
                condition=Q(lease_until=None, lease_owner="")
                | Q(state="waiting", lease_until__isnull=False) & ~Q(lease_owner=""),
            ),
            models.CheckConstraint(
                name="webhookdelivery_known_state",
                condition=Q(state__in=["waiting", "delivered", "failed", "cancelled"]),
            ),
            models.CheckConstraint(
                name="webhookdelivery_entry_whole",
                condition=Q(entry_index=None, entry_id="") | Q(entry_index__isnull=False) & ~Q(entry_id=""),
            ),
        ]
        indexes = [
            models.Index(
                fields=["webhook", "entry_index"], name="webhookdelivery_waiting", condition=Q(state="waiting")
            ),
            models.Index(fields=["webhook", "-created_at", "-id"], name="webhookdelivery_log"),
            models.Index(fields=["finished_at"], name="webhookdelivery_age", condition=~Q(state="waiting")),
        ]

    def __str__(self) -> str:
        return f"{self.event} for {self.webhook_id}"

    @property
    def is_sample(self) -> bool:
        """Whether somebody asked for it, to try the receiver."""
        return self.entry_index is None
