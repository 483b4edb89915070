"""``manage.py print_states [--check FILE]``: docs/reference/states.md, from the tables of ``governance.states``."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.states import printed


class Command(BaseCommand):
    """Prints the page; with ``--check`` it compares it to a file instead."""

    help = "Print docs/reference/states.md."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", type=Path, metavar="FILE", help="fail unless FILE is what would be printed")

    def handle(self, *_: Any, **options: Any) -> None:
        path: Path | None = options["check"]
        if path is None:
            self.stdout.write(printed(), ending="")
        elif path.read_text(encoding="utf-8") != printed():
            raise CommandError(f"{path} is not current: run manage.py print_states > {path}")
