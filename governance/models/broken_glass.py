"""What was let into a cluster without a permit, and what people made of it afterwards."""

from typing import ClassVar
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import Q

from audit.governed import EntryOf
from registry.models import ModelVersion


class BrokenGlass(models.Model):
    """One workload that somebody let in at the gate of a cluster, against its rules. It stays open until reviewed."""

    ledger_entry_of: ClassVar = EntryOf()

    class Outcome(models.TextChoices):
        """What the review found."""

        JUSTIFIED = "justified", "Justified"
        UNJUSTIFIED = "unjustified", "Not justified"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    uid = models.CharField(max_length=64, unique=True, help_text="The cluster's id of the question that was answered.")
    namespace = models.CharField(max_length=253)
    title = models.CharField(max_length=600, help_text="Kind, namespace and name of the workload.")
    digests = models.JSONField(default=list, help_text="Manifest digests that it declares.")
    version = models.ForeignKey(
        ModelVersion,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="If it is one of ours.",
    )
    user = models.CharField(max_length=300, help_text="Who did it, as the cluster knows them.")
    reason = models.TextField()
    refused_because = models.TextField()
    at = models.DateTimeField(help_text="By the gate's clock.")
    reported_at = models.DateTimeField(auto_now_add=True)
    reported_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    outcome = models.CharField(max_length=20, choices=Outcome, blank=True)
    review = models.TextField(blank=True)
    reviewed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    reviewed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-reported_at", "-pk"]
        verbose_name_plural = "broken glasses"
        indexes = [
            models.Index(fields=["-reported_at", "-id"], name="brokenglass_newest"),
            models.Index(fields=["reported_at"], name="brokenglass_open", condition=Q(reviewed_at=None)),
        ]
        constraints = [
            models.CheckConstraint(
                name="brokenglass_reviewed_whole",
                condition=Q(outcome="", review="", reviewed_by=None, reviewed_at=None)
                | (~Q(outcome="") & ~Q(review="") & Q(reviewed_by__isnull=False, reviewed_at__isnull=False)),
            )
        ]

    @property
    def ledger_version(self) -> str:
        """The words by which the ledger's readers know it."""
        return self.title[:255]

    def __str__(self) -> str:
        return self.title

    def ledger_facts(self) -> dict[str, object]:
        """What the ledger's after-digest covers."""
        return {
            "uid": self.uid,
            "namespace": self.namespace,
            "title": self.title,
            "digests": list(self.digests),
            "version": str(self.version_id or ""),
            "user": self.user,
            "reason": self.reason,
            "refused_because": self.refused_because,
            "at": self.at.isoformat(),
            "outcome": self.outcome,
            "review": self.review,
            "reviewed_by": str(self.reviewed_by_id or ""),
            "reviewed_at": self.reviewed_at.isoformat() if self.reviewed_at else "",
        }
