"""``manage.py print_checks [--check FILE]``: docs/reference/catalogue.md, from what each check says about itself.

``--parameters`` prints governance/checks/parameters.json instead, which the pages of the product read.
"""

import json
from argparse import ArgumentParser
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance import checks
from governance.checks.parameters import described, shown

_INTRODUCTION = """# The catalogue of checks

Printed from the checks themselves (`manage.py print_checks > docs/reference/catalogue.md`). A policy names a check by its key,
sets its parameters under `params` and holds its figures to limits under `require` ([policy](policy.md)). How a check is
built and run: [checks](checks.md).
"""


def printed() -> str:
    """The page: one section for each check."""
    parts = [_INTRODUCTION]
    for name in checks.built_in():
        about = checks.manifest(name)
        parts.append(f"## `{about.key}`\n\n**{about.title}.** {about.definition}\n")
        where = "runs the model in the sandbox" if about.sandbox else "reads what is there"
        parts.append(f"Version {about.version}; {about.category}; needs {', '.join(about.needs)}; {where}.\n")
        rows = [
            f"| `{figure.key}` | {figure.label} | {figure.better} | {'yes' if figure.per_group else ''} |"
            for figure in about.figures
        ]
        parts.append("\n".join(["| Figure | | Better | For each group or input |", "|---|---|---|---|", *rows]) + "\n")
        given = fields(checks.get(name).params)
        if given:
            listed = ", ".join(
                f"`{field.name}` (required)"
                if field.default is MISSING
                else f"`{field.name}` = `{shown(field.default)}`"
                for field in given
            )
            parts.append(f"Parameters: {listed}.\n")
    return "\n".join(parts)


def parameters() -> str:
    """The file: the parameters of each check."""
    found = {name: described(checks.get(name).params) for name in checks.built_in()}
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


class Command(BaseCommand):
    """Print the page, or compare it with a file."""

    help = "Print docs/reference/catalogue.md."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", type=Path, metavar="FILE", help="fail unless FILE is what would be printed")

        parser.add_argument("--parameters", action="store_true", help="the file that the pages read, not the document")

    def handle(self, *_args: Any, **options: Any) -> None:
        text = parameters() if options["parameters"] else printed()
        if options["check"] is None:
            self.stdout.write(text, ending="")
        elif options["check"].read_text(encoding="utf-8") != text:
            raise CommandError(f"{options['check']} is not what the checks say; print it again.")
