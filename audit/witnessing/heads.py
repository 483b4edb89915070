"""The head map: at a stated size of the log, where the stream of every object ended.

Each stream is a line of canonical JSON, ``["app.model","id",n,index]``: its object, how many entries it has, and the index
of the last one. The lines, sorted by the bytes of type and id, are the leaves of a Merkle tree (RFC 9162), and the entry
``log.heads`` commits to its root, to their number, and to the SHA-256 of all lines, each with a newline. So whoever has
entries 1 to n of an object, its line, the path of the line to that root, and the entry, knows that there were no others.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction

from audit import partitions, selectors, services
from audit.actors import Actor
from audit.canonical import canonical
from audit.merkle import Frontier, Subtree, inclusion_ranges, leaf_hash, node_hash, prove, verify_inclusion
from audit.models import Entry
from audit.subjects import Subject
from audit.witnessing.records import NOTARY

ACTION: Final = "log.heads"
FETCH: Final = 5000


@dataclass(frozen=True, slots=True)
class HeadLine:
    """The end of one stream: entry number ``n`` about the object is entry ``index`` of the log."""

    type: str
    id: str
    n: int
    index: int

    @property
    def line(self) -> str:
        """The leaf of the map."""
        return canonical([self.type, self.id, self.n, self.index]).decode()

    @classmethod
    def read(cls, line: str) -> "HeadLine":
        """Read a line back. Raises ``ValueError`` for one that is not in its one canonical form."""
        parsed = json.loads(line)
        match parsed:
            case [str(kind), str(key), int(n), int(index)] if not isinstance(n, bool) and not isinstance(index, bool):
                found = cls(kind, key, n, index)
            case _:
                raise ValueError("a line of the head map must be [type, id, n, index]")
        if found.line != line:
            raise ValueError("a line of the head map is not canonical")
        return found


@dataclass(frozen=True, slots=True)
class HeadMap:
    """What ``log.heads`` commits to."""

    size: int
    streams: int
    root: bytes
    digest: bytes

    @property
    def facts(self) -> dict[str, int | str]:
        """As it stands in the entry."""
        return {"size": self.size, "streams": self.streams, "root": self.root.hex(), "digest": self.digest.hex()}

    @classmethod
    def of(cls, entry: Entry) -> "HeadMap":
        """What an entry ``log.heads`` says. Raises ``ValueError`` for another."""
        if entry.action != ACTION:
            raise ValueError(f"entry {entry.index} is no {ACTION}")
        facts: Mapping[str, Any] = entry.facts
        return cls(
            int(facts["size"]), int(facts["streams"]), bytes.fromhex(facts["root"]), bytes.fromhex(facts["digest"])
        )


@dataclass(frozen=True, slots=True)
class HeadProof:
    """Line ``number`` of the map of ``size`` entries and ``streams`` lines; ``hashes`` lead up to its root."""

    head: HeadLine
    size: int
    number: int
    streams: int
    hashes: tuple[bytes, ...]


def stream_heads(size: int) -> Iterator[HeadLine]:
    """Yield the head of every stream of the first ``size`` entries, in the order of the map. Memory does not grow.

    Reads the whole log, so it may take as long as it takes: not for a request. Raises ``ValueError`` for a size at which
    entries have since been dropped with their partition.
    """
    if size < (kept := partitions.first_kept()):
        raise ValueError(f"the entries before {kept} were dropped, so the map of {size} cannot be made again")
    with transaction.atomic():
        with connection.cursor() as plain:
            plain.execute("SET LOCAL statement_timeout = 0")
            plain.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        with connection.chunked_cursor() as cursor:
            # Within a stream n and index grow together, so the largest of each are those of one entry. Of an object
            # whose entries were all dropped, audit_streamhead remembers them.
            cursor.execute(
                """
                SELECT object_type, object_id, max(n), max(index) FROM (
                    SELECT object_type, object_id, stream_n AS n, index FROM audit_entry WHERE index < %s
                    UNION ALL SELECT object_type, object_id, n, index FROM audit_streamhead
                ) AS either GROUP BY object_type, object_id ORDER BY object_type COLLATE "C", object_id COLLATE "C"
                """,
                [size],
            )
            while rows := cursor.fetchmany(FETCH):
                for kind, key, n, index in rows:
                    yield HeadLine(str(kind), str(key), int(n), int(index))


def head_map(size: int, lines: Iterable[str] | None = None) -> HeadMap:
    """Compute the map of the first ``size`` entries, from the log or from lines that somebody gave us."""
    edge, digest = Frontier(), hashlib.sha256()
    for line in lines if lines is not None else (head.line for head in stream_heads(size)):
        for _ in edge.append(leaf_hash(line.encode())):
            pass
        digest.update(line.encode() + b"\n")
    return HeadMap(size, edge.size, edge.root(), digest.digest())


def log_heads(*, by: Actor = NOTARY) -> HeadMap | None:
    """Log the map of the latest checkpoint. None when there is nothing new to say since the last one."""
    head = selectors.head()
    if head is None or not _news(head.size):
        return None
    found = head_map(head.size)
    with transaction.atomic():
        services.append(action=ACTION, subject=Subject("audit.log", "heads", str(found.size)), by=by, facts=found.facts)
    return found


def _news(size: int) -> bool:
    """Whether anything but the log's own entries was integrated since the last map."""
    last = Entry.objects.filter(action=ACTION).order_by("-index").first()
    since = HeadMap.of(last).size if last else 0
    return Entry.objects.filter(index__gte=since, index__lt=size).exclude(object_type="audit.log").exists()


def map_within(size: int) -> tuple[Entry, HeadMap] | None:
    """The latest head map whose entry is among the first ``size`` entries: the one a bundle of that size can use."""
    entry = Entry.objects.filter(action=ACTION, index__lt=size).order_by("-index").first()
    return (entry, HeadMap.of(entry)) if entry else None


def prove_heads(size: int, objects: Iterable[tuple[str, str]]) -> list[HeadProof]:
    """Prove the lines of some objects in the map of ``size`` entries. An object without entries by then has none.

    Holds 32 bytes per stream of the log. Not for a request of a large log.
    """
    wanted = set(objects)
    leaves: list[bytes] = []
    found: list[tuple[int, HeadLine]] = []
    for number, head in enumerate(stream_heads(size)):
        leaves.append(leaf_hash(head.line.encode()))
        if (head.type, head.id) in wanted:
            found.append((number, head))
    levels = _levels(leaves)

    def lookup(subtrees: Sequence[Subtree]) -> Mapping[Subtree, bytes]:
        return {one: levels[one.level][one.index] for one in subtrees}

    return [
        HeadProof(head, size, number, len(leaves), tuple(prove(inclusion_ranges(number, len(leaves)), lookup)))
        for number, head in found
    ]


def _levels(leaves: list[bytes]) -> list[list[bytes]]:
    """The complete subtrees of every level."""
    levels = [leaves]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])
    return levels


def verify_head(proof: HeadProof, said: HeadMap) -> None:
    """Raises ``audit.merkle.BadProof`` unless the line is in the map, and ``ValueError`` if they are of two maps."""
    if (proof.size, proof.streams) != (said.size, said.streams):
        raise ValueError("the proof is of another map than the entry")
    verify_inclusion(leaf_hash(proof.head.line.encode()), proof.number, proof.streams, proof.hashes, said.root)


def verify_map(entry: Entry) -> bool:
    """Whether what an entry ``log.heads`` commits to is what the log says now."""
    said = HeadMap.of(entry)
    return head_map(said.size) == said
