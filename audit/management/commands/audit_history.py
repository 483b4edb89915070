"""``manage.py audit_history``: is the history of all rows what happened? See docs/auditors/time-travel.md."""

import sys
from argparse import ArgumentParser

from django.core.management.base import BaseCommand

from audit.history.inspection import findings
from audit.models import Moment


class Command(BaseCommand):
    """Compares the history with the live rows, and with the log at some moments. Exit code 1 if something is wrong."""

    help = "Check the history that pages of the past are read from: against the live rows, and against the log."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """``--moments`` says at how many, evenly spread with first and last; ``--at`` names one."""
        parser.add_argument("--moments", type=int, default=10, help="at how many moments to compare with the log")
        parser.add_argument("--at", default="", help="compare at this one only: a day, a time, or entry:1234")

    def handle(self, *_: object, moments: int, at: str, **__: object) -> None:
        """Print every finding."""
        found = findings(moments=moments, at=at)
        for one in found:
            self.stdout.write(str(one))
        if found:
            sys.exit(1)
        where = f"at {at}" if at else f"at {min(moments, Moment.objects.count())} moments"
        self.stdout.write(f"The history joins without a gap and agrees with the log {where}.")
