"""Verifications of the log as rows: what was asked for, how far it is, what it found."""

from django.db import models
from django.db.models import F


class Verification(models.Model):
    """One look at the log, asked for, under way or done. ``size`` is the checkpoint it was compared with."""

    ledger_free = "A note of work under way; its result is an entry, log.verified or log.broken."

    class Kind(models.TextChoices):
        """From the first entry on, or from the last size that a look found whole."""

        FULL = "full", "every entry"
        INCREMENTAL = "incremental", "what is new"

    class State(models.TextChoices):
        """``failed``: it could not be done, and says nothing of the log."""

        WAITING = "waiting", "waiting"
        RUNNING = "running", "running"
        SOUND = "sound", "sound"
        BROKEN = "broken", "broken"
        FAILED = "failed", "failed"

    kind = models.TextField(choices=Kind.choices)
    state = models.TextField(choices=State.choices, default=State.WAITING)
    asked_by = models.TextField()
    asked_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    first = models.BigIntegerField(default=0)
    size = models.BigIntegerField(default=0)
    root = models.TextField(default="", blank=True)
    done = models.BigIntegerField(default=0)
    broken = models.IntegerField(default=0)
    problems = models.JSONField(default=list, blank=True)
    error = models.TextField(default="", blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="verification_finished_iff_it_ended",
                condition=models.Q(state__in=["waiting", "running"], finished_at=None)
                | models.Q(state__in=["sound", "broken", "failed"], finished_at__isnull=False),
            ),
            models.CheckConstraint(
                name="verification_broken_iff_problems",
                condition=models.Q(state="broken", broken__gt=0) | (~models.Q(state="broken") & models.Q(broken=0)),
            ),
            models.UniqueConstraint(
                models.Value(1), condition=models.Q(state__in=["waiting", "running"]), name="verification_one_at_a_time"
            ),
        ]
        indexes = [models.Index("state", F("id").desc(), name="verification_by_state")]

    def __str__(self) -> str:
        return f"verification {self.pk}, {self.kind}: {self.state}"
