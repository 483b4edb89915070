"""How far the ledger and each follower are."""

from django.core.management.base import BaseCommand

from audit import selectors
from audit.models import Cursor


class Command(BaseCommand):
    """For people and for scripts: one line for the log, one per follower."""

    help = "Show the head of the ledger and where each follower stands."
    requires_system_checks: list[str] = []  # those of the web: addresses, templates

    def handle(self, *_: object, **__: object) -> None:
        """Print it."""
        head = selectors.head()
        size = head.size if head else 0
        self.stdout.write(f"log: {size} entries, last checkpoint {head.at.isoformat() if head else 'never'}")
        for cursor in Cursor.objects.order_by("name"):
            behind = size - cursor.next_index
            line = f"{cursor.name}: next entry {cursor.next_index}, {behind} behind"
            if cursor.failures:
                again = cursor.retry_at.isoformat() if cursor.retry_at else "now"
                line += f", FAILED {cursor.failures} times, again at {again}: {cursor.last_error}"
            self.stdout.write(line)
