"""Waivers: the one dated way past a check that did not pass. The permit names each."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from audit.append_only import append_only_triggers
from audit.governed import EntryOf
from audit.subjects import row_facts


class Waiver(models.Model):
    """A request, by a person with a reason, to let one check's failure stand until a date; granted by signatures."""

    ledger_entry_of: ClassVar = EntryOf()
    ledger_rows: ClassVar = ("signatures",)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey("governance.PromotionRequest", on_delete=models.PROTECT, related_name="waivers")
    check_run = models.ForeignKey("governance.CheckRun", on_delete=models.PROTECT, related_name="waivers")
    reason = models.TextField()
    until = models.DateTimeField()
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(auto_now_add=True)
    granted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request", "check_run"], name="waiver_once_per_check"),
            models.CheckConstraint(name="waiver_says_why", condition=~Q(reason="")),
            models.CheckConstraint(name="waiver_ends_after_asking", condition=Q(until__gt=F("asked_at"))),
        ]

    def __str__(self) -> str:
        return f"Waiver of {self.check_run} until {self.until:%Y-%m-%d}"

    def ledger_facts(self) -> dict[str, object]:
        """The row and who signed it: ``ledger_signers`` (once), while the signature waits for the id of its entry."""
        signers = self.__dict__.pop("ledger_signers", None)
        return {
            **row_facts(self),
            "signed_by": sorted(one.person_id for one in self.signatures.all()) if signers is None else sorted(signers),
        }


class WaiverSignature(models.Model):
    """One approver's agreement to a waiver. Append-only, one per person."""

    ledger_entry_of: ClassVar = EntryOf("governance.waiver", "waiver_id")

    ledger_append_only = True

    waiver = models.ForeignKey(Waiver, on_delete=models.PROTECT, related_name="signatures")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    signed_at = models.DateTimeField(auto_now_add=True)
    entry_id = models.CharField(max_length=64)

    class Meta:
        triggers = append_only_triggers()
        constraints = [models.UniqueConstraint(fields=["waiver", "person"], name="waiversignature_once_per_person")]

    def __str__(self) -> str:
        return f"{self.person} on {self.waiver_id}"
