"""Roles: named sets of permissions on registered models. Granted to teams, on every model or on one.

Administrators get no vote by being administrators: ``administer`` carries neither ``approve`` nor ``validate``.
"""

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """The five roles of the product."""

    CONTRIBUTOR = "contributor"
    VALIDATOR = "validator"
    APPROVER = "approver"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


LABELS: Final[dict[Role, str]] = {
    Role.CONTRIBUTOR: "Data scientist",
    Role.VALIDATOR: "Independent validator",
    Role.APPROVER: "Compliance officer",
    Role.AUDITOR: "Auditor",
    Role.ADMINISTRATOR: "Administrator",
}

_VIEW = "view_registeredmodel"
PERMISSIONS: Final[dict[Role, frozenset[str]]] = {
    Role.CONTRIBUTOR: frozenset({_VIEW, "contribute_registeredmodel"}),
    Role.VALIDATOR: frozenset({_VIEW, "validate_registeredmodel"}),
    Role.APPROVER: frozenset({_VIEW, "approve_registeredmodel"}),
    Role.AUDITOR: frozenset({_VIEW, "audit_registeredmodel"}),
    Role.ADMINISTRATOR: frozenset({_VIEW, "administer_registeredmodel"}),
}
"""Codenames on ``registry.RegisteredModel``. A contributor on *every* model may also create new ones."""
