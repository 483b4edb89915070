"""The backend itself: ``ENGINE = "config.database"``."""

import select
import time
from collections.abc import Sequence
from typing import Any, Final, LiteralString

from django.db.backends import utils
from django.db.backends.postgresql import base, features
from django.db.transaction import TransactionManagementError
from psycopg import Cursor, sql

from config import as_of

TRUSTED_SECONDS: Final = 30.0


class DatabaseFeatures(features.DatabaseFeatures):
    """Knows what the views of the past cannot do."""

    @property
    def allows_group_by_selected_pks(self) -> bool:  # type: ignore[override]
        """Whether grouping by a table's key is enough. A view has no key, so every column is named then."""
        return as_of.current() is None


class _InOrder(utils.CursorWrapper):
    """Sends what was postponed before its own statement, so that a transaction's statements keep their order."""

    def _execute(self, sql: object, params: object, *ignored: object) -> object:
        self.db.send_postponed()
        return super()._execute(sql, params, *ignored)  # type: ignore[misc]

    def _executemany(self, sql: object, param_list: object, *ignored: object) -> object:
        self.db.send_postponed()
        return super()._executemany(sql, param_list, *ignored)  # type: ignore[misc]


class _InOrderAndLogged(_InOrder, utils.CursorDebugWrapper):
    """The same where queries are logged."""


class DatabaseWrapper(base.DatabaseWrapper):
    """Two round trips less than Django's: one of each request, and one of each transaction that writes an entry.

    *It looks at the socket where Django would ask* ``SELECT 1`` *once a request.* A server that ends a connection (restart,
    fail-over, ``pg_terminate_backend``) says so on it, and a socket that was closed can be read. Whoever is told nothing has
    a connection that works, or a network that swallows packets, which a question would wait for as well. So the question
    itself is only asked when there is something to read, and when nobody was asked for half a minute: routers forget
    connections without telling.

    *It can postpone a statement whose result nobody needs* until the next statement or the end of the transaction, and
    sends it in one message with COMMIT. What goes wrong with it is raised there, where deferred constraints raise as well,
    and nothing of the transaction is kept. A rollback, also to a savepoint, drops what it would undo.
    """

    features_class = DatabaseFeatures
    _trusted_until = 0.0

    def __init__(self, settings_dict: dict[str, Any], alias: str = "default") -> None:
        """Nothing is postponed yet."""
        super().__init__(settings_dict, alias)
        self._postponed: list[tuple[LiteralString, Sequence[object]]] = []

    def postpone(self, statement: LiteralString, parameters: Sequence[object]) -> None:
        """Execute this before the next statement of the transaction, at the latest with its COMMIT.

        Raises ``TransactionManagementError`` outside a transaction, and in one that an error has ended already.
        """
        if not self.in_atomic_block:
            raise TransactionManagementError("There is no transaction, so nothing would send what is postponed.")
        self.validate_no_broken_transaction()
        self._postponed.append((statement, parameters))

    def send_postponed(self) -> None:
        """Execute what was postponed, now. Raises its errors."""
        if self._postponed:
            with self.wrap_database_errors:
                self._execute_postponed()

    def _execute_postponed(self) -> None:
        waiting, self._postponed = self._postponed, []
        for statement, parameters in waiting:
            with utils.debug_transaction(self, statement):
                Cursor(self.connection).execute(statement, parameters, prepare=True)

    def make_cursor(self, cursor: utils.CursorWrapper) -> utils.CursorWrapper:
        """Give out a cursor that keeps the order."""
        return _InOrder(cursor, self)

    def make_debug_cursor(self, cursor: utils.CursorWrapper) -> utils.CursorDebugWrapper:
        """Give out a cursor that keeps the order and logs."""
        return _InOrderAndLogged(cursor, self)

    def _commit(self) -> None:
        if not self._postponed or self.connection is None:
            super()._commit()  # type: ignore[misc]
            return
        waiting, self._postponed = self._postponed, []
        # A simple query: PostgreSQL takes one statement after the other and stops at the first that fails. Planning the
        # INSERT anew costs less than psycopg's pipeline, which would let it be prepared.
        said = ";".join([*(statement for statement, _ in waiting), "COMMIT"])
        with utils.debug_transaction(self, said), self.wrap_database_errors:
            sent = b";".join([*(self._with_literals(*one) for one in waiting), b"COMMIT"])
            Cursor(self.connection).execute(sent, prepare=False)

    def _with_literals(self, statement: LiteralString, parameters: Sequence[object]) -> bytes:
        """The statement with its parameters in it, quoted by libpq for this connection."""
        first, *others = statement.encode().split(b"%s")
        literals = (sql.Literal(one).as_bytes(self.connection) for one in parameters)
        return first + b"".join(literal + other for literal, other in zip(literals, others, strict=True))

    def _rollback(self) -> None:
        self._postponed.clear()
        super()._rollback()  # type: ignore[misc]

    def _savepoint_rollback(self, sid: str) -> None:
        # What came before the savepoint went out with it.
        self._postponed.clear()
        super()._savepoint_rollback(sid)  # type: ignore[misc]

    def _close(self) -> None:
        self._postponed.clear()
        super()._close()  # type: ignore[misc]

    def get_new_connection(self, conn_params: dict[str, object]) -> object:
        """Open a connection: it works."""
        opened = super().get_new_connection(conn_params)
        self._postponed.clear()
        self._trusted_until = time.monotonic() + TRUSTED_SECONDS
        return opened

    def is_usable(self) -> bool:
        """Say whether statements can be sent, without sending one if possible."""
        now = time.monotonic()
        if self.connection is None or self.connection.closed:
            return False
        doubtful = self.errors_occurred or now >= self._trusted_until or _is_readable(self.connection.fileno())
        if doubtful and not super().is_usable():
            return False
        self._trusted_until = now + TRUSTED_SECONDS
        return True


def _is_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
