"""Whether the history is what happened: its versions join without gap, and agree with what the log says of each object.

Nobody but the owner of the database can write it, and the owner can write anything. So it is checked against what the owner
cannot change unseen: the live rows, of which it must be the continuation, and the entries, which are in the tree.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection
from psycopg import sql

from audit import reconcile
from audit.history import ddl
from audit.history.moments import found as moment_of
from audit.history.tables import Remembered, remembered
from audit.models import Moment
from config import as_of


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that cannot have happened: which row, and in a sentence what is wrong with it."""

    table: str
    key: str
    problem: str

    def __str__(self) -> str:
        return f"{self.table} {self.key}: {self.problem}"


def findings(*, moments: int = 0, at: str = "") -> list[Finding]:
    """What is wrong with the history: of itself, and against the log at so many moments, or at the one that is named.

    The moments are spread evenly, with the first and the last. Raises ``NotAMoment``.
    """
    found = list(broken_chains())
    for one in [at] if at else [f"entry:{size}" for size in _spread(moments)]:
        found += disagreements(moment_of(one))
    return list(dict.fromkeys(found))


def _spread(count: int) -> list[int]:
    """Sizes of moments: the first, the last, and others evenly between them."""
    total = Moment.objects.count() if count else 0
    places = sorted({round(step * (total - 1) / max(count - 1, 1)) for step in range(count)}) if total else []
    return [Moment.objects.order_by("size").values_list("size", flat=True)[place] for place in places]


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


def disagreements(moment: as_of.Moment) -> Iterator[Finding]:
    """Objects of which the rows as of the moment and the log of then say different things (``audit.reconcile``).

    Of each table the first are named.
    """
    kept = {one.governed.label: one.table for one in remembered() if one.governed.is_object}
    for label, table in kept.items():
        with as_of.travelling(moment):
            report = reconcile.reconcile(tables=[label], below=moment.size)
        for one in report.differences:
            yield Finding(table, one.id, f"at {moment.name}: {one}")
