"""``manage.py setup_governance``: the policy that comes with the product, and what the operator exempts from gating."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.errors import Refusal
from governance.models.exemptions import WHOLE_INSTANCE
from governance.services import exemptions
from governance.services.policies import adopt_built_in


class Command(BaseCommand):
    """Idempotent; run at every start after ``migrate``, as the owner (DATABASE_ROLE=owner)."""

    help = "Adopt the built-in policy, unless a policy of its name is in force; apply UNGOVERNED_MODELS."

    def handle(self, *_: Any, **__: Any) -> None:
        """Say what is governed, what is exempt, and what stands without a permit since an exemption ended."""
        version = adopt_built_in()
        self.stdout.write(f"{version} governs {', '.join(version.targets)}.")
        names = list(settings.UNGOVERNED_MODELS)
        try:
            applied = exemptions.apply(names=names)
        except Refusal as refusal:
            raise CommandError(f"UNGOVERNED_MODELS: {refusal}") from refusal
        if names:
            what = "every model" if WHOLE_INSTANCE in names else ", ".join(sorted(set(names)))
            self.stdout.write(f"Exempt from gating by UNGOVERNED_MODELS: {what}.")
        if applied.ended:
            self.stdout.write(f"No longer exempt from gating: {', '.join(applied.ended)}.")
        for standing in applied.unpermitted:
            self.stdout.write(f"Stands without a permit: {standing}.")
