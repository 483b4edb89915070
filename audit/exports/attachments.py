"""What else is known of a checkpoint and of the entries: cosignatures, time stamps, the head map, the names of people.

What an installation does not have is left out, and the verifier says that it is not there.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from audit import personal, selectors
from audit.canonical import Json, canonical
from audit.models import Checkpoint, Entry
from audit.witnessing import heads
from audit.witnessing import selectors as witnesses
from audit.witnessing.configured import Misconfigured
from config.waiting import until

HEADS_AT_ONCE: Final = 20_000
"""Size of the log up to which the head map is proved unasked: making the proofs reads every stream of the log."""
_COMMITMENT: Final = re.compile(rb'\{"digest":"([A-Za-z0-9_-]{43})","field":"([a-z0-9_]+)","subject":"([^"\\]+)"\}')


def newest(at_least: int = 0, *, seconds: float = 0.0) -> Checkpoint | None:
    """The newest checkpoint of ``at_least`` entries that enough witnesses cosigned; else the newest there is.

    Waits for the witnesses as long as ``seconds``: what they have not seen, a verifier who knows them refuses.
    """
    try:
        size = until(lambda: witnesses.cosigned_size(at_least), seconds=seconds)
    except Misconfigured:
        size = None
    return selectors.head() if size is None else Checkpoint.objects.get(size=size)


def note(checkpoint: Checkpoint) -> str:
    """Return the signed note of the checkpoint, with every cosignature that is known."""
    try:
        return witnesses.cosigned_note(checkpoint.size)
    except Misconfigured:
        return checkpoint.note


def stamps(checkpoint: Checkpoint) -> list[tuple[str, bytes]]:
    """Return the time stamps over the checkpoint, as members."""
    return [(f"log/timestamps/{name}", token) for name, token in witnesses.timestamps(checkpoint.size)]


@dataclass(frozen=True, slots=True)
class Heads:
    """The entry with the latest head map below a size, and what it proves of some objects."""

    entry: int
    document: dict[str, Json]


def heads_of(size: int, subjects: Sequence[tuple[str, str]]) -> Heads | None:
    """Prove where the streams of the objects ended when the map was made. None without a map or without objects.

    Reads every stream of the log, so of a large one it is not for a request.
    """
    found = heads.map_within(size)
    if found is None or not subjects:
        return None
    entry, mapped = found
    proofs: list[Json] = [
        {
            "type": one.head.type,
            "id": one.head.id,
            "n": one.head.n,
            "index": one.head.index,
            "number": one.number,
            "hashes": [digest.hex() for digest in one.hashes],
        }
        for one in heads.prove_heads(mapped.size, subjects)
    ]
    return Heads(int(entry.index), {"entry": int(entry.index), "proofs": proofs})


@dataclass(slots=True)
class People:
    """Collects the commitments of the entries that pass by, to open them at the end."""

    seen: set[tuple[str, str, str]] = field(default_factory=set)

    def look(self, lines: bytes) -> None:
        """Take the commitments out of lines of the log, without reading each as JSON."""
        for digest, name, subject in set(_COMMITMENT.findall(lines)):
            self.seen.add((digest.decode(), name.decode(), subject.decode()))

    def members(self) -> Iterable[tuple[str, bytes]]:
        """The disclosures, and who was erased."""
        told = [{"digest": digest, "field": name, "subject": subject} for digest, name, subject in sorted(self.seen)]
        rows = personal.disclosures([cast(Entry, _Committed({"commitments": told}))]) if told else []
        if rows:
            yield "people.json", canonical(cast(Json, rows))


@dataclass(frozen=True, slots=True)
class _Committed:
    """As much of an entry as ``personal.disclosures`` reads."""

    body: dict[str, Any]
