"""The first account of an installation."""

from collections.abc import Callable

from django.db import connection, transaction

from audit.actors import SYSTEM
from registry.models import User
from registry.roles import Role
from registry.services.access.people import create_user
from registry.services.access.teams import add_member, create_team, grant_role

USERNAME = "admin"
TEAM = "Administrators"


@transaction.atomic
def first_account(*, password: Callable[[], str]) -> User | None:
    """Make ``admin``, who administers and may register models but has no vote; ``None`` if there is any account.

    Two processes that start at once make one: the second waits for the first and then finds it.
    """
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE registry_user IN SHARE ROW EXCLUSIVE MODE")
    if User.objects.exists():
        return None
    user = create_user(
        username=USERNAME,
        password=password(),
        display_name="First administrator",
        is_staff=True,
        is_superuser=True,
        by=SYSTEM,
    )
    team = create_team(name=TEAM, by=SYSTEM)
    for role in (Role.ADMINISTRATOR, Role.CONTRIBUTOR):
        grant_role(team=team, role=role, by=SYSTEM)
    add_member(team=team, user=user, by=SYSTEM)
    return user
