"""Which roles a person holds, in words; who holds which; and the account behind an API token with what it holds."""

# ruff: noqa: S608 - statements are put together from this house's own text alone; values are parameters

from itertools import chain
from typing import Final

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Prefetch, Q, QuerySet

from config import statements
from registry import reach
from registry.models import ApiToken, RegisteredModel, RoleGrant, User
from registry.roles import LABELS, Role


def roles_of(user: User) -> list[str]:
    """Labels of the roles the person's teams hold, those on single models with the model's name."""
    grants = RoleGrant.objects.filter(team__user=user).select_related("model").distinct()
    found = {f"{LABELS[Role(grant.role)]}{f' for {grant.model.name}' if grant.model else ''}" for grant in grants}
    return sorted(found)


def grants_visible_to(user: User, *, model: str = "") -> QuerySet[RoleGrant]:
    """Roles as they were given to teams, with the teams' members; for ``model``, those that hold on it.

    Auditors and administrators of everything see all. Everybody else sees their own teams' roles, and those on single models
    that they audit or administer.
    """
    found = RoleGrant.objects.filter(Q(model=None) | Q(model__deleted_at=None))
    if not (reach.holds(user, reach.AUDIT) or reach.holds(user, reach.ADMINISTER)):
        overseen = RegisteredModel.objects.visible_to(user, reach.AUDIT) | RegisteredModel.objects.visible_to(
            user, reach.ADMINISTER
        )
        found = found.filter(Q(team__in=reach.teams_of(user)) | Q(model__in=overseen.values("pk")))
    if model:
        found = found.filter(Q(model=None) | Q(model__name=model.replace("\x00", "")))
    members = Prefetch("team__user_set", User.objects.order_by("username"))
    return found.select_related("team", "model", "granted_by").prefetch_related(members)


_TOKEN: Final = tuple(ApiToken._meta.concrete_fields)
# A token's bearer never shows a password: its hash stays in the database.
_USER: Final = tuple(field for field in User._meta.concrete_fields if field.attname != "password")
_TOKEN_NAMES: Final = [field.attname for field in _TOKEN]
_USER_NAMES: Final = [field.attname for field in _USER]
_BY_PREFIX: Final = (
    "SELECT "
    + ", ".join(chain((f't."{field.column}"' for field in _TOKEN), (f'u."{field.column}"' for field in _USER)))
    + f", {reach.HELD_EVERYWHERE} FROM registry_apitoken t JOIN registry_user u ON u.id = t.user_id WHERE t.prefix = %s"
)


def token_by_prefix(prefix: str) -> ApiToken | None:
    """The token of that prefix, whatever its state, with its account and what that holds everywhere: one statement."""
    found = statements.row(_BY_PREFIX, (prefix,))
    if found is None:
        return None
    token = ApiToken.from_db(DEFAULT_DB_ALIAS, _TOKEN_NAMES, found[: len(_TOKEN)])
    user = User.from_db(DEFAULT_DB_ALIAS, _USER_NAMES, found[len(_TOKEN) : -1])
    reach.remember(user, found[-1])
    token.user = user
    return token
