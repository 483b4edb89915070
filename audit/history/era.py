"""Transaction ids do not survive a dump and restore, positions do: id and offset, the offset new in each new cluster.

A restored database lives in a cluster that counts its transactions anew. What is written there must come after everything
that was written before, so an era begins: its offset lies above every position there is. A cluster is known by its system
identifier (``pg_control_system``); one that counts lower than the last moment was signed at is a new one, too.
"""

from django.db.backends.utils import CursorWrapper
from psycopg import sql

from audit.history import ddl

TABLE = """
CREATE TABLE IF NOT EXISTS history.era (
    n integer PRIMARY KEY, system_identifier text NOT NULL, "offset" numeric(20) NOT NULL CHECK ("offset" >= 0),
    began_at timestamptz NOT NULL DEFAULT now()
)
"""
_HERE = "SELECT system_identifier::text FROM pg_control_system()"


def settle(cursor: CursorWrapper) -> int:
    """Return the offset that holds in this cluster; begin an era if this is not the one that the last began in."""
    cursor.execute(_HERE)
    (here,) = cursor.fetchone()
    cursor.execute('SELECT n, system_identifier, "offset" FROM history.era ORDER BY n DESC LIMIT 1')
    last = cursor.fetchone()
    if last is None:
        _begin(cursor, 1, here, 0)
        return 0
    number, known, offset = int(last[0]), str(last[1]), int(last[2])
    if known == here and not _counts_below(cursor, offset):
        return offset
    above = _highest(cursor) + 1
    _begin(cursor, number + 1, here, above)
    return above


def problem(cursor: CursorWrapper) -> str:
    """Why no moment may be recorded now, or "": the database was restored and ``migrate`` has not run here since."""
    cursor.execute(_HERE)
    (here,) = cursor.fetchone()
    cursor.execute('SELECT system_identifier, "offset" FROM history.era ORDER BY n DESC LIMIT 1')
    last = cursor.fetchone()
    if last is None:
        return "the history is not installed: run `manage.py migrate`"
    if last[0] != here or _counts_below(cursor, int(last[1])):
        return "this database was restored into another cluster: run `manage.py migrate`, so that a new era begins"
    return ""


def _begin(cursor: CursorWrapper, number: int, here: str, offset: int) -> None:
    cursor.execute(
        'INSERT INTO history.era (n, system_identifier, "offset") VALUES (%s, %s, %s)', [number, here, offset]
    )


def _counts_below(cursor: CursorWrapper, offset: int) -> bool:
    """Whether the next transaction here would come before the last moment that was recorded."""
    cursor.execute("SELECT to_regclass('public.audit_moment') IS NOT NULL")
    if not cursor.fetchone()[0]:
        return False
    cursor.execute(
        """
        SELECT pg_snapshot_xmax(pg_current_snapshot())::text::numeric + %s
             < pg_snapshot_xmax(snapshot::pg_snapshot)::text::numeric
        FROM public.audit_moment ORDER BY size DESC LIMIT 1
        """,
        [offset],
    )
    row = cursor.fetchone()
    return bool(row and row[0])


def _highest(cursor: CursorWrapper) -> int:
    """The highest position that stands anywhere: on a live row, in the past, or in a moment."""
    cursor.execute(
        """
        SELECT n.nspname, c.relname, a.attname FROM pg_attribute a
        JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r' JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('public', 'history') AND a.attname = ANY(%s) AND a.atttypid = 'xid8'::regtype
        """,
        [[ddl.STAMP, ddl.END]],
    )
    highest = 0
    for schema, table, column in cursor.fetchall():
        # max() knows xid8 from PostgreSQL 16 on.
        cursor.execute(
            sql.SQL("SELECT {column}::text FROM {table} ORDER BY {column} DESC LIMIT 1").format(
                column=sql.Identifier(column), table=sql.Identifier(schema, table)
            )
        )
        row = cursor.fetchone()
        highest = max(highest, int(row[0]) if row else 0)
    cursor.execute(
        "SELECT coalesce(max(pg_snapshot_xmax(snapshot::pg_snapshot)::text::numeric), 0) FROM public.audit_moment"
    )
    return max(highest, int(cursor.fetchone()[0]))
