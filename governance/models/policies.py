"""Policies and their immutable versions."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from audit.append_only import append_only_triggers
from audit.governed import EntryOf
from governance.querysets import PolicyVersionQuerySet


class Policy(models.Model):
    """A named policy; ``current`` is the version in force."""

    ledger_entry_of: ClassVar = EntryOf()

    name = models.SlugField(max_length=80, unique=True)
    current = models.ForeignKey(
        "governance.PolicyVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "policies"

    @property
    def ledger_version(self) -> str:
        """The words by which the ledger's readers know it."""
        return self.name

    def __str__(self) -> str:
        return self.name


class PolicyVersion(models.Model):
    """One immutable text of a policy. ``digest`` is the SHA-256 of the exact document bytes (UTF-8)."""

    ledger_entry_of: ClassVar = EntryOf()

    ledger_append_only = True

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    document = models.TextField(help_text="YAML, exactly as adopted.")
    digest = models.CharField(max_length=64, unique=True)
    targets = models.JSONField(help_text='From the document: ["alias:production", "stage:Production"].')
    tiers = models.JSONField(help_text="From the document: [1, 2, 3].")
    adopted_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    adopted_at = models.DateTimeField(auto_now_add=True)

    objects = PolicyVersionQuerySet.as_manager()

    class Meta:
        ordering = ["policy", "-number"]
        triggers = append_only_triggers()
        constraints = [
            models.UniqueConstraint(fields=["policy", "number"], name="policyversion_number_once"),
            models.CheckConstraint(name="policyversion_digest_is_sha256", condition=Q(digest__regex=r"^[0-9a-f]{64}$")),
        ]

    @property
    def ledger_version(self) -> str:
        """The words by which the ledger's readers know it."""
        return str(self)

    def __str__(self) -> str:
        return f"{self.policy.name} v{self.number}"
