"""Accounts, teams and roles: what administrators do, and what they may not do for themselves."""

from collections.abc import Callable

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import Group
from guardian.shortcuts import get_group_perms

from audit.actors import SYSTEM, Actor
from config.errors import Conflict, Invalid, NotAllowed
from registry import reach
from registry.models import RegisteredModel, RoleGrant, User
from registry.roles import PERMISSIONS, Role
from registry.services import access
from tests.factories import registry as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> User:
    """Administers, by role."""
    return make.person(Role.ADMINISTRATOR, name="root")


@pytest.fixture
def team() -> Group:
    """An empty team."""
    return access.create_team(name="Validation", by=SYSTEM)


def fresh(user: User) -> User:
    """The account as the next request sees it."""
    return User.objects.get(pk=user.pk)


def test_an_account_is_made_changed_and_deactivated_with_an_entry_each(admin: User) -> None:
    before = len(make.entries())
    by = make.actor(admin)

    user = access.create_user(username="ada", password=make.PASSWORD, email="ada@example.org", by=by)
    access.update_user(user=user, display_name="Ada L.", by=by)
    access.update_user(user=user, is_active=False, by=by)
    access.update_user(user=user, is_active=False, by=by)

    assert make.actions(before) == ["user.created", "user.changed", "user.changed"]
    changes = [entry["diff"] for entry in make.entries(before)]
    assert changes[1] == {"display_name": "changed", "password_changed": False}
    assert changes[2] == {"is_active": False, "password_changed": False}
    assert "ada@example.org" not in str(make.entries(before))
    assert authenticate(username="ada", password=make.PASSWORD) is None


def test_a_new_password_works_ends_the_lock_out_and_is_not_logged(admin: User) -> None:
    user = make.person()
    for _ in range(5):
        access.record_failed_sign_in(username=user.username, by=Actor.service("visitor"))

    access.update_user(user=user, password="another horse battery", by=make.actor(admin))

    assert authenticate(username=user.username, password="another horse battery") == user
    access.check_may_try_sign_in(username=user.username)
    assert "battery" not in str(make.entries())


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"username": ""}, "username"),
        ({"username": "a/b"}, "username"),
        ({"username": "two words"}, "username"),
        ({"username": "x" * 151}, "username"),
        ({"username": "a\x00"}, "username"),
        ({"email": "no address"}, "email"),
        ({"display_name": "x" * 121}, "display_name"),
        ({"password": "short"}, "password"),
        ({"password": "password1234"}, "password"),
        ({"is_service": True}, "is_service"),
        ({"is_service": True, "password": None, "is_superuser": True}, "is_service"),
    ],
    ids=str,
)
def test_bad_input_is_refused_by_field(given: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        access.create_user(**{"username": "ada", "password": make.PASSWORD, "by": SYSTEM, **given})  # type: ignore[arg-type]

    assert refused.value.field == field
    assert not User.objects.exists()


def test_a_name_is_taken_once(admin: User) -> None:
    with pytest.raises(Conflict) as refused:
        access.create_user(username=admin.username, password=None, by=SYSTEM)
    assert refused.value.field == "username"

    access.create_team(name="Risk", by=SYSTEM)
    with pytest.raises(Conflict):
        access.create_team(name="Risk", by=SYSTEM)


def test_members_come_and_go(team: Group, admin: User) -> None:
    user, by, before = make.person(), make.actor(admin), len(make.entries())

    for verb in (access.add_member, access.add_member, access.remove_member, access.remove_member):
        verb(team=team, user=user, by=by)

    assert make.actions(before) == ["team.member_added", "team.member_removed"]
    assert make.entries()[-1]["facts"] == {"user": f"user:{user.pk}"}


@pytest.mark.parametrize("role", list(Role))
def test_a_role_on_every_model_is_a_permission_and_goes_again(role: Role, team: Group) -> None:
    user = make.person()
    access.add_member(team=team, user=user, by=SYSTEM)

    grant = access.grant_role(team=team, role=role, by=SYSTEM)
    assert reach.everywhere(fresh(user)) == PERMISSIONS[role]
    assert access.grant_role(team=team, role=role, by=SYSTEM) == grant

    access.revoke_role(grant=grant, by=SYSTEM)
    access.revoke_role(grant=grant, by=SYSTEM)
    assert reach.everywhere(fresh(user)) == frozenset()
    assert make.actions()[-2:] == ["role.granted", "role.revoked"]


def test_a_role_on_one_model_becomes_guardians_rows_and_what_another_role_carries_stays(
    team: Group, model: RegisteredModel
) -> None:
    validator = access.grant_role(team=team, role=Role.VALIDATOR, model=model, by=SYSTEM)
    access.grant_role(team=team, role=Role.AUDITOR, model=model, by=SYSTEM)
    assert set(get_group_perms(team, model)) >= PERMISSIONS[Role.VALIDATOR]

    access.revoke_role(grant=validator, by=SYSTEM)

    user = make.person()
    access.add_member(team=team, user=user, by=SYSTEM)
    assert reach.on_model(fresh(user), model.pk) == PERMISSIONS[Role.AUDITOR]
    assert reach.everywhere(fresh(user)) == frozenset()


def test_an_unknown_role_is_refused(team: Group) -> None:
    with pytest.raises(Invalid) as refused:
        access.grant_role(team=team, role="emperor", by=SYSTEM)

    assert refused.value.field == "role"
    assert not RoleGrant.objects.exists()


@pytest.mark.parametrize("role", [None, Role.CONTRIBUTOR, Role.VALIDATOR, Role.APPROVER, Role.AUDITOR])
def test_nobody_but_administrators_changes_who_may_do_what(role: Role | None, team: Group) -> None:
    someone = make.person(*[role] if role else [])
    grant = access.grant_role(team=team, role=Role.AUDITOR, by=SYSTEM)
    before = make.entries()
    attempts: list[Callable[[Actor], object]] = [
        lambda by: access.create_user(username="eve", password=None, by=by),
        lambda by: access.update_user(user=someone, is_staff=True, by=by),
        lambda by: access.create_team(name="Eve's", by=by),
        lambda by: access.add_member(team=team, user=someone, by=by),
        lambda by: access.remove_member(team=team, user=someone, by=by),
        lambda by: access.grant_role(team=team, role=Role.APPROVER, by=by),
        lambda by: access.revoke_role(grant=grant, by=by),
    ]

    for attempt in attempts:
        for by in (make.actor(someone), Actor.service("visitor")):
            with pytest.raises(NotAllowed):
                attempt(by)

    assert make.entries() == before


@pytest.mark.parametrize("role", [Role.VALIDATOR, Role.APPROVER])
def test_an_administrator_gives_themselves_no_vote(role: Role, team: Group, admin: User) -> None:
    by = make.actor(admin)
    own = admin.groups.get()
    access.grant_role(team=team, role=role, by=by)

    with pytest.raises(NotAllowed) as joining:
        access.add_member(team=team, user=admin, by=by)
    with pytest.raises(NotAllowed) as granting:
        access.grant_role(team=own, role=role, by=by)

    assert joining.value.code == granting.value.code == "role.own_vote"
    assert reach.everywhere(fresh(admin)) == PERMISSIONS[Role.ADMINISTRATOR]


def test_a_superuser_administers_and_sees_and_has_no_vote(model: RegisteredModel) -> None:
    root = make.person(is_superuser=True)

    assert reach.holds(root, reach.ADMINISTER)
    assert reach.holds(root, reach.VIEW, model.pk)
    for permission in (reach.CONTRIBUTE, reach.VALIDATE, reach.APPROVE, reach.AUDIT):
        assert not reach.holds(root, permission, model.pk)
        assert not RegisteredModel.objects.visible_to(root, permission).exists()
    assert list(RegisteredModel.objects.visible_to(root)) == [model]


def test_an_administrator_by_role_makes_no_superuser_and_does_not_take_one_over(admin: User) -> None:
    root, by = make.person(is_superuser=True), make.actor(admin)

    for change in ({"is_active": False}, {"is_superuser": False}, {"password": "another horse battery"}):
        with pytest.raises(NotAllowed):
            access.update_user(user=root, by=by, **change)
    with pytest.raises(NotAllowed) as refused:
        access.update_user(user=admin, is_superuser=True, by=by)
    with pytest.raises(NotAllowed):
        access.create_user(username="eve", password=None, is_superuser=True, by=by)

    assert refused.value.field == "is_superuser"
    assert not User.objects.filter(username="eve").exists()


def test_nobody_takes_their_own_access_away_so_that_one_administrator_is_left(admin: User) -> None:
    with pytest.raises(NotAllowed) as refused:
        access.update_user(user=admin, is_active=False, by=make.actor(admin))

    assert refused.value.code == "user.own_access"
    assert fresh(admin).is_active


def test_an_account_that_is_not_active_may_do_nothing() -> None:
    user = make.person(Role.CONTRIBUTOR, Role.ADMINISTRATOR)
    access.update_user(user=user, is_active=False, by=SYSTEM)

    assert reach.everywhere(fresh(user)) == frozenset()
    assert not reach.holds_anywhere(fresh(user), reach.VIEW)
    with pytest.raises(NotAllowed):
        access.create_team(name="x", by=make.actor(user))
