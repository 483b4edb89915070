"""``manage.py adopt_policy FILE [--by USERNAME]``: put a policy into force."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.actors import SYSTEM, Actor
from config.errors import Refusal
from governance.services.policies import adopt
from registry.models import User


class Command(BaseCommand):
    """Adopts the policy in a YAML file; adopting the text in force again changes nothing."""

    help = "Put the policy in FILE into force."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--by", default="", metavar="USERNAME", help="who adopts it (default: the system)")

    def handle(self, *_: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            document = path.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path} cannot be read: {error}") from error
        by = SYSTEM
        if options["by"]:
            user = User.objects.filter(username=options["by"]).first()
            if user is None:
                raise CommandError(f"There is no account {options['by']}.")
            by = Actor.person(user, auth="shell")
        try:
            version = adopt(document=document, by=by)
        except Refusal as refusal:
            raise CommandError(f"{path}: {refusal}") from refusal
        self.stdout.write(f"{version} is in force: {', '.join(version.targets)}; digest {version.digest}")
