"""Take entries out of the log whose retention has ended: partition by partition, after their export."""

from argparse import ArgumentParser
from pathlib import Path

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from audit import pruning
from audit.actors import SYSTEM, Actor
from audit.partitions import NotDroppable


class Command(BaseCommand):
    """Says what could go and what stands against it. Only with --apply, and as the owner, does anything go."""

    help = "Show, export, and with --apply drop the partitions of the log that nothing asks to keep."
    requires_system_checks: list[str] = []  # those of the web: addresses, templates

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare --export, --apply, --by and --reason."""
        parser.add_argument("--export", type=Path, metavar="DIR", help="write the entries that can go to DIR")
        parser.add_argument("--apply", action="store_true", help="drop them, after DIR was read again (needs --export)")
        parser.add_argument("--by", default="", help="user name of the administrator who decides it")
        parser.add_argument("--reason", default="", help="why; the log keeps it")

    def handle(self, *_: object, **options: object) -> None:
        """Judge, export, drop."""
        directory, apply = options["export"], bool(options["apply"])
        by, reason = _actor(str(options["by"])), str(options["reason"]).strip()
        if apply and (not isinstance(directory, Path) or not reason):
            raise CommandError("--apply needs --export DIR and --reason")
        if apply and not _owns():
            raise CommandError("only the owner of the tables drops entries: run it with DATABASE_ROLE=owner")
        due = 0
        for verdict in pruning.verdicts():
            name = f"{verdict.partition.name} (entries {verdict.partition.low} to {verdict.partition.high - 1})"
            if not verdict.prunable:
                self.stdout.write(f"{name} stays. {' '.join(verdict.against)}")
                continue
            due += 1
            self.stdout.write(f"{name} can go: its last entry is of {verdict.last:%Y-%m-%d}.")
            if isinstance(directory, Path):
                self._work(verdict, directory, apply=apply, by=by, reason=reason)
        if due and not apply:
            self.stdout.write("Nothing was taken out of the log: that needs --apply, --export and --reason.")

    def _work(self, verdict: pruning.Verdict, directory: Path, *, apply: bool, by: Actor, reason: str) -> None:
        try:
            found = pruning.export(verdict.partition, directory)
            self.stdout.write(f"  {found.entries} entries in {found.file}, SHA-256 {found.sha256}")
            if apply:
                pruning.prune(verdict, directory, by=by, reason=reason)
                self.stdout.write(self.style.WARNING("  dropped; the tree over them stays, and the log says so"))
        except (pruning.NotExported, pruning.SequencerRuns, NotDroppable, ValueError, OSError) as error:
            raise CommandError(str(error)) from error


def _actor(username: str) -> Actor:
    if not username:
        return SYSTEM
    user = get_user_model()._default_manager.filter(username=username, is_active=True).first()
    if user is None:
        raise CommandError(f"there is no active account {username!r}")
    return Actor.person(user, auth="command")


def _owns() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class WHERE oid = 'audit_entry'::regclass"
        )
        return bool(cursor.fetchone()[0])
