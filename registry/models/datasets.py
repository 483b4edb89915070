"""Data sets and their versions: bytes that models are trained and checked on, sealed by a worker that read them."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from audit.governed import EntryOf
from registry.querysets import DatasetVersionQuerySet


class Dataset(models.Model):
    """A named data set; what is checked and cited is always one of its versions."""

    ledger_entry_of: ClassVar = EntryOf()

    name = models.CharField(max_length=256, unique=True)
    description = models.TextField(blank=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="datasets")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    @property
    def ledger_version(self) -> str:
        """The words by which the ledger's readers know it."""
        return self.name

    def __str__(self) -> str:
        return self.name


class DatasetVersion(models.Model):
    """Bytes of a data set as the server saw them: a file in the blob store, schema, row count and column roles.

    ``digest`` is that of the file; ``table`` holds the same rows as Parquet, where the file is something else.
    With the role ``predictions`` the rows are what a model said, row by row, to those of another data set version.
    """

    ledger_entry_of: ClassVar = EntryOf(
        quiet=("seal_attempts", "seal_lease_until"), because="The job of reading its bytes; its end has an entry."
    )
    history_forgets: ClassVar = ("seal_attempts", "seal_lease_until")

    class Role(models.TextChoices):
        TRAIN = "train", "Training"
        TEST = "test", "Held out for testing"
        OTHER = "other", "Other"
        HOLDOUT = "holdout", "Sealed hold-out"
        PREDICTIONS = "predictions", "Uploaded predictions"
        LIVE = "live", "Given to the live version"

    class Status(models.TextChoices):
        OPEN = "open", "Waiting for its file"
        SEALING = "sealing", "Being sealed"
        SEALED = "sealed", "Sealed"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    role = models.CharField(max_length=12, choices=Role, default=Role.OTHER)
    blob = models.ForeignKey("registry.Blob", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the bytes, computed by the server.")
    format = models.CharField(max_length=12, default="parquet")
    compression = models.CharField(max_length=8, blank=True, help_text="How the file was packed: gzip, zstd or not.")
    table = models.ForeignKey(
        "registry.Blob",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The rows as Parquet in small row groups, unless the file itself is that.",
    )
    rows = models.BigIntegerField(default=0)
    schema = models.JSONField(default=list, help_text='[{"name": …, "type": …}] in column order.')
    columns = models.JSONField(
        default=dict, help_text='Roles: {"label": name, "features": [...], "sensitive": [...], "positive": value}.'
    )
    profile = models.JSONField(null=True, blank=True, help_text="What may be told of each column.")
    source = models.CharField(max_length=2000, blank=True)
    reference = models.CharField(
        max_length=2000, blank=True, help_text="Where a worker read the bytes: a path or s3://bucket/key."
    )
    origin = models.JSONField(default=dict, blank=True, help_text="What was found there: size, etag, version.")
    predictions_of = models.ForeignKey(
        "registry.ModelVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="uploaded_predictions"
    )
    predictions_for = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="uploaded_predictions"
    )
    status = models.CharField(max_length=8, choices=Status, default=Status.OPEN)
    status_message = models.TextField(blank=True)
    seal_attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    seal_lease_until = models.DateTimeField(null=True, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    sealed_at = models.DateTimeField(null=True, blank=True)

    objects = DatasetVersionQuerySet.as_manager()

    class Meta:
        ordering = ["dataset", "-number"]
        indexes = [models.Index(fields=["digest"], name="datasetversion_digest")]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "number"], name="datasetversion_number_once"),
            models.CheckConstraint(
                name="datasetversion_sealed_has_bytes",
                condition=Q(sealed_at=None) | Q(blob__isnull=False, digest__regex=r"^[0-9a-f]{64}$"),
            ),
            models.CheckConstraint(
                name="datasetversion_sealed_iff_dated",
                condition=Q(status="sealed", sealed_at__isnull=False) | ~Q(status="sealed") & Q(sealed_at=None),
            ),
            models.CheckConstraint(
                name="datasetversion_predictions_of_what",
                condition=Q(role="predictions", predictions_of__isnull=False, predictions_for__isnull=False)
                | ~Q(role="predictions") & Q(predictions_of=None, predictions_for=None),
            ),
        ]

    @property
    def ledger_version(self) -> str:
        """The words by which the ledger's readers know it."""
        return str(self)

    @property
    def is_holdout(self) -> bool:
        """Whether nobody but a worker may read it."""
        return self.role == self.Role.HOLDOUT

    @property
    def rows_blob_id(self) -> str | None:
        """The blob that holds the rows as Parquet; of what was sealed before there were tables, the file."""
        return self.table_id or self.blob_id

    def __str__(self) -> str:
        return f"{self.dataset.name} v{self.number}"


class HoldoutAttempt(models.Model):
    """How often somebody was refused a sealed hold-out since the last entry about it."""

    ledger_free: ClassVar = "It counts what the log's next entry about the refusals will say."
    history_free: ClassVar = "The refusals themselves are entries."

    dataset = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    logged_at = models.DateTimeField()
    unlogged = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["dataset", "user"], name="holdoutattempt_once")]

    def __str__(self) -> str:
        return f"{self.user} at {self.dataset}"
