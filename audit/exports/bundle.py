"""Writes evidence bundles. The layout, and what proves what in it, is docs/auditors/bundle.md.

A bundle is written in one pass and in bounded memory, however long the extract: first the log, then the other members in
the order given, the manifest last. The same arguments at the same checkpoint give the same bytes.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from django.db import connection

from audit import keys
from audit.canonical import Json, canonical
from audit.exports import attachments
from audit.exports.archive import Archive, BadMember
from audit.exports.extract import Interval, chunks, intervals, lines, union
from audit.models import Checkpoint, Entry
from config.errors import NotFound

__all__ = [
    "FORMAT",
    "KINDS",
    "VERIFIER",
    "BadMember",
    "Contents",
    "Written",
    "checkpoint_of",
    "positions",
    "write_bundle",
]

FORMAT: Final = "countersign-bundle/2"
KINDS: Final = ("request", "version", "model", "period", "sample", "log")
VERIFIER: Final = Path(__file__).with_name("verify.py")
Progress = Callable[[int, int], None]
"""Told how many entries are written, and of how many."""

README: Final = """Countersign evidence bundle

Check it, offline:

    pip install cryptography
    python verify.py bundle.zip --key ledger.pub.pem

Take verify.py and ledger.pub.pem from a place you trust, such as the auditor's page of the installation on another day,
or a colleague. The copies in this bundle show that the bundle agrees with itself; they cannot show who made it.

question.json says what was asked, and of which size of the log. manifest.json lists every file with its SHA-256. log/ holds
the ledger entries, and what is needed to hash them up to the root in log/checkpoint.txt. left-out.json, if it is there, says
what was left out and why. Files named by 64 hexadecimal digits have that SHA-256, and an entry of the log names it.
report.pdf is there if question.json asks for a report, which a worker makes; a bundle that the server answers at once has
none. It is for reading, and nothing rests on it. What proves what is described in docs/auditors/bundle.md of the project.
"""


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes into a bundle besides what every bundle has.

    ``subjects`` (type, id) bring every entry about them, and are shown to be complete. ``ranges`` bring whole stretches of
    the log. ``without`` names entries about the subjects of which only the hash is shown. ``heads``: prove by the head map
    that the objects have no other entries; left open, it is done for a log small enough. ``left_out`` says what the asker
    may not see or what is no longer there: ``what`` and ``why``, and ``sha256`` where a digest in the log names it.
    """

    kind: str
    question: Mapping[str, Json]
    members: Iterable[tuple[str, bytes]] = ()
    subjects: Iterable[tuple[str, str]] = ()
    ranges: Sequence[Interval] = ()
    indices: Iterable[int] = ()
    without: frozenset[int] = frozenset()
    heads: bool | None = None
    left_out: Sequence[Mapping[str, str]] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Written:
    """A finished bundle: of which size of the log, its own digest and length, and how many entries are in it."""

    log_size: int
    sha256: str
    length: int
    entries: int


def write_bundle(
    out: IO[bytes], contents: Contents, *, size: int | None = None, progress: Progress | None = None
) -> Written:
    """Write a bundle to ``out``, which need not be seekable, proved against the checkpoint of ``size`` or the latest.

    Raises ``BadMember``; ``NotFound`` for an empty log, a size without a checkpoint, or an entry the log does not have.
    """
    checkpoint = checkpoint_of(size)
    subjects = sorted(set(contents.subjects))
    streams = [one for one in positions(subjects, checkpoint.size) if one[1] not in contents.without]
    proved = (contents.heads is None and checkpoint.size <= attachments.HEADS_AT_ONCE) or contents.heads
    heads = attachments.heads_of(checkpoint.size, sorted({about for about, _, _ in streams})) if proved else None
    indices = [*_checked(contents.indices, checkpoint.size), *(index for _, index, _ in streams)]
    wanted = union(
        intervals([*indices, *([heads.entry] if heads else [])]),
        [(max(begin, 0), min(end, checkpoint.size)) for begin, end in contents.ranges],
    )
    total = sum(end - begin for begin, end in wanted)
    archive = Archive(out)
    reserved = _fixed(checkpoint, contents, subjects, streams)
    for name, data in reserved.items():
        archive.add(name, data)
    if heads:
        archive.add("log/heads.json", canonical(heads.document))
    people, done = attachments.People(), 0

    def pack(name: str, chunk: bytes) -> None:
        archive.add(name, chunk)
        people.look(chunk)

    # Hashing one part and reading the next take as long as each other, and neither needs the interpreter's lock.
    with ThreadPoolExecutor(1) as aside:
        packing: Future[None] | None = None
        for number, (chunk, count) in enumerate(chunks(lines(wanted, checkpoint.size))):
            if packing is not None:
                packing.result()
            packing = aside.submit(pack, f"log/entries/{number:06d}.txt", chunk)
            done = min(total, done + count)
            if progress is not None:
                progress(done, total)
        if packing is not None:
            packing.result()
    for name, data in (*attachments.stamps(checkpoint), *people.members()):
        archive.add(name, data)
    for number, (name, data) in enumerate(contents.members, start=1):
        if progress is not None and number % 50 == 0:
            progress(done, total)
        if name == "manifest.json" or name.startswith("log/"):
            raise BadMember(f"{name} is written by the bundle itself")
        archive.add(name, data)
    # Names have dots and slashes, so this one file is canonical only in its order: sorted keys, no spaces.
    manifest = {"format": FORMAT, "kind": contents.kind, "members": dict(archive.members)}
    archive.add("manifest.json", json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode())
    archive.close()
    return Written(checkpoint.size, archive.sha256, archive.size, total)


def checkpoint_of(size: int | None = None, *, at_least: int = 0, seconds: float = 0.0) -> Checkpoint:
    """Return the checkpoint of that size; else the newest of ``at_least`` entries that witnesses cosigned.

    Waits for one as long as ``seconds``; when none comes, it is the newest. Raises ``NotFound``.
    """
    found = (
        attachments.newest(at_least, seconds=seconds) if size is None else Checkpoint.objects.filter(size=size).first()
    )
    if found is None and size is None:
        raise NotFound("The log has no checkpoint yet, so there is nothing to prove against.", code="ledger.empty")
    if found is None:
        raise NotFound(f"No checkpoint was signed at size {size}.", code="ledger.no_checkpoint")
    return found


def positions(subjects: Sequence[tuple[str, str]], size: int) -> list[tuple[tuple[str, str], int, int]]:
    """Return ((type, id), index, number in its stream) of each entry below ``size`` about the subjects, by index."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT about.type, about.id, entry.index, entry.stream_n
            FROM unnest(%s::text[], %s::text[]) AS about (type, id)
            JOIN audit_entry entry ON entry.object_type = about.type AND entry.object_id = about.id
            WHERE entry.index < %s ORDER BY entry.index
            """,
            [[kind for kind, _ in subjects], [key for _, key in subjects], size],
        )
        return [((kind, key), int(index), int(n)) for kind, key, index, n in cursor.fetchall()]


def _checked(indices: Iterable[int], size: int) -> set[int]:
    wanted = set(indices)
    there = set(Entry.objects.filter(index__in=wanted, index__lt=size).values_list("index", flat=True))
    if missing := sorted(wanted - there):
        raise NotFound(f"The log of {size} entries has no entry {missing[0]} yet.", code="ledger.no_entry")
    return wanted


def _fixed(
    checkpoint: Checkpoint,
    contents: Contents,
    subjects: Sequence[tuple[str, str]],
    streams: Sequence[tuple[tuple[str, str], int, int]],
) -> dict[str, bytes]:
    """The members that every bundle has, small and known before the first entry is read."""
    question: dict[str, Json] = {"kind": contents.kind, "log_size": checkpoint.size, **contents.question}
    found = {
        "README.txt": README.encode(),
        "verify.py": VERIFIER.read_bytes(),
        "question.json": canonical(question),
        "keys/ledger.pub.pem": keys.public_pem(keys.ledger_public_key()),
        "log/checkpoint.txt": attachments.note(checkpoint).encode(),
        "log/streams.json": canonical(_stated(subjects, streams)),
    }
    if contents.left_out:
        found["left-out.json"] = canonical([dict(one) for one in contents.left_out])
    return found


def _stated(
    subjects: Sequence[tuple[str, str]], streams: Sequence[tuple[tuple[str, str], int, int]]
) -> list[dict[str, Any]]:
    """Say of each object how far its stream goes here and whether it has no hole. Objects without entries are left out."""
    numbers: dict[tuple[str, str], list[int]] = {about: [] for about in subjects}
    for about, _, n in streams:
        numbers[about].append(n)
    return [
        {"type": kind, "id": key, "n": found[-1], "complete": found == list(range(1, len(found) + 1))}
        for (kind, key), found in sorted(numbers.items())
        if found
    ]
