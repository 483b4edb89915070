"""Models that the gate lets through, by the word of whoever operates the installation."""

from typing import ClassVar, Final

from django.db import models
from django.db.models import F, Q

from audit.governed import EntryOf
from governance.querysets import GateExemptionQuerySet

WHOLE_INSTANCE: Final = "*"
"""The name that stands for every model."""


class GateExemption(models.Model):
    """No policy gates the living model of exactly this name (``*``: any model) while ``ended_at`` is empty.

    The runtime roles may only read this table (``ledger_read_only``): an exemption begins and ends with the setting
    UNGOVERNED_MODELS, applied by the start-up step as the owner. What a living permit holds stays held.
    """

    ledger_entry_of: ClassVar = EntryOf()

    ledger_read_only: ClassVar[bool] = True

    name = models.CharField(max_length=256)
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = GateExemptionQuerySet.as_manager()

    class Meta:
        ordering = ["name", "began_at"]
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=Q(ended_at=None), name="gateexemption_one_in_force"),
            models.CheckConstraint(name="gateexemption_name_not_empty", condition=~Q(name="")),
            models.CheckConstraint(
                name="gateexemption_ends_after_it_began", condition=Q(ended_at=None) | Q(ended_at__gte=F("began_at"))
            ),
        ]

    @property
    def ledger_version(self) -> str:
        """The words by which the ledger's readers know it."""
        return str(self)

    def __str__(self) -> str:
        return "every model" if self.name == WHOLE_INSTANCE else self.name
