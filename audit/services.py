"""The one way into the ledger."""

import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Final

from django.conf import settings
from django.db import connection, models

from audit import actions, personal
from audit.actors import Actor
from audit.canonical import Json, NotCanonical, canonical
from audit.commitments import Personal
from audit.subjects import Subject, subject_of
from config import statements
from config.errors import Invalid

FORMAT: Final = 2
LONGEST_REASON: Final = 10_000
LONGEST_ENTRY: Final = 65_000
"""A leaf, which adds its place in a stream, must fit into an entry bundle (65,535 bytes; C2SP tlog-tiles)."""
_NOTHING: Final[Mapping[str, Json]] = {}


class OutsideTransaction(RuntimeError):
    """``append`` was called without a transaction, so the change and its entry could part."""


def append(
    *,
    action: str,
    subject: Subject | models.Model,
    by: Actor,
    diff: Mapping[str, Json] = _NOTHING,
    reason: str = "",
    facts: Mapping[str, Json] = _NOTHING,
    people: Iterable[Personal] = (),
) -> str:
    """Log a change in the caller's transaction and return the id of its entry.

    The entry exists if and only if the transaction commits: it is sent with the next statement or with COMMIT, and if it
    cannot be kept, that raises. It takes no lock that another writer could wait for. Its index in the log is assigned
    shortly after the commit, by the sequencer.

    An entry is for ever, so it says nothing personal: people are account ids (``user:7``) in ``diff`` and ``facts``, and
    what is personal about them goes into ``people``, of which the entry keeps salted commitments (``audit.personal``); the
    actor's user name is always among them. What somebody writes as a ``reason`` is kept as it is.

    Raises ``OutsideTransaction``, ``audit.actions.UnknownAction``, ``audit.canonical.NotCanonical`` (naming the place
    in ``diff`` or ``facts``) for mistakes of the calling code, and ``Invalid`` for a ``reason`` that cannot be kept.
    """
    if not connection.in_atomic_block:
        raise OutsideTransaction(f"{action} must be logged inside the transaction.atomic() of the change itself")
    actions.get(action)
    about = subject if isinstance(subject, Subject) else subject_of(subject)
    if not about.type or not about.id:
        raise ValueError(f"{action}: the subject needs a type and an id")
    if len(reason) > LONGEST_REASON:
        raise Invalid(f"The reason is longer than {LONGEST_REASON} characters.", code="ledger.reason", field="reason")
    microseconds = time.time_ns() // 1000
    entry_id = _time_ordered_id(microseconds // 1000)
    entry: dict[str, Json] = {
        "v": FORMAT,
        "id": entry_id,
        "salt": secrets.token_hex(16),
        "at": microseconds,
        "action": action,
        "actor": {"id": by.id, "kind": by.kind, "session": by.session, "auth": by.auth},
        "object": {"type": about.type, "id": about.id, "version": about.version, "digest": about.digest},
        "request_id": by.request_id,
        "diff": diff,
        "reason": reason,
        "facts": facts,
        "commitments": personal.committed([*_actor(by), *people]),
        "source": settings.VERSION,
    }
    try:
        body = canonical(entry)
    except NotCanonical as error:
        if error.path != "reason":
            raise
        raise Invalid(f"The reason cannot be kept: {error.problem}.", code="ledger.reason", field="reason") from error
    if len(body) > LONGEST_ENTRY:
        raise ValueError(f"{action}: an entry of {len(body)} bytes; the limit is {LONGEST_ENTRY}: log a digest instead")
    statements.postpone("INSERT INTO audit_inbox (canon) VALUES (%s)", [body.decode()])
    return entry_id


def _actor(by: Actor) -> list[Personal]:
    """What is personal about the actor: nothing, if it is no account."""
    return [Personal(by.id, personal.USERNAME, by.name)] if by.kind == "user" and by.name else []


def _time_ordered_id(milliseconds: int) -> str:
    """Return a UUID version 7 (RFC 9562 5.7): sorts by time, 74 random bits."""
    value = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
