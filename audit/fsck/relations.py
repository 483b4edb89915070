"""What holds between entries, and around them: found by PostgreSQL, in sorted scans that spill to disk and not to memory.

By then every column used here was compared with the text of its entry.
"""

from typing import Final

from django.db import connection

from audit import partitions
from audit.fsck.report import MOST_PROBLEMS, Report
from audit.guard import Guard, Head, Refused
from audit.models import Checkpoint
from audit.tree import TILE_HEIGHT

TABLES: Final = ("audit_entry", "audit_node", "audit_checkpoint")


def protection(report: Report) -> None:
    """The triggers that refuse changes are there and always on, on the tables and on each of their partitions."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT guarded.oid::regclass::text,
                coalesce(bit_or(CASE WHEN tgtype & 1 = 1 THEN tgtype & 24 ELSE tgtype & 32 END), 0)
            FROM (
                SELECT oid FROM pg_class WHERE oid = ANY(%s::regclass[])
                UNION SELECT inhrelid FROM pg_inherits WHERE inhparent = ANY(%s::regclass[])
            ) AS guarded
            LEFT JOIN (pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid AND proname = 'audit_refuse_change')
                ON tgrelid = guarded.oid AND tgenabled = 'A'
            GROUP BY 1 ORDER BY 1
            """,
            [list(TABLES), list(TABLES)],
        )
        for table, refused in cursor.fetchall():
            if refused & 24 != 24:
                report.add(f"table {table}", "its trigger against changes is missing or switched off")
            if not refused & 32:
                report.add(f"table {table}", "its trigger against TRUNCATE is missing or switched off")


def remembered(report: Report, guard: Guard) -> Head | None:
    """What the guard file says was signed last."""
    try:
        head = guard.read()
    except Refused as error:
        report.add("guard file", str(error))
        return None
    if head is None and Checkpoint.objects.exists():
        report.add("guard file", f"{guard.path} is missing: a roll-back of the database could not be noticed")
    return head


def doubles(report: Report, low: int, high: int, *, whole: bool) -> None:
    """No entry from ``low`` to ``high`` has the id of another one before it."""
    with connection.cursor() as cursor:
        if whole:
            cursor.execute(
                "SELECT entry_id FROM audit_entry GROUP BY entry_id HAVING count(*) > 1 LIMIT %s", [MOST_PROBLEMS]
            )
            several = [entry_id for (entry_id,) in cursor.fetchall()]
            if not several:
                return
            cursor.execute(
                """
                SELECT index, first FROM (
                    SELECT index, min(index) OVER (PARTITION BY entry_id) AS first FROM audit_entry WHERE entry_id = ANY(%s)
                ) AS same WHERE index > first ORDER BY index
                """,
                [several],
            )
        else:
            cursor.execute(
                """
                SELECT later.index, min(earlier.index) FROM audit_entry AS later JOIN audit_entry AS earlier
                    ON earlier.entry_id = later.entry_id AND earlier.index < later.index
                WHERE later.index >= %s AND later.index < %s GROUP BY 1 ORDER BY 1
                """,
                [low, high],
            )
        for index, first in cursor.fetchall():
            report.add(f"entry {index}", f"has the id of entry {first}")


def streams(report: Report, low: int, high: int) -> None:
    """Each entry from ``low`` to ``high`` is the next in the stream of its object.

    Of an object's first entry in there, what it follows is looked up: among the entries before, or among the heads that
    were kept of dropped ones.
    """
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            """
            SELECT found.index, found.stream_n, found.stream_previous, found.object_type, found.object_id,
                coalesce(found.n, before.stream_n, dropped.n, 0) AS n,
                coalesce(found.previous, before.index, dropped.index) AS previous
            FROM (
                SELECT index, stream_n, stream_previous, object_type, object_id,
                    lag(stream_n) OVER stream AS n, lag(index) OVER stream AS previous
                FROM audit_entry WHERE index >= %(low)s AND index < %(high)s
                WINDOW stream AS (PARTITION BY object_type COLLATE "C", object_id COLLATE "C" ORDER BY index)
            ) AS found
            LEFT JOIN LATERAL (
                SELECT stream_n, index FROM audit_entry AS one
                WHERE %(before)s AND found.n IS NULL AND one.index < %(low)s
                    AND one.object_type = found.object_type AND one.object_id = found.object_id
                ORDER BY index DESC LIMIT 1
            ) AS before ON true
            LEFT JOIN audit_streamhead AS dropped ON found.n IS NULL AND before.index IS NULL
                AND dropped.object_type = found.object_type AND dropped.object_id = found.object_id
            WHERE found.stream_n <> coalesce(found.n, before.stream_n, dropped.n, 0) + 1
                OR found.stream_previous IS DISTINCT FROM coalesce(found.previous, before.index, dropped.index)
            """,
            {"low": low, "high": high, "before": low > partitions.first_kept()},
        )
        for index, n, previous, kind, ident, true_n, true_previous in cursor:
            report.add(
                f"entry {index}",
                f"is number {n} after {previous} of {kind} {ident}, but should be number {true_n + 1} after {true_previous}",
            )


def dropped(report: Report, kept: int) -> None:
    """What is not there any more was dropped by somebody who logged it, and the heads of the streams are those left then."""
    if not kept:
        return
    where = f"entries 0 to {kept - 1}"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT canon::jsonb #>> '{facts,first_kept}', canon::jsonb #>> '{facts,heads}' FROM audit_entry"
            " WHERE action = 'log.pruned' ORDER BY index DESC LIMIT 1"
        )
        said = cursor.fetchone()
    if said is None or said[0] != str(kept):
        report.add(where, "gone, and no entry says that they were dropped")
    elif said[1] != partitions.heads_digest():
        report.add(where, "dropped, but the kept heads of their streams are not those that the entry about it names")


def ends(report: Report, size: int, head: Head | None, guard: Guard) -> None:
    """Nothing was signed that is not there, and nothing is there that was not signed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(size) FROM audit_checkpoint WHERE size > %s", [size])
        (left_over,) = cursor.fetchone()
        cursor.execute("SELECT coalesce(max(size), 0) FROM audit_checkpoint WHERE size <= %s", [size])
        (covered,) = cursor.fetchone()
        cursor.execute("SELECT count(*) FROM audit_node")
        (nodes,) = cursor.fetchone()
    if left_over is not None:
        report.add(
            f"checkpoint {left_over}", f"signed more entries than there are: the log ends at {size}, its tail was cut"
        )
    elif covered != size:
        report.add(f"entry {covered}", f"no checkpoint covers the entries from here to {size - 1}")
    if head is not None and head.size > size:
        report.add(f"entry {size}", f"missing: {guard.path} remembers {head.size} signed entries, the log has {size}")
    expected = sum(size >> level for level in range(TILE_HEIGHT, 64, TILE_HEIGHT))
    if nodes > expected:
        report.add("tree", f"{nodes} nodes are stored, a log of {size} entries has {expected}")
