"""The countersigner: a process of its own, with a key that no other process reads. The second of two signers."""

import logging
import signal
import threading
from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import BaseCommand
from django.db import DatabaseError, close_old_connections, connection

from governance.permits.keyfiles import NoKey
from governance.permits.signed import Refused
from governance.services.permits import issuing, lists

logger = logging.getLogger(__name__)

INTERVAL: Final = 0.25
AFTER_FAILURE: Final = 1.0


class Command(BaseCommand):
    """Run until SIGTERM or SIGINT. Several may run; each permit is made once."""

    help = "Check what the issuer signed, sign it too, and so make permits and publish status lists."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare --once."""
        parser.add_argument("--once", action="store_true", help="do what is due now and end")

    def handle(self, *_: Any, **options: Any) -> None:
        """Look four times a second."""
        if options["once"]:
            issuing.countersign_waiting()
            lists.countersign_newest()
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        self.stdout.write("Countersigning")
        self.stdout.flush()
        told = ""
        while not stop.is_set():
            pause = INTERVAL
            try:
                close_old_connections()
                issuing.countersign_waiting()
                lists.countersign_newest()
            except (NoKey, Refused) as refused:
                if str(refused) != told:
                    logger.warning("No status list: %s", refused)
                told = str(refused)
            except DatabaseError as error:
                logger.warning("Countersigning interrupted, trying again: %s", error)
                connection.close()
                pause = AFTER_FAILURE
            stop.wait(pause)
        connection.close()
