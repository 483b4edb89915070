"""``manage.py adopt_trust_root FILE``: the next version of the trust root, signed elsewhere, comes into force."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.errors import Refusal
from governance.services import trust


class Command(BaseCommand):
    """Run as the owner (DATABASE_ROLE=owner), after ``countersign trust sign`` by enough offline keys."""

    help = "Adopt a new version of the trust root."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the file."""
        parser.add_argument("file", type=Path)

    def handle(self, *_: Any, **options: Any) -> None:
        """Verify and store it."""
        try:
            row = trust.adopt(options["file"].read_text())
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}") from error
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"Trust root version {row.version} is in force, until {row.expires_at:%Y-%m-%d}.")
