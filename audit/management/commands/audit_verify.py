"""Check the whole ledger against itself, its signatures and the guard file."""

import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import fsck, keys


class Command(BaseCommand):
    """Exit code 0: everything holds. 1: it does not, and the output says where. 2: it could not be checked."""

    help = "Re-derive the ledger from its entries and compare it with the tree, the checkpoints and the guard file."
    requires_system_checks: list[str] = []  # those of the web: addresses, templates

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare --key."""
        parser.add_argument(
            "--key", type=Path, help="ledger public key you kept (PEM); this installation's if left out"
        )

    def handle(self, *_: object, **options: object) -> None:
        """Verify and report."""
        kept = options["key"]
        key = _read_key(kept) if isinstance(kept, Path) else None
        try:
            report = fsck.fsck(key=key, progress=lambda done, total: self.stderr.write(f"{done} of {total} entries"))
        except keys.KeyProblem as error:
            raise CommandError(str(error), returncode=2) from error
        for problem in report.problems:
            self.stdout.write(self.style.ERROR(str(problem)))
        if report.broken > len(report.problems):
            self.stdout.write(f"… and {report.broken - len(report.problems)} more")
        checked = f"{report.entries} entries, {report.checkpoints} checkpoints"
        if not report.sound:
            self.stdout.write(self.style.ERROR(f"BROKEN: {report.broken} problems in {checked}"))
            sys.exit(1)
        self.stdout.write(self.style.SUCCESS(f"Sound: {checked}"))


def _read_key(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CommandError(f"{path}: {error}", returncode=2) from error
    if not isinstance(key, Ed25519PublicKey):
        raise CommandError(f"{path} is no Ed25519 public key", returncode=2)
    return key
