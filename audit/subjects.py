"""What an entry is about: a kind of thing and its id, as words, so that the ledger outlives the row."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from django.db import models

from audit.canonical import Json, canonical


@dataclass(frozen=True, slots=True)
class Subject:
    """``type`` is ``app.model``; ``version`` and ``digest`` say which state of the object the entry speaks of."""

    type: str
    id: str
    version: str = ""
    digest: str = ""


@runtime_checkable
class HasLedgerFacts(Protocol):
    """A model that says which of its fields an entry vouches for."""

    def ledger_facts(self) -> Mapping[str, Json]:
        """Return the facts whose canonical SHA-256 becomes the entry's object digest."""
        ...


def subject_of(obj: models.Model) -> Subject:
    """Return the subject of a saved row: label, primary key, ``ledger_version`` and the digest of ``ledger_facts()``.

    Raises ``ValueError`` for a row without a primary key.
    """
    if obj.pk is None:
        raise ValueError(f"{obj._meta.label_lower} has no primary key yet: save it before it is logged")
    digest = ""
    if isinstance(obj, HasLedgerFacts):
        digest = hashlib.sha256(canonical(dict(obj.ledger_facts()))).hexdigest()
    return Subject(
        type=obj._meta.label_lower, id=str(obj.pk), version=str(getattr(obj, "ledger_version", "")), digest=digest
    )
