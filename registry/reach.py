"""What an account may do, from the rows that grant it: on every model, or on one.

Django's ``has_perm`` answers yes to everything for a superuser. A superuser here administers and sees; votes and
contributions come from roles alone, so that nobody approves by being the administrator.

Rights are those of today, whatever moment is being shown: what a person may not see now, they may not see as it was.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from django.contrib.auth.models import Permission
from django.db.models import Q

from config import as_of

if TYPE_CHECKING:
    from registry.models import User

VIEW: Final = "registry.view_registeredmodel"
CONTRIBUTE: Final = "registry.contribute_registeredmodel"
VALIDATE: Final = "registry.validate_registeredmodel"
APPROVE: Final = "registry.approve_registeredmodel"
AUDIT: Final = "registry.audit_registeredmodel"
ADMINISTER: Final = "registry.administer_registeredmodel"

_SUPERUSER: Final = frozenset({"view_registeredmodel", "administer_registeredmodel"})
_NOTHING: Final[frozenset[str]] = frozenset()
_EVERYWHERE = "_countersign_everywhere"
_BY_MODEL = "_countersign_by_model"
_TEAMS = "_countersign_teams"
_SEEN = "_countersign_seen"


# The same rules in SQL, for the few statements that are written by hand. ``u`` is the account, ``m`` the model.
HELD_EVERYWHERE: Final = """ARRAY(
    SELECT p.codename FROM auth_permission p JOIN django_content_type c ON c.id = p.content_type_id
    WHERE c.app_label = 'registry' AND c.model = 'registeredmodel' AND (
        p.id IN (SELECT own.permission_id FROM registry_user_user_permissions own WHERE own.user_id = u.id)
        OR p.id IN (SELECT given.permission_id FROM auth_group_permissions given
                    JOIN registry_user_groups team ON team.group_id = given.group_id WHERE team.user_id = u.id)))"""
"""What ``everywhere`` asks for; ``remember`` takes the answer. Without what a superuser has by being one."""

MAY_SEE: Final = """(%s OR m.owner_id = %s OR EXISTS (
    SELECT FROM registry_registeredmodelgroupobjectpermission given
    JOIN registry_user_groups team ON team.group_id = given.group_id
    JOIN auth_permission p ON p.id = given.permission_id AND p.codename = 'view_registeredmodel'
    WHERE given.content_object_id = m.id AND team.user_id = %s
) OR EXISTS (
    SELECT FROM registry_registeredmodeluserobjectpermission own
    JOIN auth_permission p ON p.id = own.permission_id AND p.codename = 'view_registeredmodel'
    WHERE own.content_object_id = m.id AND own.user_id = %s
))"""
"""What ``visible_to`` narrows to: a role on every model or on that one, or ownership. Parameters: ``seeing``."""


def codename_of(permission: str) -> str:
    """Return ``approve_registeredmodel`` for it and for ``registry.approve_registeredmodel``."""
    return permission.rpartition(".")[2]


def everywhere(user: User) -> frozenset[str]:
    """Return the codenames the account holds on every model. One query per account object, so one per request."""
    if not user.is_active:
        return _NOTHING
    cached: frozenset[str] | None = user.__dict__.get(_EVERYWHERE)
    if cached is None:
        held = Permission.objects.filter(
            Q(group__user=user) | Q(user=user),
            content_type__app_label="registry",
            content_type__model="registeredmodel",
        )
        with as_of.today():
            codenames = frozenset(held.values_list("codename", flat=True))
        cached = codenames | (_SUPERUSER if user.is_superuser else _NOTHING)
        user.__dict__[_EVERYWHERE] = cached
    return cached


def remember(user: User, codenames: Collection[str]) -> None:
    """Take what ``HELD_EVERYWHERE`` found for the account, so that ``everywhere`` does not ask again."""
    user.__dict__[_EVERYWHERE] = frozenset(codenames) | (_SUPERUSER if user.is_superuser else _NOTHING)


def seeing(user: User) -> tuple[bool, int | None, int | None, int | None]:
    """Return the parameters of ``MAY_SEE`` for an account. One that is not active sees nothing."""
    key = user.pk if user.is_active else None
    return holds(user, VIEW), key, key, key


def on_model(user: User, model_id: int) -> frozenset[str]:
    """Return the codenames granted on this very model. One query per account object and model."""
    from registry.models import RegisteredModelGroupObjectPermission as ByTeam  # noqa: PLC0415
    from registry.models import RegisteredModelUserObjectPermission as ByPerson  # noqa: PLC0415

    if not user.is_active:
        return _NOTHING
    by_model: dict[int, frozenset[str]] = user.__dict__.setdefault(_BY_MODEL, {})
    if model_id not in by_model:
        teams = ByTeam.objects.filter(content_object=model_id, group__user=user).values_list("permission__codename")
        person = ByPerson.objects.filter(content_object=model_id, user=user).values_list("permission__codename")
        with as_of.today():
            by_model[model_id] = frozenset(row[0] for row in teams.union(person))
    return by_model[model_id]


def preload(user: User, model_ids: Collection[int]) -> None:
    """Ask for many models what ``on_model`` would ask for each: one query, for lists."""
    from registry.models import RegisteredModelGroupObjectPermission as ByTeam  # noqa: PLC0415
    from registry.models import RegisteredModelUserObjectPermission as ByPerson  # noqa: PLC0415

    if not user.is_active or not model_ids:
        return
    columns = ("content_object_id", "permission__codename")
    teams = ByTeam.objects.filter(content_object__in=model_ids, group__user=user).values_list(*columns)
    person = ByPerson.objects.filter(content_object__in=model_ids, user=user).values_list(*columns)
    found: dict[int, set[str]] = {model_id: set() for model_id in model_ids}
    with as_of.today():
        for model_id, codename in teams.union(person):
            found[model_id].add(codename)
    user.__dict__.setdefault(_BY_MODEL, {}).update({key: frozenset(held) for key, held in found.items()})


def teams_of(user: User) -> frozenset[int]:
    """Return the ids of the account's teams. One query per account object."""
    cached: frozenset[int] | None = user.__dict__.get(_TEAMS)
    if cached is None:
        with as_of.today():
            cached = frozenset(user.groups.values_list("pk", flat=True))
        user.__dict__[_TEAMS] = cached
    return cached


def holds(user: User, permission: str, model_id: int | None = None) -> bool:
    """Say whether the account holds ``permission`` on every model or, if one is given, on that one."""
    codename = codename_of(permission)
    return codename in everywhere(user) or (model_id is not None and codename in on_model(user, model_id))


def holds_anywhere(user: User, permission: str) -> bool:
    """Say whether the account holds ``permission`` on every model or on at least one."""
    from registry.models import RegisteredModelGroupObjectPermission as ByTeam  # noqa: PLC0415
    from registry.models import RegisteredModelUserObjectPermission as ByPerson  # noqa: PLC0415

    codename = codename_of(permission)
    if codename in everywhere(user):
        return True
    with as_of.today():
        return user.is_active and (
            ByTeam.objects.filter(permission__codename=codename, group__user=user).exists()
            or ByPerson.objects.filter(permission__codename=codename, user=user).exists()
        )


def seen_today(user: User, permission: str) -> frozenset[int]:
    """The models on which the account holds ``permission`` at present, for whoever looks at the past. One query."""
    from registry.models import RegisteredModel  # noqa: PLC0415

    seen: dict[str, frozenset[int]] = user.__dict__.setdefault(_SEEN, {})
    if permission not in seen:
        with as_of.today():
            seen[permission] = frozenset(
                RegisteredModel.objects.visible_to(user, permission).values_list("pk", flat=True)
            )
    return seen[permission]
