"""``manage.py setup_governance``: the policy that comes with the product, unless there is one of that name already."""

from typing import Any

from django.core.management.base import BaseCommand

from governance.services.policies import adopt_built_in


class Command(BaseCommand):
    """Idempotent; run at every start after ``migrate``."""

    help = "Adopt the built-in policy, unless a policy of its name is in force."

    def handle(self, *_: Any, **__: Any) -> None:
        version = adopt_built_in()
        self.stdout.write(f"{version} governs {', '.join(version.targets)}.")
