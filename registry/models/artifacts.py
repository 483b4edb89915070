"""What was sealed: blobs by content, manifests by digest, uploads in progress."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from audit.append_only import append_only_triggers
from audit.governed import EntryOf
from audit.subjects import row_facts


class Blob(models.Model):
    """A file's content in storage, named by its SHA-256."""

    ledger_free: ClassVar = "Its name is the SHA-256 of its content, which is computed again whenever it is sealed."

    ledger_append_only = True

    sha256 = models.CharField(max_length=64, primary_key=True)
    size = models.BigIntegerField()
    stored_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers = append_only_triggers()
        constraints = [
            models.CheckConstraint(name="blob_name_is_sha256", condition=Q(sha256__regex=r"^[0-9a-f]{64}$")),
            models.CheckConstraint(name="blob_size_not_negative", condition=Q(size__gte=0)),
        ]

    def __str__(self) -> str:
        return self.sha256


class Manifest(models.Model):
    """Every file of an artifact: path, size, SHA-256. ``digest`` is the SHA-256 of ``document``'s canonical bytes."""

    ledger_entry_of: ClassVar = EntryOf()
    ledger_rows: ClassVar = ("files",)

    ledger_append_only = True

    digest = models.CharField(max_length=64, primary_key=True)
    document = models.TextField(help_text="Canonical JSON (RFC 8785): the bytes that the digest covers.")
    file_count = models.PositiveIntegerField()
    total_size = models.BigIntegerField()
    openssf_digest = models.CharField(
        max_length=64,
        blank=True,
        help_text="Root digest of the OpenSSF model-signing manifest; an alias, never identity.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers = append_only_triggers()
        constraints = [
            models.CheckConstraint(name="manifest_digest_is_sha256", condition=Q(digest__regex=r"^[0-9a-f]{64}$"))
        ]

    def __str__(self) -> str:
        return self.digest

    def ledger_facts(self) -> dict[str, object]:
        """The row and its files."""
        return {**row_facts(self), "files": {one.path: one.blob_id for one in self.files.all()}}


class ManifestFile(models.Model):
    """One line of a manifest, for look-ups by path and by content."""

    ledger_entry_of: ClassVar = EntryOf("registry.manifest", "manifest_id")

    ledger_append_only = True

    manifest = models.ForeignKey(Manifest, on_delete=models.PROTECT, related_name="files")
    path = models.CharField(max_length=1024)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["path"]
        triggers = append_only_triggers()
        constraints = [models.UniqueConstraint(fields=["manifest", "path"], name="manifestfile_path_once")]

    def __str__(self) -> str:
        return self.path


class Upload(models.Model):
    """A file on its way in over REST: chunks by offset, closed by a declared SHA-256 the server recomputes."""

    ledger_entry_of: ClassVar = (
        EntryOf("registry.modelversion", "version_id", quiet=("received",), because="How far it has come."),
        EntryOf("registry.datasetversion", "dataset_id"),
    )
    history_free: ClassVar = "A file on its way; what arrived is in the manifest."

    class State(models.TextChoices):
        OPEN = "open", "Open"
        COMPLETE = "complete", "Complete"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(
        "registry.ModelVersion", null=True, blank=True, on_delete=models.CASCADE, related_name="uploads"
    )
    dataset = models.ForeignKey(
        "registry.DatasetVersion", null=True, blank=True, on_delete=models.CASCADE, related_name="uploads"
    )
    path = models.CharField(max_length=1024)
    declared_sha256 = models.CharField(max_length=64)
    declared_size = models.BigIntegerField()
    received = models.BigIntegerField(default=0)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    blob = models.ForeignKey(Blob, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="upload_received_within_size", condition=Q(received__lte=F("declared_size"))),
            models.CheckConstraint(
                name="upload_complete_iff_stored",
                condition=Q(state="complete", blob__isnull=False) | ~Q(state="complete") & Q(blob=None),
            ),
            models.UniqueConstraint(
                fields=["version", "path"], condition=~Q(state="failed") & ~Q(version=None), name="upload_path_once"
            ),
            models.UniqueConstraint(
                fields=["dataset"], condition=~Q(state="failed") & ~Q(dataset=None), name="upload_one_per_dataset"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.path} ({self.state})"
