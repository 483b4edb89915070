"""How a permit comes about and how it is known to hold: the work of two signers, the status lists, the trust root."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from audit.append_only import append_only_triggers
from audit.governed import EntryOf
from governance.states import IssuanceState


class PermitIssuance(models.Model):
    """An approved request on its way to a permit. Its ``permit_id`` is drawn once, so that it can only become one permit.

    The issuer writes the statement and signs; the countersigner, another process with another key, writes the statement
    anew, compares, signs, and makes the permit.
    """

    ledger_free: ClassVar[str] = (
        "Work in progress of the two signers. What comes of it is the permit, which has its entry."
    )

    request = models.OneToOneField(
        "governance.PromotionRequest", primary_key=True, on_delete=models.PROTECT, related_name="issuance"
    )
    permit_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=12, choices=IssuanceState.choices, default=IssuanceState.WAITING)
    payload = models.TextField(blank=True, help_text="The statement, as the issuer signed it.")
    issuer_key_id = models.CharField(max_length=64, blank=True)
    issuer_signature = models.BinaryField(default=b"")
    problem = models.TextField(blank=True, help_text="Why it was refused the last time, in a sentence.")
    attempts = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(null=True, blank=True)
    begun_at = models.DateTimeField(auto_now_add=True)
    prepared_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="issuance_known_state", condition=Q(state__in=IssuanceState.values)),
            models.CheckConstraint(
                name="issuance_prepared_is_signed",
                condition=~Q(state="prepared") | ~Q(payload="") & ~Q(issuer_key_id=""),
            ),
            models.CheckConstraint(
                name="issuance_refused_says_why", condition=~Q(state__in=["refused", "abandoned"]) | ~Q(problem="")
            ),
        ]
        indexes = [models.Index(fields=["state", "retry_at"], name="issuance_due")]

    def __str__(self) -> str:
        return f"permit of {self.request} ({self.state})"


class StatusList(models.Model):
    """What every permit was at one moment, signed by both. Wanted (no payload), signed by one, published (envelope)."""

    ledger_free: ClassVar[str] = "Says again what the permits are; each change of a permit has its own entry."

    payload = models.TextField(blank=True)
    issuer_key_id = models.CharField(max_length=64, blank=True)
    issuer_signature = models.BinaryField(default=b"")
    envelope = models.TextField(blank=True, help_text="DSSE envelope with both signatures.")
    checkpoint_size = models.BigIntegerField(default=0)
    issued_at = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True)
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"status list {self.pk}"


class TrustRoot(models.Model):
    """One version of the trust root, as its offline keys signed it. Only the owner of the tables adds one."""

    ledger_append_only: ClassVar[bool] = True
    ledger_read_only: ClassVar[bool] = True
    ledger_entry_of: ClassVar = EntryOf()

    version = models.PositiveIntegerField(primary_key=True)
    envelope = models.TextField(help_text="DSSE envelope, exactly as signed.")
    digest = models.CharField(max_length=64)
    expires_at = models.DateTimeField()
    adopted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["version"]
        triggers = append_only_triggers()
        constraints = [models.CheckConstraint(name="trustroot_from_one", condition=Q(version__gte=1))]

    @property
    def ledger_version(self) -> str:
        """The words by which the ledger's readers know it."""
        return f"version {self.version}"

    def __str__(self) -> str:
        return f"trust root {self.version}"

    def ledger_facts(self) -> dict[str, object]:
        """What the ledger's after-digest covers."""
        return {"version": self.version, "digest": self.digest}
