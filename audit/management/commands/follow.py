"""The followers in a process of their own, for installations that keep them away from the sequencer."""

import signal
import threading

from django.core.management.base import BaseCommand

from audit import followers
from audit.management.commands.sequence import follow


class Command(BaseCommand):
    """Run until SIGTERM or SIGINT. Several may run: each cursor is handled by one at a time."""

    help = "Run the followers of the ledger."
    requires_system_checks: list[str] = []  # those of the web: addresses, templates

    def handle(self, *_: object, **__: object) -> None:
        """Follow until told to stop."""
        stop, news = threading.Event(), threading.Event()

        def end(*_: object) -> None:
            stop.set()
            news.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        follow(followers.configured(), stop, news)
