"""Which roles a person holds, in words."""

from registry.models import RoleGrant, User
from registry.roles import LABELS, Role


def roles_of(user: User) -> list[str]:
    """Labels of the roles the person's teams hold, those on single models with the model's name."""
    grants = RoleGrant.objects.filter(team__user=user).select_related("model").distinct()
    found = {f"{LABELS[Role(grant.role)]}{f' for {grant.model.name}' if grant.model else ''}" for grant in grants}
    return sorted(found)
