"""Re-derive the whole ledger from ``canon`` and compare it with everything that is stored, signed and remembered.

Believes nothing but the text of the entries, the public key and the guard file. One pass, in index order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import connection, transaction

from audit import keys, notes
from audit.canonical import NotCanonical, parse
from audit.guard import Guard, Head, Refused
from audit.merkle import Frontier, Subtree, leaf_hash
from audit.models import Checkpoint, Entry, Node, leaf_text
from audit.tree import TILE_HEIGHT, TILE_WIDTH

CHUNK: Final = 2000
MOST_PROBLEMS: Final = 100
COLUMNS: Final = (
    "index", "canon", "stream_n", "stream_previous", "leaf_hash", "entry_id", "at", "action", "actor_id", "actor_name",
    "actor_kind", "object_type", "object_id", "object_version", "object_digest", "request_id",
)  # fmt: skip
PROTECTED: Final = ("audit_entry", "audit_node", "audit_checkpoint")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not hold. ``where`` names it (``entry 17``, ``checkpoint 40``)."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(slots=True)
class Report:
    """The outcome. ``problems`` stops at a hundred; ``broken`` counts on."""

    entries: int = 0
    checkpoints: int = 0
    problems: list[Problem] = field(default_factory=list)
    broken: int = 0

    def add(self, where: str, what: str) -> None:
        """Note a problem."""
        self.broken += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(where, what))

    @property
    def sound(self) -> bool:
        """Whether everything held."""
        return self.broken == 0


@dataclass(slots=True)
class _Pass:
    """What one pass over the entries carries along."""

    report: Report
    edge: Frontier = field(default_factory=Frontier)
    streams: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    tiles: dict[int, list[bytes]] = field(default_factory=dict)
    suspect_from: int = 0


def fsck(
    *,
    key: Ed25519PublicKey | None = None,
    guard: Guard | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Report:
    """Check everything and return what was found. Reads one snapshot, so it may run while the log grows."""
    report, guard = Report(), guard or Guard.default()
    # Before the snapshot: the file is written after the commit, so it may lag behind the database but never lead.
    remembered = _remembered(report, guard)
    with transaction.atomic():
        if not connection.savepoint_ids:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        _check_protection(report)
        _check_log(report, key or keys.ledger_public_key(), guard, remembered, progress)
    return report


def _check_log(
    report: Report, key: Ed25519PublicKey, guard: Guard, remembered: Head | None, progress: Callable[[int], None]
) -> None:
    state = _Pass(report)
    checkpoints = Checkpoint.objects.order_by("size").iterator(CHUNK)
    checkpoint = next(checkpoints, None)
    for row in _rows():
        if row["index"] != state.edge.size:
            report.add(f"entry {state.edge.size}", f"missing: the next stored index is {row['index']}")
            return  # nothing after a gap can be told apart from damage
        _check_entry(state, row)
        report.entries += 1
        while checkpoint is not None and checkpoint.size <= state.edge.size:
            _check_checkpoint(state, checkpoint, key)
            checkpoint = next(checkpoints, None)
        if remembered is not None and remembered.size == state.edge.size and state.edge.root() != remembered.root:
            report.add(f"entries 0 to {remembered.size - 1}", f"not those that {guard.path} remembers as signed")
        if report.entries % CHUNK == 0:
            progress(report.entries)
    _check_end(state, checkpoint, remembered, guard)
    progress(report.entries)


def _rows() -> Iterator[dict[str, Any]]:
    for row in Entry.objects.order_by("index").values_list(*COLUMNS).iterator(CHUNK):
        yield dict(zip(COLUMNS, row, strict=True))


def _check_entry(state: _Pass, row: dict[str, Any]) -> None:
    index, where, report = row["index"], f"entry {row['index']}", state.report
    digest = leaf_hash(leaf_text(row["canon"], row["stream_n"], row["stream_previous"]).encode())
    if bytes(row["leaf_hash"]) != digest:
        report.add(where, "leaf_hash is not the hash of the leaf")
    try:
        body = parse(row["canon"])
        _check_columns(report, where, row, body)
        about = (body["object"]["type"], body["object"]["id"])
        first_use = state.ids.setdefault(body["id"], index)
    except (NotCanonical, KeyError, TypeError) as error:
        report.add(where, f"canon cannot be read: {error}")
    else:
        if first_use != index:
            report.add(where, f"has the id of entry {first_use}")
        n, previous = state.streams.get(about, (0, None))
        if (row["stream_n"], row["stream_previous"]) != (n + 1, previous):
            report.add(
                where,
                f"is number {row['stream_n']} after {row['stream_previous']} of {about[0]} {about[1]},"
                f" but should be number {n + 1} after {previous}",
            )
        state.streams[about] = (n + 1, index)
    _check_tiles(state, digest)


def _check_columns(report: Report, where: str, row: dict[str, Any], body: dict[str, Any]) -> None:
    """The generated columns say what the text says, even if somebody rewrote the heap."""
    expected = {
        "entry_id": body["id"],
        "action": body["action"],
        "actor_id": body["actor"]["id"],
        "actor_name": body["actor"]["name"],
        "actor_kind": body["actor"]["kind"],
        "object_type": body["object"]["type"],
        "object_id": body["object"]["id"],
        "object_version": body["object"]["version"],
        "object_digest": body["object"]["digest"],
        "request_id": body["request_id"],
    }
    for column, value in expected.items():
        if row[column] != value:
            report.add(where, f"column {column} says {row[column]!r}, the text says {value!r}")
    if round(row["at"].timestamp() * 1_000_000) != body["at"]:
        report.add(where, f"column at says {row['at'].isoformat()}, the text says {body['at']} µs")


def _check_tiles(state: _Pass, digest: bytes) -> None:
    """Grow the tree; compare every tile it completes with the stored one, which names the very leaf that changed."""
    state.tiles.setdefault(0, []).append(digest)
    for subtree, root in state.edge.append(digest):
        if subtree.level % TILE_HEIGHT:
            continue
        below = state.tiles.pop(subtree.level - TILE_HEIGHT)
        state.tiles.setdefault(subtree.level, []).append(root)
        _compare_tile(state, subtree, root, below)


def _compare_tile(state: _Pass, subtree: Subtree, root: bytes, below: list[bytes]) -> None:
    where = f"tree node {subtree.level}/{subtree.index}"
    node = Node.objects.filter(level=subtree.level, index=subtree.index).first()
    if node is None:
        state.report.add(where, "missing")
        return
    stored = bytes(node.children)
    for place, child in enumerate(below):
        if stored[place * 32 : place * 32 + 32] != child:
            index = subtree.index * TILE_WIDTH + place
            if subtree.level == TILE_HEIGHT:
                state.report.add(
                    f"entry {index}", "changed since it was integrated: the tree holds another leaf hash for it"
                )
            else:
                state.report.add(where, f"child {index} is not the root of the nodes below it")
    if bytes(node.hash) != root:
        state.report.add(where, "is not the root of the entries below it")


def _check_checkpoint(state: _Pass, checkpoint: Checkpoint, key: Ed25519PublicKey) -> None:
    where, report = f"checkpoint {checkpoint.size}", state.report
    report.checkpoints += 1
    if checkpoint.size != state.edge.size:
        report.add(where, f"its size lies before entry {state.edge.size}")
        return
    root, before = state.edge.root(), state.suspect_from
    state.suspect_from = checkpoint.size
    try:
        signed = notes.verify_checkpoint(checkpoint.note, keys.origin(key), key)
    except notes.BadNote as error:
        report.add(where, f"signature: {error}")
        return
    if (signed.size, signed.root) != (checkpoint.size, bytes(checkpoint.root)):
        report.add(where, "its columns differ from its signed note")
    # Once one root is wrong, so are all later ones: only the first says where.
    if signed.root != root and not any(problem.what.startswith("signed root") for problem in report.problems):
        span = (
            f"entry {before}"
            if checkpoint.size - before == 1
            else f"one of the entries {before} to {checkpoint.size - 1}"
        )
        report.add(
            where, f"signed root differs from the entries: {span}, or an earlier one, was changed, added or removed"
        )


def _check_end(state: _Pass, left_over: Checkpoint | None, remembered: Head | None, guard: Guard) -> None:
    report, size = state.report, state.edge.size
    if left_over is not None:
        report.add(
            f"checkpoint {left_over.size}",
            f"signed more entries than there are: the log ends at {size}, its tail was cut",
        )
    elif state.suspect_from != size:
        report.add(f"entry {state.suspect_from}", f"no checkpoint covers the entries from here to {size - 1}")
    if remembered is not None and remembered.size > size:
        report.add(
            f"entry {size}", f"missing: {guard.path} remembers {remembered.size} signed entries, the log has {size}"
        )
    expected = sum(size >> level for level in range(TILE_HEIGHT, 64, TILE_HEIGHT))
    if (stored := Node.objects.count()) > expected:
        report.add("tree", f"{stored} nodes are stored, a log of {size} entries has {expected}")


def _remembered(report: Report, guard: Guard) -> Head | None:
    try:
        head = guard.read()
    except Refused as error:
        report.add("guard file", str(error))
        return None
    if head is None and Checkpoint.objects.exists():
        report.add("guard file", f"{guard.path} is missing: a roll-back of the database could not be noticed")
    return head


def _check_protection(report: Report) -> None:
    """The triggers that refuse changes are there and always on."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT relname, EXISTS (
                SELECT FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid
                WHERE tgrelid = pg_class.oid AND tgenabled = 'A' AND proname = 'audit_refuse_change'
            )
            FROM pg_class WHERE oid = ANY(%s::regclass[])
            """,
            [list(PROTECTED)],
        )
        for table, guarded in cursor.fetchall():
            if not guarded:
                report.add(f"table {table}", "its trigger against changes is missing or switched off")
