"""What the ledger vouches for of a team: its name, members, permissions and roles. A team is a Django group."""

from typing import Final

from django.contrib.auth.models import Group

ROWS: Final = (
    "user_set",
    "permissions",
    "role_grants",
    "registeredmodelgroupobjectpermission_set",
    "groupobjectpermission_set",
)
"""What to read along, for many teams at once."""


def team_facts(team: Group) -> dict[str, object]:
    """Return what becomes the object digest of the team's entries."""
    return {
        "name": team.name,
        "members": sorted(user.pk for user in team.user_set.all()),
        "permissions": sorted(one.pk for one in team.permissions.all()),
        "roles": sorted([one.role, one.model_id or 0, one.granted_by_id or 0] for one in team.role_grants.all()),
        "on_models": sorted(
            [one.content_object_id, one.permission_id] for one in team.registeredmodelgroupobjectpermission_set.all()
        ),
        "on_others": sorted(
            [one.content_type_id, one.object_pk, one.permission_id] for one in team.groupobjectpermission_set.all()
        ),
    }
