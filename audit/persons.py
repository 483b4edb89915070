"""The tables of what is personal: a key for each person, and under it what opens the commitments of the log's entries.

Both are apart from the log on purpose: its entries are for ever, these rows are not. See docs/adr/0014-personal-data.md.
"""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class Person(models.Model):
    """Somebody whom entries speak of: an account (``user:7``), or a name from outside (``person:`` and 16 hex digits).

    The key is there, or the person is erased: PostgreSQL refuses every other step and each way back
    (``audit_person_ends_once``).
    """

    ledger_free: ClassVar[str] = (
        "A key and no statement; its destruction is told by the entry person.erased of the account."
    )

    subject = models.TextField(primary_key=True)
    key = models.BinaryField(null=True)
    known_since = models.DateTimeField(db_default=Now())
    erased_at = models.DateTimeField(null=True)
    erased_entry = models.TextField(db_default="", default="", blank=True)

    class Meta:
        verbose_name_plural = "people"
        constraints = [
            models.CheckConstraint(
                name="person_has_a_key_or_is_erased",
                condition=models.Q(key__isnull=False, erased_at=None, erased_entry="")
                | (models.Q(key=None, erased_at__isnull=False) & ~models.Q(erased_entry="")),
            ),
        ]

    def __str__(self) -> str:
        return self.subject


class Disclosure(models.Model):
    """What opens one commitment, encrypted under the key of its person (``audit.commitments``)."""

    ledger_free: ClassVar[str] = (
        "Entries hold its digest; it goes with the person, of whom the entry person.erased tells."
    )

    digest = models.TextField(primary_key=True)
    subject = models.TextField(db_index=True)
    field = models.TextField()
    sealed = models.BinaryField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="disclosure_digest_is_sha256", condition=models.Q(digest__regex=r"^[A-Za-z0-9_-]{43}$")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.field} of {self.subject}"
