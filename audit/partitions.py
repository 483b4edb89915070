"""The partitions of the log: whole ranges of entries, made ahead of need and, after their export, dropped whole.

Migration 0004 has the functions. A partition begins where a complete subtree begins, so that what stays of the tree when
entries go (``Node``) still proves every entry that was in it. See docs/adr/0012-log-at-scale.md.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from django.db import connection, transaction
from psycopg import sql

from audit.tree import TILE_WIDTH

LOCK: Final = 0x636F756E74  # "count"; advisory lock of the one sequencer of a database
WIDTH: Final = 2**22
"""Entries of one partition; what PostgreSQL makes next is decided by ``audit_ensure_partitions``, which has it too."""


class NotDroppable(RuntimeError):
    """The partition is not the first, not full, not in the tree, or the last. The message says which."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Table ``name`` holds the entries from index ``low`` up to, without it, ``high``."""

    name: str
    low: int
    high: int


def listed() -> list[Partition]:
    """Return the partitions of the entries, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, low, high FROM audit_partition_bounds('audit_entry')")
        return [Partition(str(name), int(low), int(high)) for name, low, high in cursor.fetchall()]


def first_kept() -> int:
    """Return the index of the first entry that the log still holds the text of: 0 unless partitions were dropped."""
    return min((partition.low for partition in listed()), default=0)


def ensure() -> int:
    """Have the next partition made if the last one is half full; return the index at which there is no more room.

    For the sequencer and the owner. Raises ``django.db.DatabaseError`` if it cannot be made.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_ensure_partitions()")
        return int(cursor.fetchone()[0])


def room() -> int:
    """Return the index at which there is no more room, without making any."""
    return max((partition.high for partition in listed()), default=0)


def drop(partition: Partition) -> int:
    """Drop the oldest partition, keeping the tree over it and the head of each stream; return the first index kept.

    For the owner, after an export: the texts are gone for good. The caller logs ``log.pruned`` about it, with the facts
    ``first_kept`` and ``heads`` (``heads_digest()`` after this), in the same transaction: without that entry a
    verification says that entries are missing. Raises ``NotDroppable``.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        known = listed()
        if len(known) < 2 or known[0] != partition:
            raise NotDroppable(f"{partition.name} is not the oldest of several partitions")
        cursor.execute("SELECT count(*) FROM audit_entry WHERE index < %s", [partition.high])
        (entries,) = cursor.fetchone()
        cursor.execute(
            "SELECT count(*) FROM audit_node WHERE level = 8 AND index >= %s AND index < %s",
            [partition.low // TILE_WIDTH, partition.high // TILE_WIDTH],
        )
        (tiles,) = cursor.fetchone()
        if entries != partition.high - partition.low or partition.low % TILE_WIDTH or partition.high % TILE_WIDTH:
            raise NotDroppable(f"{partition.name} has {entries} entries, not {partition.high - partition.low}")
        if tiles * TILE_WIDTH != entries:
            raise NotDroppable(f"the tree over {partition.name} is not whole: run `manage.py audit_verify`")
        cursor.execute(
            """
            INSERT INTO audit_streamhead (object_type, object_id, n, index)
            SELECT DISTINCT ON (object_type, object_id) object_type, object_id, stream_n, index FROM audit_entry
            WHERE index < %s ORDER BY object_type, object_id, index DESC
            ON CONFLICT (object_type, object_id) DO UPDATE SET n = excluded.n, index = excluded.index
            """,
            [partition.high],
        )
        table = sql.Identifier("public", partition.name)
        cursor.execute(sql.SQL("ALTER TABLE public.audit_entry DETACH PARTITION {}").format(table))
        cursor.execute(sql.SQL("DROP TABLE {}").format(table))
    return partition.high


def heads_digest() -> str:
    """Return the SHA-256 over the heads of the streams that reach into dropped partitions, in hex; "" without any."""
    digest, any_head = hashlib.sha256(), False
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            "SELECT object_type, object_id, n, index FROM audit_streamhead"
            ' ORDER BY object_type COLLATE "C", object_id COLLATE "C"'
        )
        while rows := cursor.fetchmany(2000):
            any_head = True
            for kind, ident, n, index in rows:
                digest.update(f"{len(kind)}:{kind}{len(ident)}:{ident}{n},{index}\n".encode())
    return digest.hexdigest() if any_head else ""
