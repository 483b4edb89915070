"""Django's admin: administrators only, and every write goes through the services and the ledger."""

import re

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from audit.actors import SYSTEM
from registry.models import ApiToken, RoleGrant, User
from registry.roles import Role
from registry.services import access
from tests.factories import registry as make

pytestmark = pytest.mark.django_db


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def admin() -> User:
    """Staff who administers every model."""
    return make.person(Role.ADMINISTRATOR, name="root", is_staff=True)


@pytest.fixture
def browser(admin: User) -> Client:
    """The administrator's."""
    return _client(admin)


def _addresses() -> list[str]:
    found = [reverse("admin:index"), reverse("admin:auth_group_changelist"), reverse("admin:auth_group_add")]
    for model in ("user", "rolegrant", "apitoken"):
        found += [reverse(f"admin:registry_{model}_changelist"), reverse(f"admin:registry_{model}_add")]
    return found


def test_the_pages_are_there_for_an_administrator(browser: Client) -> None:
    for address in _addresses():
        assert browser.get(address).status_code == 200, address


@pytest.mark.parametrize(
    "who",
    [
        {"roles": (Role.ADMINISTRATOR,), "is_staff": False},
        {"roles": (Role.APPROVER, Role.AUDITOR), "is_staff": True},
        {"roles": (), "is_staff": True},
    ],
    ids=str,
)
def test_nobody_else_gets_in(who: dict[str, object]) -> None:
    user = make.person(*who["roles"], is_staff=who["is_staff"])  # type: ignore[misc]

    for address in _addresses():
        answer = _client(user).get(address)
        assert answer.status_code == 302, address
        assert "next=" in answer["Location"]


def test_an_account_is_made_changed_and_never_deleted(browser: Client, admin: User) -> None:
    before = len(make.entries())
    person = {"username": "ada", "display_name": "Ada", "email": "", "is_active": "on", "password_new": make.PASSWORD}

    assert browser.post(reverse("admin:registry_user_add"), person).status_code == 302
    ada = User.objects.get(username="ada")
    assert ada.check_password(make.PASSWORD)
    page = reverse("admin:registry_user_change", args=[ada.pk])
    assert browser.post(page, {"display_name": "Ada", "email": ""}).status_code == 302

    ada.refresh_from_db()
    assert not ada.is_active
    assert make.actions(before) == ["user.created", "user.changed"]
    assert {entry["actor"]["id"] for entry in make.entries(before)} == {f"user:{admin.pk}"}
    assert browser.post(reverse("admin:registry_user_delete", args=[ada.pk]), {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=ada.pk).exists()


def test_a_refusal_is_a_message_and_changes_nothing(browser: Client, admin: User) -> None:
    before = make.entries()
    page = reverse("admin:registry_user_change", args=[admin.pk])

    answer = browser.post(page, {"display_name": "", "email": "", "is_active": "on", "is_staff": ""}, follow=True)

    assert "Another administrator must take this from you." in answer.content.decode()
    admin.refresh_from_db()
    assert admin.is_staff
    assert make.entries() == before


def test_a_team_gets_members_and_no_raw_permissions(browser: Client) -> None:
    ada, before = make.person(), len(make.entries())
    some = Permission.objects.get(codename="approve_registeredmodel")

    answer = browser.post(
        reverse("admin:auth_group_add"), {"name": "Risk", "members": [ada.pk], "permissions": [some.pk]}
    )

    assert answer.status_code == 302
    team = Group.objects.get(name="Risk")
    assert list(team.user_set.all()) == [ada]
    assert not team.permissions.exists()
    assert browser.post(reverse("admin:auth_group_change", args=[team.pk]), {"members": []}).status_code == 302
    assert not team.user_set.exists()
    assert make.actions(before) == ["team.created", "team.member_added", "team.member_removed"]


def test_a_role_is_granted_and_revoked_never_edited(browser: Client) -> None:
    team, before = access.create_team(name="Risk", by=SYSTEM), len(make.entries())

    browser.post(reverse("admin:registry_rolegrant_add"), {"team": team.pk, "role": "approver", "model": ""})
    grant = RoleGrant.objects.get(team=team)
    assert team.permissions.filter(codename="approve_registeredmodel").exists()
    page = reverse("admin:registry_rolegrant_change", args=[grant.pk])
    assert browser.post(page, {"team": team.pk, "role": "auditor"}).status_code == 403
    assert browser.post(reverse("admin:registry_rolegrant_delete", args=[grant.pk]), {"post": "yes"}).status_code == 302

    assert not RoleGrant.objects.filter(team=team).exists()
    assert not team.permissions.exists()
    assert make.actions(before) == ["role.granted", "role.revoked"]


def test_an_administrator_gives_themselves_no_vote_here_either(browser: Client, admin: User) -> None:
    own = admin.groups.get()

    answer = browser.post(
        reverse("admin:registry_rolegrant_add"), {"team": own.pk, "role": "approver", "model": ""}, follow=True
    )

    assert "may not give themselves a vote" in answer.content.decode()
    assert not RoleGrant.objects.filter(team=own, role="approver").exists()


def test_the_secret_of_a_token_is_shown_once_and_a_token_is_revoked_not_edited(browser: Client) -> None:
    robot, before = access.create_user(username="robot", password=None, is_service=True, by=SYSTEM), len(make.entries())

    answer = browser.post(
        reverse("admin:registry_apitoken_add"),
        {"user": robot.pk, "name": "pipeline", "scope": "write", "days": 30},
        follow=True,
    )
    found = re.search(r"csn_[0-9a-f]{12}\.[\w-]+", answer.content.decode())
    assert found
    token = access.authenticate_token(found[0])
    overview = reverse("admin:registry_apitoken_changelist")
    assert found[0].partition(".")[2] not in browser.get(overview).content.decode()

    page = reverse("admin:registry_apitoken_change", args=[token.pk])
    assert browser.post(page, {"scope": "read", "name": "x", "user": robot.pk, "days": 1}).status_code == 403
    assert browser.post(reverse("admin:registry_apitoken_delete", args=[token.pk]), {"post": "yes"}).status_code == 403
    browser.post(overview, {"action": "revoke", "_selected_action": [token.pk]})

    assert ApiToken.objects.get().revoked_at is not None
    assert make.actions(before) == ["token.created", "token.revoked"]
