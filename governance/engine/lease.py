"""Keeps the lease of a running job alive, from a thread of its own, and stops the job when it was lost."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Final, Self

from django.conf import settings
from django.db import DatabaseError, connections

logger = logging.getLogger(__name__)
PROGRESS_EVERY: Final = 1.0
RENEWALS: Final = 12
"""So many times per lease: as often a job learns that it was cancelled."""
INTERRUPT_AGAIN: Final = 20.0


class LeaseLost(BaseException):
    """Another worker has the job now, or nobody wants it any more. No ``except Exception`` of the job's may swallow it."""


class Lease:
    """``with Lease(renew, progress):`` keeps the job's row its own; ``progress`` stops a job that lost it.

    In a process's main thread the job is stopped wherever it is, also while it waits for its sandbox: the exception is
    raised by the handler of a signal, which unwinds through whatever kills the sandbox's process.
    """

    def __init__(self, renew: Callable[[], bool], progress: Callable[[int, int], bool], *, name: str) -> None:
        self._renew = renew
        self._progress = progress
        self._over = threading.Event()
        self._lost = threading.Event()
        self._told = 0.0
        self._name = name
        self._thread = threading.Thread(target=self._keep, name=f"lease-{name}", daemon=True)
        self._main = threading.current_thread() is threading.main_thread()
        self._inside = False

    def __enter__(self) -> Self:
        if self._main:
            self._before = signal.signal(signal.SIGUSR2, self._interrupt)
            self._inside = True
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside = False
        self._over.set()
        self._thread.join()
        if self._main:
            signal.signal(signal.SIGUSR2, self._before)

    def progress(self, done: int, total: int) -> None:
        """Show progress, at most once a second. Raises ``LeaseLost``."""
        if self._lost.is_set():
            raise LeaseLost
        now = time.monotonic()
        if now - self._told < PROGRESS_EVERY and done < total:
            return
        self._told = now
        if not self._progress(done, total):
            raise LeaseLost

    def _interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        if self._inside:
            raise LeaseLost

    def _keep(self) -> None:
        pause = settings.JOB_LEASE.total_seconds() / RENEWALS
        try:
            while not self._over.wait(pause):
                try:
                    if not self._renew():
                        self._lost.set()
                        return self._stop()
                except DatabaseError:
                    # The database may be back before the lease ends; the final write is fenced in any case.
                    logger.exception("Lease of %s not renewed", self._name)
                    connections.close_all()
        finally:
            connections.close_all()

    def _stop(self) -> None:
        """Interrupt the job; once more later, should a destructor have swallowed it."""
        while self._main and not self._over.is_set():
            with suppress(ProcessLookupError, ValueError):
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)
            self._over.wait(INTERRUPT_AGAIN)
