"""The backend itself: ``ENGINE = "config.database"``."""

import select
import time
from typing import Final

from django.db.backends.postgresql import base, features

from config import as_of

TRUSTED_SECONDS: Final = 30.0


class DatabaseFeatures(features.DatabaseFeatures):
    """Knows what the views of the past cannot do."""

    @property
    def allows_group_by_selected_pks(self) -> bool:  # type: ignore[override]
        """Whether grouping by a table's key is enough. A view has no key, so every column is named then."""
        return as_of.current() is None


class DatabaseWrapper(base.DatabaseWrapper):
    """Looks at the socket where Django would ask ``SELECT 1`` once a request.

    A server that ends a connection (restart, fail-over, ``pg_terminate_backend``) says so on it, and a socket that was
    closed can be read. Whoever is told nothing has a connection that works, or a network that swallows packets, which a
    question would wait for as well. So the question itself is only asked when there is something to read, and when
    nobody was asked for half a minute: routers forget connections without telling.
    """

    features_class = DatabaseFeatures
    _trusted_until = 0.0

    def get_new_connection(self, conn_params: dict[str, object]) -> object:
        """Open a connection: it works."""
        opened = super().get_new_connection(conn_params)
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
