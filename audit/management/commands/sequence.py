"""The sequencer process: one is active, others wait; the followers run beside it in a thread of their own."""

import logging
import signal
import sys
import threading
from argparse import ArgumentParser
from typing import Final

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, close_old_connections, connection

from audit import followers, keys, sequencer
from audit.guard import Guard, Refused

logger = logging.getLogger(__name__)

INTERVAL: Final = 0.2
BUSY_INTERVAL: Final = 0.1
"""After a batch that had entries; each batch costs a signature, a guard file on disk and a checkpoint for ever."""
STANDBY_INTERVAL: Final = 1.0
REFUSED: Final = 3


class Command(BaseCommand):
    """Run until SIGTERM or SIGINT. Exit code 3: the log is no continuation of what was signed before."""

    help = "Give committed changes their place in the ledger, sign checkpoints and run the followers."
    requires_system_checks: list[str] = []  # those of the web: addresses, templates

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare --once and --adopt."""
        parser.add_argument(
            "--once", action="store_true", help="integrate what is waiting, run the followers once, end"
        )
        parser.add_argument("--adopt", action="store_true", help="accept a log for which this host has no guard file")

    def handle(self, *_: object, **options: object) -> None:
        """Start, wait for the lock, work."""
        stop = threading.Event()
        worker = sequencer.Sequencer(keys.ledger_key(), Guard.default(adopt=bool(options["adopt"])))
        try:
            if options["once"]:
                self._once(worker)
            else:
                for number in (signal.SIGTERM, signal.SIGINT):
                    signal.signal(number, lambda *_: stop.set())
                self._work(worker, stop)
        except Refused as refused:
            self.stderr.write(self.style.ERROR(f"Refusing to sign: {refused}"))
            sys.exit(REFUSED)

    def _once(self, worker: sequencer.Sequencer) -> None:
        integrated, handled, known = 0, 0, followers.configured()
        worker.check()
        while done := worker.run_once():
            integrated += done
        while done := followers.run_all(known):
            handled += done
        self.stdout.write(f"{integrated} entries integrated, {handled} handled by followers")

    def _work(self, worker: sequencer.Sequencer, stop: threading.Event) -> None:
        news, known, told = threading.Event(), followers.configured(), threading.Event()

        def react() -> None:
            try:
                follow(known, stop, news)
                told.set()
            finally:
                stop.set()  # no sequencer without its followers: the supervisor starts both again

        reactions = threading.Thread(target=react, name="followers")
        reactions.start()
        try:
            while not stop.is_set():
                try:
                    self._lead(worker, stop, news)
                except (DatabaseError, sequencer.Busy) as error:
                    # The server went away, or our lock with it. Everything uncommitted is still in the inbox.
                    logger.warning("Sequencing interrupted, trying again: %s", error)
                    connection.close()
                    stop.wait(STANDBY_INTERVAL)
        finally:
            stop.set()
            news.set()
            reactions.join()
            connection.close()
        if not told.is_set():
            raise CommandError("the followers ended without being told to; the cause is in the log above")

    def _lead(self, worker: sequencer.Sequencer, stop: threading.Event, news: threading.Event) -> None:
        """Become the one sequencer, then integrate a batch every interval, at once while there is more."""
        announced = False
        while not _try_lock():
            if not announced:
                logger.info("Standing by: another sequencer is active")
                announced = True
            if stop.wait(STANDBY_INTERVAL):
                return
        head = worker.check()
        logger.info("Sequencing %s from entry %d", worker.origin, head.size)
        while not stop.is_set():
            done = worker.run_once()
            if done:
                news.set()
            if done < worker.batch:
                stop.wait(BUSY_INTERVAL if done else INTERVAL)


def _try_lock() -> bool:
    """Take the sequencer's lock for this session, if it is free."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [sequencer.LOCK])
        return bool(cursor.fetchone()[0])


def follow(known: list[followers.Follower], stop: threading.Event, news: threading.Event) -> None:
    """Run the followers until ``stop``: at once on ``news``, and every second for those that failed or fell behind."""
    try:
        while not stop.is_set():
            try:
                close_old_connections()
                behind = followers.run_all(known) > 0
            except DatabaseError as error:
                logger.warning("Followers interrupted, trying again: %s", error)
                connection.close()
                behind = False
            if not behind:
                news.wait(STANDBY_INTERVAL)
                news.clear()
    finally:
        connection.close()
