"""The one process that gives changes their place: inbox to entry, tree, signed checkpoint, all in one transaction.

Order: what is committed when a batch begins is taken, lowest inbox id first. A transaction that saw another's commit
wrote its row later and so has a higher id: cause comes before effect. A transaction that commits late only comes later;
nothing is skipped, because rows are taken by being there and not by being newer than the last one.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import DatabaseError, connection, transaction
from psycopg import Cursor

from audit import keys, notes, partitions, tree
from audit.guard import Guard, Head, Refused
from audit.history import moments
from audit.merkle import EMPTY_ROOT, Frontier, Subtree, leaf_hash
from audit.models import leaf_text

logger = logging.getLogger(__name__)

LOCK: Final = partitions.LOCK
BATCH: Final = 2000
PART: Final = 250
"""Entries of one statement: PostgreSQL inserts them while the next ones are hashed."""
AHEAD: Final = partitions.WIDTH // 4
"""Room for so many entries is kept ready; less is a reason to ask for the next partition."""
_PAUSE: Final = 60.0

__all__ = ["BATCH", "LOCK", "Busy", "Guard", "Refused", "Sequencer", "run_once"]


class Busy(RuntimeError):
    """Another sequencer is at work on this database."""


class _Row(NamedTuple):
    """An entry about to be inserted: its columns, and the leaf hash that PostgreSQL should find."""

    place: int
    canon: str
    n: int
    previous: int | None
    hash: bytes


@dataclass(slots=True)
class Sequencer:
    """Integrates batches. Keep one per process: it remembers the edge of the tree between batches."""

    key: Ed25519PrivateKey
    guard: Guard
    batch: int = BATCH
    origin: str = field(init=False)
    _edge: Frontier = field(init=False, default_factory=Frontier)
    _room: int = field(init=False, default=0)
    _ask_again_at: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.origin = keys.origin(self.key.public_key())

    def check(self) -> Head:
        """Return the head of the stored log. Raises ``Refused`` if it may not be continued, and ``Busy``."""
        with transaction.atomic():
            _take_lock()
            try:
                moments.check_cluster()
            except moments.NotInThisCluster as problem:
                raise Refused(str(problem)) from problem
            return self._continue_from()

    def run_once(self) -> int:
        """Integrate at most one batch and return how many entries it had.

        Raises ``Refused`` before anything is signed that contradicts an earlier checkpoint, and ``Busy``. If the
        process dies at any point, the whole batch is either in the log or still in the inbox.
        """
        with transaction.atomic():
            _take_lock()
            waiting, snapshot = _take(self.batch)
            if not waiting:
                return 0
            self._continue_from()
            self._make_room(self._edge.size + len(waiting))
            edge = self._edge.copy()
            for subtree, digest in _insert_entries(waiting, edge):
                _insert_node(subtree, digest)
            head = Head(edge.size, edge.root())
            at = self._sign(head)
            if len(waiting) < self.batch:  # nothing that had committed was left: this is a state that was
                moments.record(head.size, at, snapshot)
        # Only now is it true. If we die here, the guard is a batch behind, which it accepts.
        self._edge = edge
        self.guard.write(head)
        return len(waiting)

    def _continue_from(self) -> Head:
        """Return the stored head after making sure that entries, tree, checkpoint and guard file agree on it."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT size, root FROM audit_checkpoint ORDER BY size DESC LIMIT 1")
            last = cursor.fetchone()
            cursor.execute("SELECT coalesce(max(index) + 1, 0) FROM audit_entry")
            (entries,) = cursor.fetchone()
        head = Head(int(last[0]), bytes(last[1])) if last else Head(0, EMPTY_ROOT)
        if entries != head.size:
            raise Refused(
                f"there are {entries} entries but the last checkpoint is of {head.size}: run `manage.py audit_verify`"
            )
        if self._edge.size != head.size or self._edge.root() != head.root:
            edge = Frontier.load(head.size, tree.stored)
            if edge.root() != head.root:
                raise Refused(
                    f"the stored tree does not give the root of checkpoint {head.size}: run `manage.py audit_verify`"
                )
            self._edge = edge
        self.guard.check(head, tree.stored)
        return head

    def _make_room(self, size: int) -> None:
        """Have the next partition ready before it is needed.

        What fails is tried again a minute later while there is room. Without room there is no batch: PostgreSQL's error
        goes to the caller, and what waits stays in the inbox.
        """
        if size + AHEAD <= self._room or (size <= self._room and time.monotonic() < self._ask_again_at):
            return
        try:
            with transaction.atomic():
                self._room = partitions.ensure()
        except DatabaseError as error:
            self._room = partitions.room()
            if size > self._room:
                raise
            self._ask_again_at = time.monotonic() + _PAUSE
            logger.error("No next partition, the log has room for %d more entries: %s", self._room - size, error)  # noqa: TRY400

    def _sign(self, head: Head) -> datetime:
        text = str(notes.CheckpointText(self.origin, head.size, head.root))
        note, at = notes.sign(text, self.origin, self.key), datetime.now(UTC)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO audit_checkpoint (size, root, note, at) VALUES (%s, %s, %s, %s)",
                [head.size, head.root, note, at],
            )
        return at


def run_once(*, key: Ed25519PrivateKey | None = None, guard: Guard | None = None) -> int:
    """Integrate everything that is committed now and return how many entries that was. Raises as ``Sequencer`` does."""
    sequencer = Sequencer(key or keys.ledger_key(), guard or Guard.default())
    total = 0
    while done := sequencer.run_once():
        total += done
    return total


def _take_lock() -> None:
    """Be the only sequencer until this transaction ends. The same lock, held by the session, keeps standbys waiting."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        (mine,) = cursor.fetchone()
    if not mine:
        raise Busy("another sequencer is at work on this database")


def _take(limit: int) -> tuple[list[str], str]:
    """Take what is committed, and say which transactions this very statement saw (its ``pg_snapshot``)."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE, [limit])
        (_, snapshot), *taken = sorted(cursor.fetchall())
        return [str(canon) for _, canon in taken], str(snapshot)


# A range and no list of ids: joining a list with the inbox takes PostgreSQL forever when it last saw it empty and plans so.
TAKE: Final = """
    WITH taken AS (
        DELETE FROM audit_inbox
        WHERE id <= (SELECT max(id) FROM (SELECT id FROM audit_inbox ORDER BY id LIMIT %s) AS first)
        RETURNING id, canon
    )
    SELECT 0::bigint, pg_current_snapshot()::text UNION ALL SELECT id, canon FROM taken
"""


def _insert_entries(bodies: Sequence[str], edge: Frontier) -> list[tuple[Subtree, bytes]]:
    """Insert the next entries, let the edge grow by them, and return the tiles that are full now, lowest first.

    Sent in parts without waiting: PostgreSQL inserts one while the next is hashed here. Raises ``Refused`` if it
    computes another leaf hash than we do.
    """
    full: list[tuple[Subtree, bytes]] = []
    sent = []
    places = _places(edge.size, bodies)
    session = connection.connection
    with connection.wrap_database_errors, session.pipeline():
        for start in range(0, len(bodies), PART):
            rows = _placed(edge.size, bodies[start : start + PART], places[start : start + PART])
            columns = [list(column) for column in zip(*rows, strict=True)]
            cursor = Cursor(session).execute(_INSERT, columns[:4], prepare=True, binary=True)
            sent.append((rows, cursor))
            for row in rows:
                full += [tile for tile in edge.append(row.hash) if tile[0].level % tree.TILE_HEIGHT == 0]
    for rows, cursor in sent:
        theirs: dict[int, bytes] = dict(cursor.fetchall())
        for row in rows:
            if theirs[row.place] != row.hash:
                raise Refused(f"PostgreSQL computes another leaf hash for entry {row.place} than we do")
    return full


def _places(first: int, bodies: Sequence[str]) -> list[tuple[int, int | None]]:
    """Return n and the previous index of each body in the stream of its object, as it will stand in the log."""
    objects = []
    for body in bodies:
        about = orjson.loads(body)["object"]
        objects.append((str(about["type"]), str(about["id"])))
    heads = _stream_heads(sorted(set(objects)))
    places = []
    for index, about in enumerate(objects, start=first):
        n, previous = heads.get(about, (0, None))
        places.append((n + 1, previous))
        heads[about] = (n + 1, index)
    return places


def _placed(first: int, bodies: Sequence[str], places: Sequence[tuple[int, int | None]]) -> list[_Row]:
    return [
        _Row(index, body, n, previous, leaf_hash(leaf_text(body, n, previous).encode()))
        for index, (body, (n, previous)) in enumerate(zip(bodies, places, strict=True), start=first)
    ]


def _stream_heads(objects: Sequence[tuple[str, str]]) -> dict[tuple[str, str], tuple[int, int | None]]:
    """Return n and index of the last entry about each object, from the index entry_by_object.

    Of an object whose entries were all dropped with their partitions, ``StreamHead`` remembers them.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT about.type, about.id, coalesce(last.stream_n, dropped.n), coalesce(last.index, dropped.index)
            FROM unnest(%s::text[], %s::text[]) AS about (type, id)
            LEFT JOIN LATERAL (
                SELECT stream_n, index FROM audit_entry
                WHERE object_type = about.type AND object_id = about.id ORDER BY index DESC LIMIT 1
            ) AS last ON true
            LEFT JOIN audit_streamhead AS dropped
                ON last.index IS NULL AND dropped.object_type = about.type AND dropped.object_id = about.id
            WHERE coalesce(last.index, dropped.index) IS NOT NULL
            """,
            [[kind for kind, _ in objects], [key for _, key in objects]],
        )
        return {(kind, key): (int(n), int(index)) for kind, key, n, index in cursor.fetchall()}


_INSERT: Final = """
    INSERT INTO audit_entry (index, canon, stream_n, stream_previous)
    SELECT * FROM unnest(%b::bigint[], %b::text[], %b::bigint[], %b::bigint[]) RETURNING index, leaf_hash
"""


def _insert_node(node: Subtree, digest: bytes) -> None:
    children = b"".join(tree.tile_below(node))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_node (level, index, hash, children) VALUES (%s, %s, %s, %s)",
            [node.level, node.index, digest, children],
        )
