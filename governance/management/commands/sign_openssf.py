"""``manage.py sign_openssf``: an OpenSSF model signature over what a permit allows."""

from argparse import ArgumentParser
from pathlib import Path
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from audit.actors import Actor
from config.errors import Refusal
from governance.models import Permit
from governance.services import model_signing


class Command(BaseCommand):
    """Run in a worker's environment: the web has no model libraries."""

    help = "Sign the files of a permitted version as OpenSSF model signing does, with a key of your own."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which permit, which key, whereto."""
        parser.add_argument("permit", type=UUID, help="the permit's id")
        parser.add_argument("--key", type=Path, required=True, help="PEM of an elliptic-curve private key")
        parser.add_argument("--out", type=Path, required=True, help="where the bundle goes (model.sig)")

    def handle(self, *args: object, **options: object) -> None:
        """Sign."""
        permit = Permit.objects.select_related("version", "model").filter(pk=str(options["permit"])).first()
        if permit is None:
            raise CommandError("There is no such permit.")
        key, out = Path(str(options["key"])), Path(str(options["out"]))
        try:
            digest = model_signing.sign(permit=permit, key=key, out=out, by=Actor.service("model-signing"))
        except (Refusal, OSError, ValueError, TypeError, model_signing.NoLibrary) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{out}: the signature over {permit.version}, sha256:{digest}")
