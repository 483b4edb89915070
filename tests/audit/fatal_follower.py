"""A follower that ends its thread, as no follower should."""

import sys

from audit.followers import Follower
from audit.models import Entry


class Fatal(Follower):
    """Leaves."""

    name = "fatal"

    def handle(self, entry: Entry) -> None:
        sys.exit(f"at entry {entry.index}")
