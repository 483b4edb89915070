"""Raw statements on Django's own connection, prepared on the server: for the few whose ORM costs more than their work.

They run in the transaction that ``transaction.atomic`` opened, raise ``django.db``'s errors, and are counted with all other
queries where a test counts them. A statement's text must be a constant: it is what the preparation is found by. After a
few executions PostgreSQL plans it no more (psycopg.org/psycopg3/docs/advanced/prepare.html).
"""

import time
from collections.abc import Sequence
from typing import Any, LiteralString

from django.db import DEFAULT_DB_ALIAS, connections
from psycopg import Cursor

Row = tuple[Any, ...]


def rows(statement: LiteralString, parameters: Sequence[object] = ()) -> list[Row]:
    """Execute and return every row."""
    return _execute(statement, parameters).fetchall()


def row(statement: LiteralString, parameters: Sequence[object] = ()) -> Row | None:
    """Execute and return the first row, or None without one."""
    return _execute(statement, parameters).fetchone()


def one(statement: LiteralString, parameters: Sequence[object] = ()) -> Row:
    """Execute and return the row that there must be. Raises ``LookupError`` without one."""
    found = row(statement, parameters)
    if found is None:
        raise LookupError(f"no row from: {statement.strip()}")
    return found


def run(statement: LiteralString, parameters: Sequence[object] = ()) -> int:
    """Execute what returns nothing; say how many rows it touched."""
    return _execute(statement, parameters).rowcount


def postpone(statement: LiteralString, parameters: Sequence[object] = ()) -> None:
    """Execute what returns nothing with the transaction's next statement, at the latest with its COMMIT.

    Saves a round trip. What goes wrong with it is raised there (``config.database``). Raises
    ``TransactionManagementError`` outside a transaction.
    """
    connections[DEFAULT_DB_ALIAS].postpone(statement, parameters)  # type: ignore[attr-defined]


def _execute(statement: LiteralString, parameters: Sequence[object]) -> "Cursor[Row]":
    connection = connections[DEFAULT_DB_ALIAS]  # once: every look at django.db.connection searches for it again
    # What connection.cursor() does before it gives out a cursor of Django's.
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    connection.validate_no_broken_transaction()
    connection.send_postponed()  # type: ignore[attr-defined]
    began = time.monotonic() if connection.queries_logged else 0.0
    try:
        with connection.wrap_database_errors:
            return Cursor(connection.connection).execute(statement, parameters, prepare=True)
    finally:
        if connection.queries_logged:
            took = time.monotonic() - began
            connection.queries_log.append({"sql": statement, "time": f"{took:.3f}"})
