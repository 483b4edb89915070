"""``manage.py report NAME key=value … --as ACCOUNT --out FILE``: make a report by hand, where the worker's packages are."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.history import moments
from config.errors import Refusal
from governance.documents import NotRendered, render
from governance.documents.catalogue import REPORTS, build
from governance.documents.job import at_moment
from registry.models import User


class Command(BaseCommand):
    """Writes PDF/A-3, or the data pack for a file name that ends in .json. Nothing is logged: nobody was handed anything."""

    help = "Make one of the reports: " + ", ".join(report.name for report in REPORTS)

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The report, its parameters, in whose name, and where to."""
        parser.add_argument("name", choices=[report.name for report in REPORTS])
        parser.add_argument("parameters", nargs="*", metavar="key=value")
        parser.add_argument("--as", dest="account", required=True, help="account whose rights decide what is in it")
        parser.add_argument(
            "--as-of", default="", help="a day, a time with its zone, or entry:N; else the newest moment"
        )
        parser.add_argument("--out", type=Path, required=True, help="file to write: .pdf or .json")

    def handle(self, *, name: str, parameters: list[str], account: str, as_of: str, out: Path, **_: Any) -> None:
        """Make it, or say in one sentence why not."""
        given = dict(text.partition("=")[::2] for text in parameters)
        reader = User.objects.filter(username=account).first()
        if reader is None:
            raise CommandError(f"There is no account {account!r}.")
        try:
            with at_moment(moments.found(as_of).size if as_of else None):
                pack = build(name, given, reader=reader)
            content = (
                pack.content if out.suffix == ".json" else render(name, pack.data, at=pack.log.at, files=pack.files)
            )
        except (Refusal, NotRendered) as why:
            raise CommandError(str(why)) from why
        out.write_bytes(content)
        self.stdout.write(
            f"{out}: {len(content)} bytes, as of {pack.log.at:%Y-%m-%d %H:%M} UTC, log of {pack.log.size}"
        )
