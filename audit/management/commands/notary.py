"""The notary process: asks witnesses, time-stamp authorities and beacons, and puts checkpoints where they are kept."""

import logging
import signal
import threading

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from audit.witnessing import notary
from audit.witnessing.configured import Misconfigured

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    """Run until SIGTERM or SIGINT. One works, others stand by."""

    help = "Have the log's checkpoints cosigned, time-stamped and anchored by those outside."
    requires_system_checks: list[str] = []  # those of the web: addresses, templates

    def handle(self, *_: object, **__: object) -> None:
        """Wait for the lock, work."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        logger.info("The notary begins")
        try:
            while not stop.is_set() and not _mine():
                stop.wait(notary.LOOK)
            if not stop.is_set():
                self._work(stop)
        except Misconfigured as error:
            raise CommandError(str(error)) from error
        finally:
            connection.close()

    def _work(self, stop: threading.Event) -> None:
        """Work for as long as the session that holds the lock lives."""
        over = threading.Event()
        working = threading.Thread(target=notary.work, args=(over,), name="notary")
        working.start()
        try:
            while working.is_alive() and not stop.wait(notary.LOOK):
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
        except DatabaseError as error:
            raise CommandError(
                f"the session with the lock is gone, and the supervisor starts me again: {error}"
            ) from error
        finally:
            over.set()
            working.join()
        if not stop.is_set():
            raise CommandError("the errands ended without being told to; the cause is in the log above")


def _mine() -> bool:
    """Take the notary's lock for this session, if it is free. The server being away is like its not being free."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [notary.LOCK])
            return bool(cursor.fetchone()[0])
    except DatabaseError:
        connection.close()
        return False
