"""``manage.py first_account``: somebody must be able to sign in to a new installation."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from config.runtime.secretfiles import SecretFiles
from registry.services.access import first_account

PASSWORD_FILE = "admin-password"  # noqa: S105 - the name of a file


class Command(BaseCommand):
    """Idempotent; run at every start. The password is in a file that its owner alone reads: output is logged."""

    help = "Make the account of the first administrator, unless there is an account already."

    def handle(self, *_: Any, **__: Any) -> None:
        """Say where the password is, never what it is."""
        directory = Path(settings.DATA_DIR) / "secrets"
        user = first_account(password=lambda: SecretFiles(directory).get(PASSWORD_FILE))
        if user is not None:
            self.stdout.write(f"First account: {user.username}; its password is in {directory / PASSWORD_FILE}")
