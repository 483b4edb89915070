"""Write the log into a directory as static files."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import keys
from audit.tiles.publish import NotPublished, publish


class Command(BaseCommand):
    """Safe to repeat: it adds what is new. Exit code 1: the directory was left as it is."""

    help = (
        "Write checkpoint, tiles and entries in the layout of c2sp.org/tlog-tiles. Whoever can read the directory reads"
        " every entry: those of format 1 hold account names."
    )
    requires_system_checks: list[str] = []  # those of the web: addresses, templates

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the directory."""
        parser.add_argument("directory", type=Path, help="made if it is not there")

    def handle(self, *_: object, **options: object) -> None:
        """Publish and say what was added."""
        directory = Path(str(options["directory"]))
        try:
            done = publish(directory, progress=lambda files: self.stderr.write(f"{files} files"))
        except (NotPublished, OSError, keys.KeyProblem) as problem:
            raise CommandError(str(problem)) from problem
        for one in done.left_out:
            self.stdout.write(self.style.WARNING(f"Left out {one}"))
        self.stdout.write(
            f"{directory} holds {done.size} entries, {done.size - done.before} of them new, in {done.files} files"
        )
