"""What was found in the signatures that came along with a version's files."""

from typing import ClassVar
from uuid import uuid4

from django.db import models
from django.db.models import Q

from audit.append_only import AppendOnly, append_only_triggers
from audit.governed import EntryOf
from registry.models.artifacts import Blob
from registry.models.catalog import ModelVersion


class ModelSignature(AppendOnly):
    """One look at one OpenSSF model signature among a version's files. The newest of a path is what holds."""

    ledger_entry_of: ClassVar = EntryOf("registry.modelversion", "version_id")

    class State(models.TextChoices):
        """From best to worst."""

        VERIFIED = "verified", "Every file is as a trusted signer signed it"
        PARTIAL = "partial", "A trusted signer signed some of the files"
        UNTRUSTED = "untrusted", "Signed by nobody who is trusted here"
        UNCOMPARED = "uncompared", "Signed with digests that are not computed here"
        DIFFERS = "differs", "A trusted signer signed other files than these"
        INVALID = "invalid", "The signature does not hold"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="model_signatures")
    path = models.CharField(max_length=1024, help_text="The signature's file.")
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=20, choices=State)
    signer = models.CharField(max_length=200, blank=True, help_text="The trusted key's or authority's name here.")
    subject = models.CharField(max_length=1000, blank=True, help_text="Whom the certificate names.")
    fingerprint = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the public key's PEM.")
    root_digest = models.CharField(max_length=64, blank=True)
    covered = models.PositiveIntegerField(default=0)
    problems = models.JSONField(default=list, blank=True, help_text="Sentences, each naming a file or what is wrong.")
    checked_at = models.DateTimeField(auto_now_add=True)

    class Meta(AppendOnly.Meta):
        abstract = False
        ordering = ["path", "-checked_at"]
        triggers = append_only_triggers()
        indexes = [models.Index(fields=["version", "path", "-checked_at"], name="modelsignature_newest")]
        constraints = [
            models.CheckConstraint(
                name="modelsignature_trusted_has_signer",
                condition=~Q(signer="") | ~Q(state__in=["verified", "partial", "differs"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.path} of {self.version_id}: {self.state}"
