"""Reports that people asked for: the job, and for a while the files that came of it."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from governance.states import CheckState


class ReportJob(models.Model):
    """One report that somebody asked for. The row is the job (DESIGN section 10): lease, owner and attempt fence its end."""

    ledger_free: ClassVar[str] = "A job. Asking for it and what came of it, with its digests, are entries of the log."

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    report = models.CharField(max_length=40, help_text="Name in the catalogue of reports.")
    parameters = models.JSONField(default=dict)
    title = models.CharField(max_length=400, blank=True, help_text="Of the finished report.")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reports")
    asked_at = models.DateTimeField(auto_now_add=True)
    as_of = models.CharField(
        max_length=64, blank=True, help_text="What was asked for: a day, a time, a log size; empty: the newest moment."
    )
    moment = models.BigIntegerField(null=True, blank=True, help_text="The log size that this meant when it was asked.")
    state = models.CharField(max_length=12, choices=CheckState.choices, default=CheckState.QUEUED)
    problem = models.TextField(blank=True, help_text="Why there is none, in a sentence with the remedy.")
    log_size = models.BigIntegerField(null=True, blank=True, help_text="Size of the checkpoint that it rests on.")
    answer = models.TextField(blank=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    owner = models.CharField(max_length=120, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    rung_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-asked_at", "-pk"]
        constraints = [
            models.CheckConstraint(name="reportjob_known_state", condition=Q(state__in=CheckState.values)),
            models.CheckConstraint(
                name="reportjob_finished_has_an_end",
                condition=Q(state="finished", finished_at__isnull=False)
                & (~Q(problem="") | Q(log_size__isnull=False) & ~Q(title=""))
                | ~Q(state="finished") & Q(finished_at=None, problem=""),
            ),
            models.CheckConstraint(
                name="reportjob_moment_iff_asked",
                condition=Q(as_of="", moment=None) | ~Q(as_of="") & Q(moment__isnull=False),
            ),
            models.CheckConstraint(
                name="reportjob_leased_iff_running",
                condition=Q(state="running", lease_until__isnull=False) & ~Q(owner="")
                | ~Q(state="running") & Q(lease_until=None),
            ),
        ]
        indexes = [
            models.Index(fields=["asked_by", "-asked_at"], name="reportjob_by_person"),
            models.Index(fields=["state", "lease_until"], name="reportjob_waiting", condition=~Q(state="finished")),
        ]

    @property
    def ledger_version(self) -> str:
        """The words by which the ledger's readers know it."""
        return self.report

    @property
    def made(self) -> bool:
        """Whether there is a report."""
        return self.state == CheckState.FINISHED and not self.problem

    def __str__(self) -> str:
        return self.title or self.report

    def ledger_facts(self) -> dict[str, object]:
        """What the ledger's after-digest covers."""
        return {
            "report": self.report,
            "parameters": self.parameters,
            "asked_by": self.asked_by_id,
            "moment": self.moment,
        }


class ReportFile(models.Model):
    """One file of a finished report. Removed after REPORT_KEEP_DAYS; its digest stays in the log."""

    ledger_free: ClassVar[str] = "A rendering that is kept for a while; its digest is in the entry report.made."

    job = models.ForeignKey(ReportJob, on_delete=models.CASCADE, related_name="files", db_index=False)
    name = models.CharField(max_length=80)
    media_type = models.CharField(max_length=80)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()
    content = models.BinaryField()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["job", "name"], name="reportfile_name_once"),
            models.CheckConstraint(name="reportfile_digest_is_sha256", condition=Q(sha256__regex=r"^[0-9a-f]{64}$")),
        ]

    def __str__(self) -> str:
        return self.name
