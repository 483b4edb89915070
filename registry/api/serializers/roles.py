"""Roles, the teams that hold them, and who is in those."""

from rest_framework import serializers

from registry.api.endpoint import PageQuery
from registry.models import RoleGrant
from registry.roles import Role


class RoleQuery(PageQuery):
    """Which roles to list."""

    model = serializers.CharField(
        required=False, default="", max_length=256, help_text="Those that hold on this model, by name or on every one."
    )


class RoleOut(serializers.Serializer[RoleGrant]):
    """A role of a team. ``model`` is null where it holds on every model."""

    role = serializers.ChoiceField(choices=[role.value for role in Role])
    model = serializers.CharField(source="model.name", allow_null=True, default=None)
    team = serializers.CharField(source="team.name")
    members = serializers.SerializerMethodField()
    granted_at = serializers.DateTimeField()
    granted_by = serializers.CharField(source="granted_by.username", allow_null=True, default=None)

    def get_members(self, grant: RoleGrant) -> list[str]:
        """Usernames, sorted."""
        return [member.username for member in grant.team.user_set.all()]
