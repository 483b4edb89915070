"""What others attested of our heads, and how it goes with each of them.

The first three tables are written once. Whoever can write to the database can add rows to them, so nothing here is
believed because it is stored: ``audit.witnessing.selectors`` verifies what it hands out.
"""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from audit.append_only import append_only_triggers


class Cosignature(models.Model):
    """A signature line of a witness over the checkpoint of this size."""

    ledger_append_only: ClassVar[bool] = True
    ledger_free: ClassVar[str] = "a statement of somebody else about the log, verified by its signature"

    size = models.BigIntegerField()
    witness = models.TextField()
    line = models.TextField()
    at = models.DateTimeField()
    received_at = models.DateTimeField(default=timezone.now)

    class Meta:
        triggers = append_only_triggers("cosignature")
        constraints = [models.CheckConstraint(name="cosignature_size_not_negative", condition=models.Q(size__gte=0))]
        indexes = [models.Index("size", "witness", name="cosignature_by_size")]

    def __str__(self) -> str:
        return f"{self.witness} on {self.size}"


class TimeStamp(models.Model):
    """An RFC 3161 response over the note of the checkpoint of this size, as the authority sent it (DER)."""

    ledger_append_only: ClassVar[bool] = True
    ledger_free: ClassVar[str] = "a statement of somebody else about the log, verified by its signature"

    size = models.BigIntegerField()
    authority = models.TextField()
    token = models.BinaryField()
    at = models.DateTimeField()
    received_at = models.DateTimeField(default=timezone.now)

    class Meta:
        triggers = append_only_triggers("timestamp")
        constraints = [models.CheckConstraint(name="timestamp_size_positive", condition=models.Q(size__gt=0))]
        indexes = [models.Index("size", name="timestamp_by_size")]

    def __str__(self) -> str:
        return f"{self.authority} on {self.size}"


class Anchor(models.Model):
    """A copy of the checkpoint of this size in a place that we cannot take it back from, and where exactly."""

    ledger_append_only: ClassVar[bool] = True
    ledger_free: ClassVar[str] = "a pointer to a copy of a checkpoint elsewhere; the copy is signed"

    size = models.BigIntegerField()
    kind = models.TextField()
    place = models.TextField()
    until = models.DateTimeField(null=True)
    received_at = models.DateTimeField(default=timezone.now)

    class Meta:
        triggers = append_only_triggers("anchor")
        constraints = [models.CheckConstraint(name="anchor_size_positive", condition=models.Q(size__gt=0))]
        indexes = [models.Index("kind", models.F("size").desc(), name="anchor_by_kind")]

    def __str__(self) -> str:
        return f"{self.kind} on {self.size}"


class Attestor(models.Model):
    """How it goes with one witness, authority, anchor or schedule: when it last worked, what failed since.

    ``alarm`` is set while it contradicts our log, with the proof if it gave one. It ends when the attestor attests a
    head of ours again.
    """

    ledger_free: ClassVar[str] = "how it goes with a service outside, not a decision; contradictions are logged"

    name = models.TextField(primary_key=True)
    size = models.BigIntegerField(default=0)
    succeeded_at = models.DateTimeField(null=True)
    failures = models.IntegerField(default=0)
    last_error = models.TextField(default="", blank=True)
    retry_at = models.DateTimeField(null=True)
    alarm = models.TextField(default="", blank=True)
    evidence = models.TextField(default="", blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="attestor_error_iff_failures",
                condition=models.Q(failures=0, last_error="", retry_at=None, alarm="")
                | (models.Q(failures__gt=0, retry_at__isnull=False) & ~models.Q(last_error="")),
            ),
        ]

    def __str__(self) -> str:
        return self.name
