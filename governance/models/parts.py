"""Parts of a check that several workers compute: jobs like the check itself, each with its own lease."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from governance.states import CheckState


class CheckPart(models.Model):
    """One run of batches of a check's rows. Its state (counts) is merged with those of the other parts by the check's own job."""

    ledger_free: ClassVar = "Work in progress of a check: its start and its end have entries, and its result is signed."

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey("governance.CheckRun", on_delete=models.PROTECT, related_name="parts")
    number = models.PositiveSmallIntegerField(help_text="From 0.")
    of = models.PositiveSmallIntegerField(help_text="How many parts there are.")
    state = models.CharField(max_length=12, choices=CheckState.choices, default=CheckState.QUEUED)
    counts = models.ForeignKey(
        "registry.Blob",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The part's state as Arrow; null while it is not finished, and when it has no rows.",
    )
    done = models.PositiveIntegerField(default=0, help_text="Batches.")
    total = models.PositiveIntegerField(default=0, help_text="Batches; 0 as long as nobody has looked.")
    attempt = models.PositiveSmallIntegerField(default=0)
    owner = models.CharField(max_length=120, blank=True, help_text="Worker that holds the lease.")
    lease_until = models.DateTimeField(null=True, blank=True)
    rung_at = models.DateTimeField(null=True, blank=True, help_text="When a worker was last told of it.")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["run", "number"]
        constraints = [
            models.UniqueConstraint(fields=["run", "number"], name="checkpart_number_once"),
            models.CheckConstraint(name="checkpart_of_some", condition=Q(number__lt=models.F("of"))),
            models.CheckConstraint(
                name="checkpart_leased_iff_running",
                condition=Q(state="running", lease_until__isnull=False) & ~Q(owner="")
                | ~Q(state="running") & Q(lease_until=None),
            ),
        ]
        indexes = [models.Index(fields=["state"], name="checkpart_waiting", condition=~Q(state="finished"))]

    def __str__(self) -> str:
        return f"part {self.number + 1} of {self.of} of {self.run_id}"
