"""Teams, their members, and the roles they hold. Guardian's rows and Django's permissions follow from the roles."""

from dataclasses import replace
from typing import Final

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from guardian.shortcuts import assign_perm, remove_perm

from audit.actors import Actor
from audit.services import append
from audit.subjects import Subject, subject_of
from config.errors import Conflict, Invalid, NotAllowed
from registry import guards, names
from registry.models import RegisteredModel, RoleGrant, User
from registry.roles import PERMISSIONS, Role

VOTING: Final = frozenset({Role.VALIDATOR.value, Role.APPROVER.value})


@transaction.atomic
def create_team(*, name: str, by: Actor) -> Group:
    """Create a team. Raises ``NotAllowed``, ``Invalid``, ``Conflict`` when the name is taken."""
    guards.check_can_administer(by)
    names.check_name(name, what="team")
    if len(name) > 150:
        raise Invalid("A team's name has at most 150 characters.", code="team.name", field="name")
    team, created = Group.objects.get_or_create(name=name)
    if not created:
        raise Conflict(f"There is a team {name!r} already.", code="team.exists", field="name")
    append(action="team.created", subject=_team(team), by=by, facts={"name": name})
    return team


def _own_vote() -> NotAllowed:
    return NotAllowed(
        "An administrator may not give themselves a vote.",
        code="role.own_vote",
        remedy="Another administrator can, and the ledger will name both.",
    )


def _lock_team(team: Group) -> Group:
    """The team's row, locked: its members, roles and permissions change one request at a time."""
    return Group.objects.select_for_update(no_key=True).get(pk=team.pk)


def _team(team: Group) -> Subject:
    return replace(subject_of(team), version=team.name)


@transaction.atomic
def add_member(*, team: Group, user: User, by: Actor) -> None:
    """Put a person into a team; one who is there is no error.

    Raises ``NotAllowed``, also for putting oneself into a team that votes.
    """
    guards.check_can_administer(by)
    held = set(RoleGrant.objects.filter(team=team).values_list("role", flat=True))
    if by.user is not None and by.user.pk == user.pk and held & VOTING:
        raise _own_vote()
    team = _lock_team(team)
    if not team.user_set.filter(pk=user.pk).exists():
        team.user_set.add(user)
        append(action="team.member_added", subject=_team(team), by=by, facts={"user": f"user:{user.pk}"})


@transaction.atomic
def remove_member(*, team: Group, user: User, by: Actor) -> None:
    """Take a person out of a team; one who isn't there is no error. Raises ``NotAllowed``."""
    guards.check_can_administer(by)
    team = _lock_team(team)
    if team.user_set.filter(pk=user.pk).exists():
        team.user_set.remove(user)
        append(action="team.member_removed", subject=_team(team), by=by, facts={"user": f"user:{user.pk}"})


@transaction.atomic
def grant_role(*, team: Group, role: Role | str, by: Actor, model: RegisteredModel | None = None) -> RoleGrant:
    """Give a team a role, on every model or on one; what it has already is returned.

    Raises ``NotAllowed``, also for a vote in one's own team, ``Invalid`` for an unknown role.
    """
    guards.check_can_administer(by, model)
    known = _role(role)
    team = _lock_team(team)
    if known in VOTING and by.user is not None and team.user_set.filter(pk=by.user.pk).exists():
        raise _own_vote()
    grant, created = RoleGrant.objects.get_or_create(
        team=team,
        role=known.value,
        model=model,
        defaults={"granted_by": by.user if isinstance(by.user, User) else None},
    )
    if created:
        for codename in PERMISSIONS[known]:
            if model is None:
                team.permissions.add(_permission(codename))
            else:
                assign_perm(f"registry.{codename}", team, model)
        facts = {"role": known.value, "model": model.name if model else "every model"}
        append(action="role.granted", subject=_team(team), by=by, facts=facts)
    return grant


@transaction.atomic
def revoke_role(*, grant: RoleGrant, by: Actor) -> None:
    """Take a role from a team; permissions that another of its roles carries stay. One that is gone is no error.

    Raises ``NotAllowed``.
    """
    guards.check_can_administer(by, grant.model)
    team, model = _lock_team(grant.team), grant.model
    if not RoleGrant.objects.filter(pk=grant.pk).exists():
        return
    facts = {"role": grant.role, "model": model.name if model else "every model"}
    grant.delete()
    left = RoleGrant.objects.filter(team=team, model=model).values_list("role", flat=True)
    kept = {codename for role in left for codename in PERMISSIONS[Role(role)]}
    for codename in PERMISSIONS[Role(facts["role"])] - kept:
        if model is None:
            team.permissions.remove(_permission(codename))
        else:
            remove_perm(f"registry.{codename}", team, model)
    append(action="role.revoked", subject=_team(team), by=by, facts=facts)


def _role(role: Role | str) -> Role:
    try:
        return Role(role)
    except ValueError:
        known = ", ".join(Role)
        raise Invalid(f"{role!r} is no role; known are {known}.", code="role.unknown", field="role") from None


def _permission(codename: str) -> Permission:
    return Permission.objects.get(
        content_type__app_label="registry", content_type__model="registeredmodel", codename=codename
    )
