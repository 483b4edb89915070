"""Which policy holds."""

from governance.models import PolicyVersion
from registry.models import RegisteredModel


def policy_for(model: RegisteredModel, target: str) -> PolicyVersion | None:
    """The one policy version in force for this model's tier and ``target`` (``alias:…``, ``stage:…``), or None.

    None means that the target is not governed. ``adopt`` keeps it at one.
    """
    return PolicyVersion.objects.governing(tier=model.tier, target=target).first()


def governed_targets(model: RegisteredModel) -> list[str]:
    """Every target that some policy in force governs for this model, sorted."""
    versions = PolicyVersion.objects.current().filter(tiers__contains=[model.tier])
    return sorted({target for version in versions for target in version.targets})
