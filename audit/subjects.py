"""What an entry is about: a kind of thing and its id, as words, so that the ledger outlives the row.

An entry of a change says in ``object.digest`` what the object was like afterwards: the digest of its row, but for the
columns that need no entry (``audit.governed``), and of the rows that are logged as its own (tags of a version, members of
a team). So whoever edits a row behind the log's back makes it differ from its last entry, which ``audit.reconcile`` finds.
What is digested is never published: secrets enter it as digests of their own.

    append(action="version.tag_set", subject=version, …)           # after the change
    append(action="alias.deleted", subject=gone(alias), …)
    append(action="gate.refused", subject=mention(version), …)     # says nothing of what the version is like
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, Final
from uuid import UUID

import orjson
from django.apps import apps
from django.db import models
from django.utils.module_loading import import_string

from audit.governed import EntryOf

SCHEME: Final = "2:"
"""What every digest of this kind begins with. Those of the first releases covered fewer columns and begin with nothing."""
GONE: Final = f"{SCHEME}gone"
MIGRATED: Final = "migrated"
_EXACT: Final = 2**53


@dataclass(frozen=True, slots=True)
class Subject:
    """``type`` is ``app.model``; ``version`` and ``digest`` say which state of the object the entry speaks of."""

    type: str
    id: str
    version: str = ""
    digest: str = ""


def subject_of(obj: models.Model) -> Subject:
    """Return the subject of a saved row as it is now: label, primary key, ``ledger_version`` and digest.

    Raises ``ValueError`` for a row without a primary key.
    """
    _check_saved(obj)
    return _subject(obj, digest_of(obj))


def mention(obj: models.Model) -> Subject:
    """Return the subject of an entry that is about the row but says nothing of what it is like: a refusal, a sign-in."""
    return _subject(obj, "")


def gone(obj: models.Model) -> Subject:
    """Return the subject of the entry that says that the row is deleted."""
    return _subject(obj, GONE)


def migrated(obj: models.Model) -> Subject:
    """Return the subject of an entry that a data migration writes: its models are of the past and know no digest.

    The row is compared again after its next change.
    """
    return _subject(obj, MIGRATED)


def _subject(obj: models.Model, digest: str) -> Subject:
    _check_saved(obj)
    version = str(getattr(obj, "ledger_version", ""))
    return Subject(type=obj._meta.label_lower, id=str(obj.pk), version=version, digest=digest)


def _check_saved(obj: models.Model) -> None:
    if obj.pk is None:
        raise ValueError(f"{obj._meta.label_lower} has no primary key yet: save it before it is logged")


def digest_of(obj: models.Model) -> str:
    """Return the digest of what the ledger vouches for of this object; nothing for what is no object of the ledger.

    That is what ``ledger_facts()`` of its model returns (``row_facts`` and the rows that are logged as its own), or the row.
    """
    own: Callable[[], Mapping[str, object]] | None = getattr(obj, "ledger_facts", None)
    if own is not None:
        facts = own()
    elif (function := _facts_of_others().get(obj._meta.label_lower)) is not None:
        facts = import_string(function)(obj)
    elif isinstance(getattr(type(obj), "ledger_entry_of", None), EntryOf):
        facts = row_facts(obj)
    else:
        return ""
    return SCHEME + hashlib.sha256(orjson.dumps(plain(facts), option=orjson.OPT_SORT_KEYS)).hexdigest()


def row_facts(row: models.Model) -> dict[str, object]:
    """Return the columns of a row that need an entry to change."""
    return {column: getattr(row, name) for name, column in _columns(type(row))}


@cache
def _columns(model: type[models.Model]) -> tuple[tuple[str, str], ...]:
    said = getattr(model, "ledger_entry_of", ())
    quiet = {column for one in (said if isinstance(said, tuple) else (said,)) for column in one.quiet}
    fields = model._meta.concrete_fields
    return tuple((field.attname, str(field.column)) for field in fields if field.column not in quiet)


@cache
def _facts_of_others() -> dict[str, str]:
    """Where the facts of models of other people's packages are, as an app of ours says (``ledger_facts_of_others``)."""
    return {
        label: path
        for config in apps.get_app_configs()
        for label, path in getattr(config, "ledger_facts_of_others", {}).items()
    }


def plain(value: Any) -> object:  # noqa: ANN401, PLR0911 - whatever a column holds, a line per kind
    """Return a value as it reads before it is stored and after: numbers by value, moments in microseconds, bytes by digest.

    Raises ``TypeError`` for what no column holds.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (int, float)):
        # PostgreSQL's jsonb writes 1e+20 in digits, and Python reads them as a whole number.
        return int(value) if abs(value) <= _EXACT and value == int(value) else float(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return int(value.timestamp()) * 1_000_000 + value.microsecond
    if isinstance(value, (date, timedelta)):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    raise TypeError(f"a digest cannot cover {type(value).__name__}")
