"""Whether the history is what happened: its versions join without gap, and agree with what the log says of each object.

Nobody but the owner of the database can write it, and the owner can write anything. So it is checked against what the owner
cannot change unseen: the live rows, of which it must be the continuation, and the entries, which are in the tree.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection
from psycopg import sql

from audit.history import ddl
from audit.history.tables import Remembered, remembered
from audit.subjects import HasLedgerFacts, subject_of
from config import as_of
from config.as_of import Moment


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that cannot have happened: which row, and in a sentence what is wrong with it."""

    table: str
    key: str
    problem: str

    def __str__(self) -> str:
        return f"{self.table} {self.key}: {self.problem}"


def broken_chains() -> Iterator[Finding]:
    """Rows whose versions do not follow one another: a version was removed, or given another place in time.

    Keys are never used again here, so a row that ends and begins again has lost what was between.
    """
    for one in remembered():
        with connection.cursor() as cursor:
            cursor.execute(_CHAINS(one))
            for key, problem in cursor.fetchall():
                yield Finding(one.table, str(key), str(problem))


def _CHAINS(one: Remembered) -> sql.Composed:  # noqa: N802 - a statement with three names to fill in
    return sql.SQL(
        """
        WITH ever AS (
            SELECT {key} AS key, {stamp} AS since, NULL::xid8 AS until FROM public.{table}
            UNION ALL SELECT {key}, {stamp}, {end} FROM history.{table}
        ), versions AS (
            SELECT key, count(*) AS n, count(until) AS ended,
                   count(DISTINCT since::text) AS begun, count(DISTINCT until::text) AS ends,
                   array_agg(since::text) AS sinces, array_agg(until::text) FILTER (WHERE until IS NOT NULL) AS untils
            FROM ever WHERE key IN (SELECT {key} FROM history.{table}) GROUP BY key
        )
        SELECT key, CASE
            WHEN begun < n OR ends < ended THEN 'two of its versions begin or end with the same transaction'
            ELSE 'a version is missing between two others'
        END
        FROM versions
        WHERE begun < n OR ends < ended
           OR (SELECT count(*) FROM unnest(sinces) AS since WHERE since <> ALL(untils)) > 1
        """
    ).format(
        key=sql.Identifier(one.governed.key),
        stamp=sql.Identifier(ddl.STAMP),
        end=sql.Identifier(ddl.END),
        table=sql.Identifier(one.table),
    )


def disagreements(moment: Moment) -> Iterator[Finding]:
    """Objects whose row as of the moment is not the one that their last entry of then vouches for."""
    for one in remembered():
        if one.governed.is_object and issubclass(one.governed.model, HasLedgerFacts):
            yield from _of_objects(one, moment)


def _of_objects(one: Remembered, moment: Moment) -> Iterator[Finding]:
    said = _last_digests(one.governed.label, moment.size)
    there = set()
    with as_of.travelling(moment):
        for row in one.governed.model._default_manager.all().iterator(chunk_size=500):
            subject = subject_of(row)
            there.add(subject.id)
            if subject.id not in said:
                yield Finding(one.table, subject.id, f"it was there at {moment.name}, and the log did not know of it")
            elif said[subject.id] not in {"", subject.digest}:
                yield Finding(one.table, subject.id, f"at {moment.name} it was not what its last entry vouches for")
    missing = said.keys() - there
    for key in sorted(missing - _ended(one, moment, missing)):
        yield Finding(one.table, key, f"the log speaks of it before {moment.name}, and there is no trace of it")


def _last_digests(kind: str, size: int) -> dict[str, str]:
    """Of each object of a kind, the digest in its last entry below ``size``."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT ON (object_id) object_id, object_digest FROM audit_entry "
            "WHERE object_type = %s AND index < %s ORDER BY object_id, index DESC",
            [kind, size],
        )
        return {str(key): str(digest) for key, digest in cursor.fetchall()}


def _ended(one: Remembered, moment: Moment, keys: set[str]) -> set[str]:
    """Those of the rows that had ended by then: what they were last is in the history."""
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "SELECT {key}::text FROM history.{table} "
                "WHERE {key}::text = ANY(%s) AND pg_visible_in_snapshot({end}, %s::pg_snapshot)"
            ).format(
                key=sql.Identifier(one.governed.key), end=sql.Identifier(ddl.END), table=sql.Identifier(one.table)
            ),
            [list(keys), moment.snapshot],
        )
        return {str(row[0]) for row in cursor.fetchall()}
