"""How long entries are kept, and what is held longer: data that administrators keep, and what follows from it.

A rule names a kind of action or of object by its beginning; of all that fit an entry the longest holds. Without any an entry
is kept ``DEFAULT_DAYS``. A legal hold keeps an object, a person or a period until somebody releases it, whatever the rules say.
Both only ever keep: what is due is taken away by ``manage.py audit_prune`` alone (``audit.pruning``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final

from django.db import models
from django.db.models import Q

from audit.governed import EntryOf

DEFAULT_DAYS: Final = 3653
"""Ten years: the AI Act, Article 18, for a provider's documentation of a high-risk system."""
FOR_EVER: Final = 0


class RetentionRule(models.Model):
    """Entries whose action (or kind of object) begins with ``prefix`` are kept for ``days``; 0 is for ever."""

    class Of(models.TextChoices):
        ACTION = "action", "Action"
        OBJECT = "object", "Kind of object"

    ledger_entry_of: ClassVar = EntryOf()

    of = models.CharField(max_length=10, choices=Of)
    prefix = models.CharField(max_length=100)
    days = models.PositiveIntegerField()
    basis = models.CharField(max_length=400, help_text="The rule of law or of the house that asks for it.")

    class Meta:
        ordering = ["of", "prefix"]
        constraints = [
            models.UniqueConstraint(fields=["of", "prefix"], name="retentionrule_one_for_each"),
            models.CheckConstraint(
                name="retentionrule_prefix_is_a_name", condition=Q(prefix__regex=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]*)*$")
            ),
            models.CheckConstraint(name="retentionrule_at_most_a_century", condition=Q(days__lte=36525)),
        ]

    def __str__(self) -> str:
        return f"{self.of} {self.prefix}"

    def ledger_facts(self) -> dict[str, object]:
        """All of it."""
        return {"of": self.of, "prefix": self.prefix, "days": self.days, "basis": self.basis}


class LegalHold(models.Model):
    """Nothing that it covers is pruned, and no person that it names is erased, until it is released. Never deleted."""

    class Of(models.TextChoices):
        OBJECT = "object", "An object"
        PERSON = "person", "A person"
        PERIOD = "period", "A period"

    ledger_entry_of: ClassVar = EntryOf()

    of = models.CharField(max_length=10, choices=Of)
    object_type = models.CharField(max_length=100, blank=True)
    object_id = models.CharField(max_length=255, blank=True)
    since = models.DateTimeField(null=True, blank=True)
    until = models.DateTimeField(null=True, blank=True)
    reason = models.TextField()
    set_by = models.CharField(max_length=255)
    set_at = models.DateTimeField()
    release_reason = models.TextField(blank=True)
    released_by = models.CharField(max_length=255, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-set_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="legalhold_covers_what_it_says",
                condition=(Q(of="object", since=None, until=None) & ~Q(object_type="") & ~Q(object_id=""))
                | (Q(of="person", since=None, until=None, object_type="") & ~Q(object_id=""))
                | Q(of="period", object_type="", object_id="", since__isnull=False, until__gt=models.F("since")),
            ),
            models.CheckConstraint(
                name="legalhold_release_is_whole",
                condition=Q(released_at=None, released_by="", release_reason="")
                | (Q(released_at__isnull=False) & ~Q(released_by="") & ~Q(release_reason="")),
            ),
        ]

    @property
    def about(self) -> str:
        """What it covers, in words."""
        if self.of == self.Of.PERIOD and self.since and self.until:
            return f"everything from {self.since:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M} UTC"
        return f"{self.object_type}:{self.object_id}" if self.of == self.Of.OBJECT else self.object_id

    def __str__(self) -> str:
        return f"hold {self.pk}: {self.about}"

    def ledger_facts(self) -> dict[str, object]:
        """What it covers and whether it holds."""
        return {
            "of": self.of,
            "object_type": self.object_type,
            "object_id": self.object_id,
            "since": self.since.isoformat() if self.since else "",
            "until": self.until.isoformat() if self.until else "",
            "released": self.released_at is not None,
        }


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one moment, as data."""

    actions: tuple[tuple[str, int], ...] = ()
    objects: tuple[tuple[str, int], ...] = ()
    default: int = DEFAULT_DAYS

    def days(self, action: str, object_type: str) -> int:
        """Return how long an entry is kept; 0 is for ever. Of what fits, the longest: keeping too long can be mended."""
        fitting = [days for prefix, days in self.actions if action.startswith(prefix)]
        fitting += [days for prefix, days in self.objects if object_type.startswith(prefix)]
        if not fitting:
            return self.default
        return FOR_EVER if FOR_EVER in fitting else max(fitting)

    def ends(self, action: str, object_type: str, at: datetime) -> datetime | None:
        """Return when an entry of that moment need not be kept any more; None is never."""
        days = self.days(action, object_type)
        return at + timedelta(days=days) if days else None


def rules() -> Rules:
    """Return the rules as they are now."""
    found: dict[str, list[tuple[str, int]]] = {RetentionRule.Of.ACTION: [], RetentionRule.Of.OBJECT: []}
    for of, prefix, days in RetentionRule.objects.values_list("of", "prefix", "days"):
        found[of].append((prefix, days))
    return Rules(tuple(found[RetentionRule.Of.ACTION]), tuple(found[RetentionRule.Of.OBJECT]))


def standing_holds() -> Sequence[LegalHold]:
    """Return the holds that are not released."""
    return list(LegalHold.objects.filter(released_at=None))


def holds_on_person(subject: str) -> Sequence[LegalHold]:
    """Return the holds that keep a person from being erased: on the person, and on the account as an object."""
    account = Q(of=LegalHold.Of.OBJECT, object_type="registry.user", object_id=subject.removeprefix("user:"))
    person = Q(of=LegalHold.Of.PERSON, object_id=subject)
    return list(LegalHold.objects.filter(person | account, released_at=None))


def holding(holds: Iterable[LegalHold], *, first: datetime, last: datetime) -> list[LegalHold]:
    """Return the holds of a period that touch the time from ``first`` to ``last``."""
    period = LegalHold.Of.PERIOD
    return [
        one
        for one in holds
        if one.of == period and one.since and one.until and one.since <= last and one.until >= first
    ]
