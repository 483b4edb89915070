"""An entry as a line of a list, and in words."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from django.utils import timezone

from audit import actions
from audit.models import Entry

_UUID_LENGTH: Final = 36
_NOUNS: Final = {
    "promotionrequest": "request",
    "modelversion": "version",
    "registeredmodel": "model",
    "checkrun": "check",
    "policyversion": "policy",
    "datasetversion": "data set",
    "apitoken": "token",
    "group": "team",
    "user": "account",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One entry in the list. ``day`` is set where a new day begins; ``signed`` for what people put their name to."""

    entry: Entry
    day: date | None
    words: str
    sealed: bool
    signed: bool


def lines_of(rows: list[Entry], size: int) -> list[Line]:
    lines, last = [], None
    for entry in rows:
        day = timezone.localdate(entry.at)
        lines.append(line_of(entry, size, day if day != last else None))
        last = day
    return lines


def line_of(entry: Entry, size: int, day: date | None = None) -> Line:
    signed = entry.action in {"decision.signed", "waiver.signed"}
    return Line(entry, day, words_of(entry), entry.index < size, signed)


def words_of(entry: Entry) -> str:
    """The entry in words, without who: the column before it says that. ``named`` has told of whom."""
    ident = entry.whom or str(entry.object_version) or str(entry.object_id)
    short = ident[:8] if len(ident) == _UUID_LENGTH else ident
    kind = str(entry.object_type).rpartition(".")[2]
    noun = _NOUNS.get(kind, kind)
    template = actions.sentence(str(entry.action), actor="", subject="")
    subject = short if noun in template else f"{noun} {short}"
    return actions.sentence(str(entry.action), actor="", subject=subject).strip().removeprefix(":").strip()
