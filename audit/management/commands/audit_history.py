"""``manage.py audit_history``: is the history of all rows what happened? See docs/auditors/time-travel.md."""

import sys
from argparse import ArgumentParser

from django.core.management.base import BaseCommand

from audit.history.inspection import broken_chains, disagreements
from audit.history.moments import found
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
        findings = [str(one) for one in broken_chains()]
        asked = [at] if at else [f"entry:{size}" for size in _spread(moments)]
        for one in asked:
            findings += [str(finding) for finding in disagreements(found(one))]
        for finding in dict.fromkeys(findings):
            self.stdout.write(finding)
        if findings:
            sys.exit(1)
        self.stdout.write(f"The history joins without a gap and agrees with the log at {len(asked)} moments.")


def _spread(count: int) -> list[int]:
    """Sizes of moments: the first, the last, and others evenly between them."""
    total = Moment.objects.count()
    places = sorted({round(step * (total - 1) / max(count - 1, 1)) for step in range(count)}) if total else []
    return [Moment.objects.order_by("size").values_list("size", flat=True)[place] for place in places]
