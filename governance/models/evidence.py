"""Evidence: check runs as leased jobs (DESIGN section 10), the files they wrote, and snapshots of both."""

import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from audit.append_only import append_only_triggers
from audit.governed import EntryOf
from governance.querysets import CheckRunQuerySet
from governance.states import CheckState


class CheckRun(models.Model):
    """One check of one request. The row is the job: lease, owner and attempt fence the only final write."""

    ledger_entry_of: ClassVar = EntryOf(
        quiet=("lease_until", "progress_done", "progress_total", "rung_at"),
        because="The lease of the worker that runs it, renewed every few seconds; start, loss and end have entries.",
    )
    history_forgets: ClassVar = ("lease_until", "progress_done", "progress_total", "rung_at")

    class Verdict(models.TextChoices):
        PASS = "pass", "Pass"
        FAIL = "fail", "Fail"
        INCONCLUSIVE = "inconclusive", "Inconclusive"
        ERROR = "error", "Error"
        NOT_APPLICABLE = "not_applicable", "Not applicable"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey("governance.PromotionRequest", on_delete=models.PROTECT, related_name="checks")
    round = models.PositiveSmallIntegerField(default=1)
    position = models.PositiveSmallIntegerField(help_text="Order on the page.")
    key = models.CharField(max_length=80, help_text="Catalogue key, for example fairness.groups.")
    check_version = models.CharField(max_length=20, blank=True)
    title = models.CharField(max_length=200)
    category = models.CharField(max_length=40)
    parameters = models.JSONField(default=dict)
    requirement = models.JSONField(default=dict, help_text="The policy's figures for this check.")
    dataset = models.ForeignKey(
        "registry.DatasetVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    needs = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="dependants")
    also_needs = ArrayField(
        models.UUIDField(), default=list, blank=True, help_text="Further check runs that must be finished before."
    )
    state = models.CharField(max_length=12, choices=CheckState.choices, default=CheckState.QUEUED)
    verdict = models.CharField(max_length=16, choices=Verdict, blank=True)
    summary = models.TextField(
        blank=True, help_text="One sentence: the finding, or the cause of the error with its remedy."
    )
    error_code = models.CharField(max_length=40, blank=True)
    result = models.JSONField(
        null=True, blank=True, help_text="CheckResult as JSON: figures, tables, findings, limits."
    )
    result_digest = models.CharField(max_length=64, blank=True)
    result_blob = models.ForeignKey("registry.Blob", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    output_blob = models.ForeignKey(
        "registry.Blob",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Predictions (Parquet) of a scoring job, or the attachment of a person's finding.",
    )
    provenance = models.JSONField(
        default=dict,
        help_text="Digests of model, data, code and parameters, and the environment that the result came from.",
    )
    drawings = models.JSONField(
        default=dict, blank=True, help_text="SHA-256 of the SVG of each picture of the result, by the picture's key."
    )
    sandbox = models.JSONField(default=dict, help_text="Layers that were on, limits, resource use.")
    cache_key = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of all that determines the result; equal keys share a result."
    )
    reused_from = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    attempt = models.PositiveSmallIntegerField(default=0)
    owner = models.CharField(max_length=120, blank=True, help_text="Worker that holds the lease.")
    lease_until = models.DateTimeField(null=True, blank=True)
    progress_done = models.PositiveIntegerField(default=0)
    progress_total = models.PositiveIntegerField(default=0)
    queued_at = models.DateTimeField(auto_now_add=True)
    rung_at = models.DateTimeField(null=True, blank=True, help_text="When a worker was last told of it.")
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = CheckRunQuerySet.as_manager()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["request", "round", "position"], name="checkrun_position_once"),
            models.CheckConstraint(
                name="checkrun_verdict_iff_finished",
                condition=Q(state="finished", finished_at__isnull=False) & ~Q(verdict="")
                | ~Q(state="finished") & Q(verdict="", finished_at=None),
            ),
            models.CheckConstraint(
                name="checkrun_leased_iff_running",
                condition=Q(state="running", lease_until__isnull=False) & ~Q(owner="")
                | ~Q(state="running") & Q(lease_until=None),
            ),
        ]
        indexes = [
            models.Index(fields=["state", "lease_until"], name="checkrun_waiting", condition=~Q(state="finished")),
            models.Index(fields=["request", "round"], name="checkrun_by_request"),
            models.Index(
                fields=["cache_key"], name="checkrun_cached", condition=Q(state="finished") & ~Q(cache_key="")
            ),
        ]

    @property
    def ledger_version(self) -> str:
        """The words by which the ledger's readers know it."""
        return f"{self.request.ref} {self.key}"

    def __str__(self) -> str:
        return f"{self.title} ({self.state})"


class EvidenceSnapshot(models.Model):
    """What a signer signs on: the digests of every check result, the manifest, the card, lineage and data sets."""

    ledger_entry_of: ClassVar = EntryOf("governance.promotionrequest", "request_id")

    ledger_append_only = True

    digest = models.CharField(max_length=64, primary_key=True)
    request = models.ForeignKey("governance.PromotionRequest", on_delete=models.PROTECT, related_name="snapshots")
    round = models.PositiveSmallIntegerField()
    document = models.TextField(help_text="Canonical JSON (RFC 8785): the bytes that the digest covers.")
    lineage = models.TextField(blank=True, help_text="W3C PROV-JSON, the bytes whose digest the document names.")
    items = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers = append_only_triggers()
        constraints = [
            models.CheckConstraint(name="snapshot_digest_is_sha256", condition=Q(digest__regex=r"^[0-9a-f]{64}$"))
        ]

    def __str__(self) -> str:
        return self.digest


class WorkerHeartbeat(models.Model):
    """One row per worker process, renewed while it lives, so that a page can say that nobody works."""

    ledger_free: ClassVar = "A sign of life, renewed every few seconds."

    name = models.CharField(max_length=200, primary_key=True, help_text="Host and process.")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        indexes = [models.Index(fields=["-seen_at"], name="worker_seen")]

    def __str__(self) -> str:
        return self.name
