"""Check the ledger against itself, its signatures and the guard file: whole, what is new, or one partition."""

import os
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import keys, partitions, selectors, verifying
from audit.fsck import Report, fsck
from audit.guard import Head


class Command(BaseCommand):
    """Exit code 0: everything holds. 1: it does not, and the output says where. 2: it could not be checked."""

    help = "Re-derive the ledger from its entries and compare it with the tree, the checkpoints and the guard file."
    requires_system_checks: list[str] = []  # those of the web: addresses, templates

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what is looked at, by how many, and with which key."""
        parser.add_argument(
            "--key", type=Path, help="ledger public key you kept (PEM); this installation's if left out"
        )
        part = parser.add_mutually_exclusive_group()
        part.add_argument(
            "--incremental", action="store_true", help="only what came after the size that the last look found whole"
        )
        part.add_argument("--since", type=int, metavar="SIZE", help="only what came after the checkpoint of this size")
        part.add_argument("--partition", metavar="NAME", help="only this partition of the log; `list` names them")
        parser.add_argument(
            "--processes", type=int, default=1, help="processes that share the work; 0: as many as there are processors"
        )

    def handle(self, *_: object, **options: object) -> None:
        """Verify and report."""
        if options["partition"] == "list":
            for one in partitions.listed():
                self.stdout.write(f"{one.name}: entries {one.low} to {one.high - 1}")
            return
        kept, began = options["key"], time.monotonic()
        key = _read_key(kept) if isinstance(kept, Path) else None
        processes = int(str(options["processes"])) or len(os.sched_getaffinity(0))
        if not 0 < processes <= 64:
            raise CommandError("--processes must be between 0 and 64", returncode=2)
        try:
            report = fsck(
                key=key, since=_since(options), only=_only(options), processes=processes, progress=self._progress
            )
        except keys.KeyProblem as error:
            raise CommandError(str(error), returncode=2) from error
        self._tell(report, time.monotonic() - began)

    def _progress(self, done: int, total: int) -> None:
        self.stderr.write(f"{done:,} of {total:,} entries ({done * 100 // max(total, 1)} %)")

    def _tell(self, report: Report, seconds: float) -> None:
        for problem in report.problems:
            self.stdout.write(self.style.ERROR(str(problem)))
        if report.broken > len(report.problems):
            self.stdout.write(f"… and {report.broken - len(report.problems)} more")
        checked = f"{report.entries} entries, {report.checkpoints} checkpoints"
        if not report.sound:
            self.stdout.write(self.style.ERROR(f"BROKEN: {report.broken} problems in {checked}"))
            sys.exit(1)
        if report.first:
            self.stdout.write(f"The {report.first} entries before were not looked at, only the tree over them")
        self.stdout.write(self.style.SUCCESS(f"Sound: {checked}"))
        self.stdout.write(f"in {seconds:.1f} s, {report.entries / max(seconds, 1e-9):,.0f} entries a second")


def _since(options: dict[str, object]) -> Head | None:
    size = options["since"]
    if isinstance(size, int):
        checkpoint = selectors.checkpoint(size)
        if checkpoint is None:
            raise CommandError(f"there is no checkpoint of {size} entries", returncode=2)
        return Head(size, bytes(checkpoint.root))
    return verifying.verified_before() if options["incremental"] else None


def _only(options: dict[str, object]) -> tuple[int, int] | None:
    name = options["partition"]
    if not name:
        return None
    for one in partitions.listed():
        if one.name == name:
            return one.low, one.high
    raise CommandError(f"the log has no partition {name}; --partition list names them", returncode=2)


def _read_key(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CommandError(f"{path}: {error}", returncode=2) from error
    if not isinstance(key, Ed25519PublicKey):
        raise CommandError(f"{path} is no Ed25519 public key", returncode=2)
    return key
