"""Which rows the ledger vouches for, and under whose name: every model says it of itself, and everything follows from it.

    class VersionTag(models.Model):
        ledger_entry_of = EntryOf("registry.modelversion", "version_id")   # a row of a version, logged as the version
    class Challenge(models.Model):
        ledger_free = "A nonce that is worth nothing after half an hour."  # why no entry vouches for it

From the list are made the deferred triggers that refuse a COMMIT without its entry (``audit.triggers``), the history that
pages of a past day are read from, and the comparison of tables and log (``audit.reconcile``). Models of other people's
packages, and tables that Django makes by itself, are spoken for by an app of ours, in ``AppConfig.ledger_of_others``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import models

OURS: Final = ("audit", "registry", "governance", "monitoring")
"""The apps whose models must say it. Of others, those must be spoken for that have tables here at all."""


@dataclass(frozen=True, slots=True)
class EntryOf:
    """A row's changes are logged under the object of kind ``type`` whose id is in the database column ``column``.

    Without ``type`` and ``column`` that object is the row itself. ``quiet`` names columns of which a change (never an
    insert or a delete) needs no entry, ``because`` why.
    """

    type: str = ""
    column: str = ""
    quiet: tuple[str, ...] = ()
    because: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a row finds its object: the kind, and the column that holds the id."""

    type: str
    column: str


@dataclass(frozen=True, slots=True)
class Governed:
    """A governed table. Of several sources, a row's object is the first whose column is not null."""

    model: type[models.Model] = field(repr=False)
    label: str
    table: str
    key: str
    sources: tuple[Source, ...]
    quiet: tuple[str, ...]
    because: str

    @property
    def is_object(self) -> bool:
        """Whether its rows are objects of the log themselves, and not rows of another."""
        return self.sources == (Source(self.label, self.key),)


def governed_models() -> list[Governed]:
    """Every governed table, by label. Raises ``ImproperlyConfigured`` for a model that says nothing or nonsense."""
    return [_governed(model, said) for model, said in _declarations() if not isinstance(said, str)]


def free_models() -> dict[str, str]:
    """The models that no entry vouches for, and why."""
    return {model._meta.label_lower: said for model, said in _declarations() if isinstance(said, str)}


def _declarations() -> Iterator[tuple[type[models.Model], EntryOf | tuple[EntryOf, ...] | str]]:
    others = {
        label: said
        for config in apps.get_app_configs()
        for label, said in getattr(config, "ledger_of_others", {}).items()
    }
    models_by_label: Mapping[str, type[models.Model]] = {
        model._meta.label_lower: model for model in apps.get_models(include_auto_created=True) if model._meta.managed
    }
    for label in sorted(models_by_label):
        model = models_by_label[label]
        of, free = getattr(model, "ledger_entry_of", None), getattr(model, "ledger_free", None)
        said = [one for one in (of, free, others.get(label)) if one]
        if len(said) != 1:
            raise ImproperlyConfigured(
                f"{label} must say either which entry vouches for its rows (ledger_entry_of) or why none does (ledger_free)."
            )
        yield model, said[0]


def _governed(model: type[models.Model], said: EntryOf | tuple[EntryOf, ...]) -> Governed:
    given = said if isinstance(said, tuple) else (said,)
    meta = model._meta
    label, key = meta.label_lower, str(getattr(meta.pk, "column", ""))
    columns = {str(one.column) for one in meta.concrete_fields}
    sources = tuple(Source(one.type or label, one.column or key) for one in given)
    quiet = tuple(column for one in given for column in one.quiet)
    because = " ".join(one.because for one in given if one.because)
    if unknown := sorted({*quiet, *(one.column for one in sources)} - columns):
        raise ImproperlyConfigured(f"{label} has no column {unknown[0]!r}, of which its ledger_entry_of speaks.")
    if bool(quiet) != bool(because):
        raise ImproperlyConfigured(f"{label}: columns that change without an entry need a reason, and only they.")
    return Governed(model, label, meta.db_table, key, sources, quiet, because)
