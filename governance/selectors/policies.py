"""Which policy holds."""

import json
from typing import Final

from config import statements
from governance.models import PolicyVersion
from governance.states import OPEN_REQUEST_STATES
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


_GOVERNORS: Final = """
    SELECT v.targets, p.name
    FROM governance_policy p JOIN governance_policyversion v ON v.id = p.current_id
    WHERE v.tiers @> to_jsonb(%s::int) AND NOT EXISTS (
        SELECT 1 FROM governance_gateexemption WHERE ended_at IS NULL AND name IN ('*', %s)
    )
    UNION ALL
    SELECT to_jsonb(ARRAY[permit.target]), p.name
    FROM governance_permit permit
    JOIN governance_promotionrequest asked ON asked.id = permit.request_id
    JOIN governance_policyversion v ON v.id = asked.policy_version_id
    JOIN governance_policy p ON p.id = v.policy_id
    WHERE permit.model_id = %s AND permit.state IN ('active', 'suspended')
"""

_STANDING: Final = """
    SELECT EXISTS (SELECT 1 FROM governance_permit WHERE model_id = %s AND state IN ('active', 'suspended'))
        OR EXISTS (SELECT 1 FROM governance_promotionrequest WHERE model_id = %s AND state = ANY(%s))
        OR EXISTS (
            SELECT 1 FROM governance_promotionrequest asked
            LEFT JOIN governance_permit made ON made.request_id = asked.id
            LEFT JOIN governance_permitissuance way ON way.request_id = asked.id
            WHERE asked.model_id = %s AND asked.state IN ('approved', 'approved_with_conditions')
              AND made.id IS NULL AND way.state IS DISTINCT FROM 'abandoned'
        )
"""


def governors(model: RegisteredModel) -> dict[str, str]:
    """Every target that the gate holds for this model, with the policy by whose name it does. One query.

    Those that a policy in force governs, unless the model is exempt; and those that a living permit holds, whatever became
    of the model's tier, the policy or an exemption since: a name that people signed for is not set free by changing what
    it is measured by.
    """
    found: dict[str, str] = {}
    for targets, policy in statements.rows(_GOVERNORS, [model.tier, model.name, model.pk]):
        for target in json.loads(targets):
            found.setdefault(target, policy)
    return found


def has_standing(model: RegisteredModel) -> bool:
    """Whether a living permit, one being made, or an open request is about any version of this model."""
    return bool(statements.one(_STANDING, [model.pk, model.pk, OPEN_REQUEST_STATES, model.pk])[0])
