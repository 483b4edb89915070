"""``manage.py setup_trust``: keys of the two signers and the first trust root of an installation."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.keys import KeyProblem
from audit.witnessing.configured import Misconfigured
from governance.permits.keyfiles import NoKey
from governance.permits.signed import Refused
from governance.services import trust


class Command(BaseCommand):
    """Idempotent; run at every start after ``setup_database``, as the owner (DATABASE_ROLE=owner)."""

    help = "Make the keys that sign permits, and the trust root that names them, unless there is one."
    requires_system_checks: list[str] = []

    def handle(self, *_: Any, **__: Any) -> None:
        """Say what there is, and where the offline keys lie if they were made just now."""
        try:
            vkeys, quorum = trust.witnesses_of_the_policy()
            done = trust.set_up(trust.Places.default(), witnesses=vkeys, quorum=quorum)
        except (NoKey, KeyProblem, Refused, Misconfigured) as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.write(f"Trust root version {done.version}, good until {done.expires_at:%Y-%m-%d}.")
        if done.offline_keys:
            self.stdout.write(
                f"MOVE AWAY the {len(done.offline_keys)} offline root keys, each to another medium that is not this machine: "
                f"{', '.join(str(path) for path in done.offline_keys)}. The server never needs them; whoever has both can make "
                "a trust root of his own (docs/operators/keys.md)."
            )
