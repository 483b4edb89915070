"""Make the signing keys of a new installation."""

from django.core.management.base import BaseCommand, CommandError

from audit import keys


class Command(BaseCommand):
    """Safe to repeat: a key that exists is never touched."""

    help = "Make the ledger's and the permits' signing keys, unless they exist."
    requires_system_checks: list[str] = []

    def handle(self, *_: object, **__: object) -> None:
        """Make and say what was made."""
        directory = keys.directory()
        try:
            made = keys.ensure_keys(directory)
            keys.publish_public()
        except keys.KeyProblem as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.write(f"Made {', '.join(made)} in {directory}" if made else f"Keys are in {directory}")
        self.stdout.write(
            f"Ledger {keys.origin(keys.ledger_public_key())}, key {keys.fingerprint(keys.ledger_public_key())}"
        )
