"""What a data pack is made of. A pack is plain JSON: numbered sections of facts, tables, texts and signatures, with raw values.

The same pack is shown as PDF, as page and as CSV (``display``), and is itself the machine-readable form: every column says
its key, its label and its kind, every value stands there as it was measured. Nothing here knows how it will look.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

FORMAT: Final = "countersign-report/1"
Kind = Literal[
    "text",
    "code",
    "number",
    "share",
    "count",
    "size",
    "digest",
    "moment",
    "instant",
    "day",
    "verdict",
    "yesno",
    "entry",
    "list",
    "estimate",
    "headroom",
    "rate",
]
"""How a value is written. ``share`` is a part of one; ``moment``, ``instant`` (to the second) and ``day`` are ISO 8601;
``entry`` is an index in the log.

``estimate`` is ``{"value", "low", "high"}``; ``headroom`` ``{"room", "live", "low", "high", "exact"}`` in shares of the way
from limit to ideal; ``rate`` ``{"value", "low", "high", "line", "start", "stop"}``.
"""
Value = Any


@dataclass(frozen=True, slots=True)
class Fact:
    """One named value. Without content it is shown as empty, never left out; ``why`` says what its absence means."""

    key: str
    label: str
    value: Value = None
    kind: Kind = "text"
    why: str = ""
    source: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "key": self.key,
            "label": self.label,
            "kind": self.kind,
            "value": plain(self.value),
            "why": self.why,
            "source": self.source,
        }

    @property
    def empty(self) -> bool:
        """Whether nothing was recorded."""
        return is_empty(self.value)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. ``optional``: a missing value is ordinary and written as a dash. ``weight``: share of width."""

    key: str
    label: str
    kind: Kind = "text"
    optional: bool = False
    weight: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "key": self.key,
            "label": self.label,
            "kind": self.kind,
            "optional": self.optional,
            "weight": self.weight,
        }


@dataclass(frozen=True, slots=True)
class Facts:
    """Named values, one under the other."""

    key: str
    facts: Sequence[Fact]
    title: str = ""
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        rows = [fact.as_dict() for fact in self.facts]
        return {"type": "facts", "key": self.key, "title": self.title, "note": self.note, "facts": rows}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows by column key. ``nothing`` is the sentence that stands in place of a table without rows."""

    key: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Value]]
    title: str = ""
    note: str = ""
    nothing: str = "There are none."

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types. A row holds a value, or null, for every column and nothing else."""
        names = [column.key for column in self.columns]
        return {
            "type": "table",
            "key": self.key,
            "title": self.title,
            "note": self.note,
            "nothing": self.nothing,
            "columns": [column.as_dict() for column in self.columns],
            "rows": [{name: plain(row.get(name)) for name in names} for row in self.rows],
        }


@dataclass(frozen=True, slots=True)
class Text:
    """Words of a person. ``binding``: somebody signed them."""

    key: str
    text: str
    title: str = ""
    binding: bool = False
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "type": "text",
            "key": self.key,
            "title": self.title,
            "text": self.text,
            "binding": self.binding,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Signatures:
    """Signatures with what 21 CFR 11.50 asks for: name, date and time, meaning; and where the log has each."""

    key: str
    signatures: Sequence[Mapping[str, Value]]
    title: str = ""
    nothing: str = "Nobody has signed."
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "type": "signatures",
            "key": self.key,
            "title": self.title,
            "nothing": self.nothing,
            "note": self.note,
            "signatures": [{key: plain(value) for key, value in one.items()} for one in self.signatures],
        }


Block = Facts | Table | Text | Signatures


@dataclass(frozen=True, slots=True)
class Section:
    """A numbered part. ``finding`` answers it in a sentence."""

    key: str
    title: str
    finding: str
    blocks: Sequence[Block] = ()
    source: str = ""
    record: bool = False

    def as_dict(self, number: int) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "key": self.key,
            "number": number,
            "title": self.title,
            "finding": self.finding,
            "source": self.source,
            "record": self.record,
            "blocks": [block.as_dict() for block in self.blocks],
        }


@dataclass(frozen=True, slots=True)
class File:
    """A machine-readable file that goes with the report: attached to the PDF, named with its digest in the pack."""

    name: str
    media_type: str
    content: bytes
    about: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types, without the content."""
        return {
            "name": self.name,
            "media_type": self.media_type,
            "about": self.about,
            "size": len(self.content),
            "sha256": hashlib.sha256(self.content).hexdigest(),
        }


@dataclass(frozen=True, slots=True)
class Source:
    """What a report answers to: where it stands, since when it holds, and what a reader must know about that."""

    title: str
    citation: str
    effective: str
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"title": self.title, "citation": self.citation, "effective": self.effective, "note": self.note}


@dataclass(frozen=True, slots=True)
class LogHead:
    """The checkpoint that the report rests on. The report is as of its time, and carries it as its time stamp."""

    origin: str
    size: int
    root: str
    at: datetime
    note: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "origin": self.origin,
            "size": self.size,
            "root": self.root,
            "at": plain(self.at),
            "checkpoint": self.note,
        }


@dataclass(frozen=True, slots=True)
class Pack:
    """A whole report: ``data`` is what is rendered, hashed and attached; ``files`` go with it."""

    report: str
    kind: str
    label: str
    title: str
    answer: str
    log: LogHead
    sections: Sequence[Section]
    question: str = ""
    seal: int = 0
    verdict: str = ""
    subject: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Value] = field(default_factory=dict)
    head: Sequence[Fact] = ()
    sources: Sequence[Source] = ()
    limits: Sequence[str] = ()
    files: Sequence[File] = ()
    installation: str = ""

    @property
    def data(self) -> dict[str, Any]:
        """The pack as JSON types, always in the same order."""
        return {
            "format": FORMAT,
            "report": self.report,
            "kind": self.kind,
            "label": self.label,
            "title": self.title,
            "question": self.question,
            "answer": self.answer,
            "verdict": self.verdict,
            "seal": self.seal,
            "subject": dict(self.subject),
            "parameters": {key: plain(value) for key, value in self.parameters.items()},
            "installation": self.installation,
            "as_of": plain(self.log.at),
            "log": self.log.as_dict(),
            "head": [fact.as_dict() for fact in self.head],
            "sources": [source.as_dict() for source in self.sources],
            "sections": [section.as_dict(number) for number, section in enumerate(self.sections, 1)],
            "limits": list(self.limits),
            "files": [file.as_dict() for file in self.files],
        }

    @property
    def content(self) -> bytes:
        """The bytes of the machine-readable pack."""
        return pack_bytes(self.data)


def pack_bytes(data: Mapping[str, Any]) -> bytes:
    """A pack as UTF-8 JSON: sorted keys, no white space, shortest numbers. Equal packs give equal bytes."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def is_empty(value: Value) -> bool:
    """Whether a value says nothing: null, no words, an empty list. Zero and no are values."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], (), {})


def plain(value: Value) -> Value:
    """``value`` in JSON types: moments as ISO 8601 in UTC with microseconds, sequences as lists."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S.%f}Z"
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value
    return [plain(item) for item in value]
