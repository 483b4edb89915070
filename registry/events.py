"""What webhooks may be told of, and which entries of the ledger tell it.

Each app declares a ``Table``, named in ``settings.WEBHOOK_EVENTS``: the registry sends what governance declares without
knowing of governance. An event is ``entity.action``, as MLflow names its own (mlflow/entities/webhook.py, 3.17).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from django.conf import settings
from django.utils.module_loading import import_string

from audit.models import Entry

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of event: its name, when it happens in words, and the ``data`` of a sample."""

    name: str
    words: str
    example: Mapping[str, Any]
    mlflow: bool = False
    """Whether MLflow's client knows it too."""

    @property
    def entity(self) -> str:
        """What it is about, such as ``model_version``."""
        return self.name.partition(".")[0]

    @property
    def action(self) -> str:
        """What happened, such as ``created``."""
        return self.name.partition(".")[2]


@dataclass(frozen=True, slots=True)
class Happening:
    """An entry, as a receiver is told: the name of the event, its ``data``, and the object whose order is kept."""

    event: str
    data: Data
    about: str


Reader = Callable[[Entry], Happening | None]


@dataclass(frozen=True, slots=True)
class Table:
    """The events of one app, and who reads which action of the ledger; a reader may find nothing worth telling."""

    events: tuple[Event, ...]
    readers: Mapping[str, Reader]


PERSON: Final = {"id": "user:1", "name": "ada", "kind": "user"}


@cache
def _tables() -> tuple[Table, ...]:
    tables = tuple(import_string(path) for path in settings.WEBHOOK_EVENTS)
    names = [event.name for table in tables for event in table.events]
    actions = [action for table in tables for action in table.readers]
    if len(set(names)) != len(names) or len(set(actions)) != len(actions):
        raise ValueError("an event, or the reader of an action, is declared twice in settings.WEBHOOK_EVENTS")
    return tables


@cache
def known() -> Mapping[str, Event]:
    """Every event, by name, in the order of its table."""
    return {event.name: event for table in _tables() for event in table.events}


@cache
def _readers() -> Mapping[str, Reader]:
    return {action: reader for table in _tables() for action, reader in table.readers.items()}


def actions() -> frozenset[str]:
    """The actions of the ledger that may become an event."""
    return frozenset(_readers())


def read(entry: Entry) -> Happening | None:
    """What the entry means to a receiver, or None."""
    reader = _readers().get(str(entry.action))
    return reader(entry) if reader else None
