"""``manage.py erase_person ada --reason "Request 2027-114"``: the same as the page, for who administers the host."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.actors import SYSTEM, Actor
from config.errors import Refusal
from registry.models import User
from registry.services import access


class Command(BaseCommand):
    """Without --apply it says what stands against it, and does nothing."""

    help = "Erase a person: destroy what names them; what they did stays, under the account's number."
    requires_system_checks: list[str] = []  # those of the web: addresses, templates

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the account, --reason, --by and --apply."""
        parser.add_argument("username")
        parser.add_argument("--reason", required=True, help="kept in the log for ever: the number of the case, no name")
        parser.add_argument("--by", default="", help="user name of the administrator who decides it; else the system")
        parser.add_argument("--apply", action="store_true", help="do it")

    def handle(self, *_: Any, **options: Any) -> None:
        """Look, and with --apply erase."""
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"there is no account {options['username']!r}")
        by = _actor(options["by"])
        try:
            if not options["apply"]:
                access.check_can_erase(by, user)
                self.stdout.write("Nothing stands against it. Nothing was done: that needs --apply.")
                return
            done = access.erase_person(user=user, reason=options["reason"], by=by)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(
            f"Erased: {done.commitments} sealed values, {done.tokens} tokens, {done.teams} teams; entry {done.entry_id}"
        )
        for sentence in done.kept:
            self.stdout.write(f"Stays: {sentence}")


def _actor(username: str) -> Actor:
    if not username:
        return SYSTEM
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise CommandError(f"there is no active account {username!r}")
    return Actor.person(user, auth="command")
