"""What people take away: bundles as jobs with a file at their end, and samples, planned before they are drawn."""

import uuid
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from audit.governed import EntryOf


class ExportState(models.TextChoices):
    """A bundle as a job, and as a file afterwards."""

    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Being written"
    FINISHED = "finished", "Ready"
    FAILED = "failed", "Failed"
    EXPIRED = "expired", "Removed"


class ExportQuerySet(models.QuerySet["Export"]):
    """Exports."""

    def unfinished(self) -> Self:
        """Waiting or being written."""
        return self.filter(state__in=[ExportState.QUEUED, ExportState.RUNNING])


class Export(models.Model):
    """One evidence bundle that somebody asked for. The row is the job (DESIGN section 10), its file is kept for a while."""

    ledger_free: ClassVar[str] = (
        "A job. What it gave out, to whom and with which digest, is logged as evidence.exported."
    )

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="exports")
    kind = models.CharField(max_length=12)
    question = models.JSONField(help_text="Ids and moments: what governance.bundles.questions made of the request.")
    title = models.CharField(max_length=400)
    state = models.CharField(max_length=12, choices=ExportState.choices, default=ExportState.QUEUED)
    log_size = models.BigIntegerField(help_text="Size of the checkpoint it is proved against.")
    entries = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, help_text="Digest of the finished file.")
    length = models.BigIntegerField(default=0)
    left_out = models.PositiveIntegerField(default=0)
    problem = models.TextField(blank=True, help_text="Why it failed, in a sentence with the remedy.")
    attempt = models.PositiveSmallIntegerField(default=0)
    owner = models.CharField(max_length=120, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    rung_at = models.DateTimeField(null=True, blank=True)
    progress_done = models.BigIntegerField(default=0)
    progress_total = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="When the file is removed.")

    objects = ExportQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(name="export_known_state", condition=Q(state__in=ExportState.values)),
            models.CheckConstraint(
                name="export_digest_iff_finished",
                condition=Q(
                    state__in=["finished", "expired"], sha256__regex=r"^[0-9a-f]{64}$", expires_at__isnull=False
                )
                | ~Q(state__in=["finished", "expired"]) & Q(sha256="", expires_at=None),
            ),
            models.CheckConstraint(
                name="export_failed_says_why", condition=Q(state="failed") & ~Q(problem="") | ~Q(state="failed")
            ),
            models.CheckConstraint(
                name="export_leased_iff_running",
                condition=Q(state="running", lease_until__isnull=False) & ~Q(owner="")
                | ~Q(state="running") & Q(lease_until=None),
            ),
        ]
        indexes = [
            models.Index(fields=["asked_by", "-created_at"], name="export_by_person"),
            models.Index(
                fields=["state", "lease_until"], name="export_waiting", condition=Q(state__in=["queued", "running"])
            ),
            models.Index(fields=["expires_at"], name="export_expiry", condition=Q(state="finished")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.title}"


class Sample(models.Model):
    """An auditor's sample: the population, its counts and a commitment to the seed first, the draw afterwards."""

    ledger_entry_of: ClassVar = EntryOf()

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    planned_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="samples")
    title = models.CharField(max_length=200, help_text="What is to be found out.")
    plan = models.JSONField(help_text="Population, strata, sizes, seed commitment: the facts of its first entry.")
    entry_id = models.CharField(max_length=64, help_text="The ledger entry of the plan.")
    planned_at = models.DateTimeField(auto_now_add=True)
    seed = models.CharField(max_length=200, blank=True, help_text="Known once it is drawn.")
    items = models.JSONField(null=True, blank=True, help_text="The entries drawn, by index: index and stratum.")
    drawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-planned_at"]
        constraints = [
            models.CheckConstraint(
                name="sample_drawn_with_its_seed",
                condition=Q(drawn_at=None, seed="", items=None)
                | Q(drawn_at__isnull=False, items__isnull=False) & ~Q(seed=""),
            ),
        ]
        indexes = [models.Index(fields=["planned_by", "-planned_at"], name="sample_by_person")]

    def __str__(self) -> str:
        return self.title

    @property
    def population(self) -> int:
        """How many entries it is drawn from."""
        return sum(int(one["population"]) for one in self.plan["strata"])

    @property
    def size(self) -> int:
        """How many it draws."""
        return sum(int(one["size"]) for one in self.plan["strata"])

    def ledger_facts(self) -> dict[str, object]:
        """What the ledger's after-digest covers."""
        return {"plan": self.plan, "seed": self.seed, "items": self.items, "drawn": self.drawn_at is not None}
