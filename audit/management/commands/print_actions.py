"""``manage.py print_actions [--check FILE]``: docs/reference/actions.md, from the actions that the apps registered."""

from argparse import ArgumentParser
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit import actions

_HEAD = """# Actions of the ledger

Printed from what each app registers in its `actions.py` by `manage.py print_actions`; do not edit by hand. An action that is not
here cannot be logged. In the log each stands in an entry with its actor, its object, what changed and why: see
[the ledger](../auditors/ledger.md).
"""


def printed(known: Iterable[actions.Action]) -> str:
    """The whole page about these actions, which are in the order of their names."""
    parts = [_HEAD]
    for subject, group in groupby(known, key=lambda action: action.name.partition(".")[0]):
        rows = "".join(f"| `{one.name}` | {_words(one.sentence)} |\n" for one in group)
        parts.append(f"\n## {subject}\n\n| Action | In words |\n|---|---|\n{rows}")
    return "".join(parts)


def _words(sentence: str) -> str:
    return sentence.replace("{actor}", "*who*").replace("{object}", "*what*")


class Command(BaseCommand):
    """Prints the page; with ``--check`` it compares it to a file instead."""

    help = "Print docs/reference/actions.md."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare --check."""
        parser.add_argument("--check", type=Path, metavar="FILE", help="fail unless FILE is what would be printed")

    def handle(self, *_: Any, **options: Any) -> None:
        """Print or compare."""
        path: Path | None = options["check"]
        if path is None:
            self.stdout.write(printed(actions.known()), ending="")
        elif path.read_text(encoding="utf-8") != printed(actions.known()):
            raise CommandError(f"{path} is not current: run manage.py print_actions > {path}")
