"""``manage.py demo``: the main job of the product, on real data, against a running server. See docs/tutorial/demo.md."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from governance.demo.browser import DemoFailed
from governance.demo.journey import Journey


class Command(BaseCommand):
    """Create accounts, then go through HTTP like anybody else."""

    help = "Train, register, check and promote real models against the running server (PUBLIC_URL)."

    def add_arguments(self, parser: CommandParser) -> None:
        """``--signed`` also signs, and verifies the evidence; ``--once`` is for the supervisor, which stops after it."""
        parser.add_argument("--signed", action="store_true", help="sign as the two officers, and verify the bundle")
        parser.add_argument("--once", action="store_true", help="stop everything afterwards (done by the supervisor)")

    def handle(self, *args: Any, signed: bool, **options: Any) -> None:
        """Run the journey; exit code 1 with the step and the reason when one fails."""
        journey = Journey(url=settings.PUBLIC_URL, say=self.stdout.write)
        try:
            journey.run(signed=signed)
        except DemoFailed as failure:
            raise CommandError(f"The demonstration stopped: {failure}") from failure
