"""Keeps the lease of a running job alive, from a thread of its own, and tells the job when it was lost."""

import logging
import threading
import time
from types import TracebackType
from typing import Final, Self

from django.conf import settings
from django.db import DatabaseError, connections

from governance.services.checks import Claim, progress, renew

logger = logging.getLogger(__name__)
PROGRESS_EVERY: Final = 1.0


class LeaseLost(Exception):
    """Another worker has the job now, or nobody wants it any more."""


class Lease:
    """``with Lease(claim) as lease:`` renews three times per lease; ``lease.progress`` stops a job that lost it."""

    def __init__(self, held: Claim) -> None:
        self._held = held
        self._over = threading.Event()
        self._lost = threading.Event()
        self._told = 0.0
        self._thread = threading.Thread(target=self._keep, name=f"lease-{held.run_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def progress(self, done: int, total: int) -> None:
        """Show progress, at most once a second. Raises ``LeaseLost``."""
        if self._lost.is_set():
            raise LeaseLost
        now = time.monotonic()
        if now - self._told < PROGRESS_EVERY and done < total:
            return
        self._told = now
        if not progress(self._held, done, total):
            raise LeaseLost

    def _keep(self) -> None:
        try:
            while not self._over.wait(settings.JOB_LEASE.total_seconds() / 3):
                try:
                    if not renew(self._held):
                        self._lost.set()
                        return
                except DatabaseError:
                    # The database may be back before the lease ends; the final write is fenced in any case.
                    logger.exception("Lease of check %s not renewed", self._held.run_id)
                    connections.close_all()
        finally:
            connections.close_all()
