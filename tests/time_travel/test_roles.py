"""Who held which role, today and then; and who may read it."""

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.actors import SYSTEM
from registry.models import RegisteredModel, RoleGrant, User
from registry.roles import Role
from registry.services import access
from tests.api.calls import Api
from tests.factories import pages as make
from tests.factories.audit import by_hand
from tests.time_travel.moments import Visit, here


def _api(user: User) -> Api:
    return Api(str(access.issue_token(user=user, name="t", scope="read", days=1, by=make.actor(user))[1]))


def _held(api: Api, query: str = "") -> dict[tuple[str, str, str | None], list[str]]:
    rows = api.get(f"roles{query}").json()["results"]
    return {(row["team"], row["role"], row["model"]): row["members"] for row in rows}


def test_roles_and_members_are_told_as_they_were(
    model: RegisteredModel, scientist: User, auditor: User, visit: Visit
) -> None:
    officer = make.person("officer", Role.APPROVER)
    team = officer.groups.get()
    then = here()
    access.add_member(team=team, user=make.person("newcomer"), by=SYSTEM)
    access.remove_member(team=team, user=officer, by=SYSTEM)
    access.grant_role(team=team, role=Role.VALIDATOR, model=model, by=SYSTEM)
    access.revoke_role(grant=RoleGrant.objects.get(team=team, role="approver"), by=SYSTEM)
    here()

    api, past = _api(auditor), f"as_of={then.name}"
    assert _held(api)[team.name, "validator", "credit-default"] == ["newcomer"]
    assert (team.name, "approver", None) not in _held(api)
    assert _held(api, f"?{past}")[team.name, "approver", None] == ["officer"]
    assert (team.name, "validator", "credit-default") not in _held(api, f"?{past}")

    today, was = (visit(auditor).get("/roles/", query).content.decode() for query in ({}, {"as_of": then.name}))
    assert "newcomer" in today
    assert "newcomer" not in was
    assert "Compliance officer" in was


def test_a_team_that_is_gone_is_told_of_then(scientist: User, auditor: User) -> None:
    team = access.create_team(name="short-lived", by=SYSTEM)
    grant = access.grant_role(team=team, role=Role.VALIDATOR, by=SYSTEM)
    then = here()
    access.revoke_role(grant=grant, by=SYSTEM)
    with by_hand():
        Group.objects.filter(pk=team.pk).delete()

    assert _held(_api(auditor), f"?as_of={then.name}")["short-lived", "validator", None] == []


def test_roles_on_one_model(model: RegisteredModel, scientist: User, auditor: User) -> None:
    other = make.model(scientist, "other")
    make.person("of-model", Role.VALIDATOR, on=model)
    make.person("of-other", Role.VALIDATOR, on=other)

    on = {key[0] for key in _held(_api(auditor), "?model=credit-default")}

    assert "of-model's team" in on
    assert "audrey's team" in on
    assert "of-other's team" not in on


@pytest.mark.parametrize("role", [None, Role.CONTRIBUTOR, Role.APPROVER])
def test_without_oversight_one_sees_the_roles_of_ones_own_teams(role: Role | None, auditor: User) -> None:
    somebody = make.person("somebody", *([role] if role else []))

    assert {key[0] for key in _held(_api(somebody))} == ({"somebody's team"} if role else set())


def test_whoever_audits_one_model_sees_its_roles(model: RegisteredModel, scientist: User) -> None:
    overseer = make.person("overseer", Role.AUDITOR, on=model)
    make.person("validator", Role.VALIDATOR, on=model)

    assert {key[0] for key in _held(_api(overseer))} == {"overseer's team", "validator's team"}


def test_the_page_costs_the_same_for_many(auditor: User, visit: Visit) -> None:
    browser, counts = visit(auditor), []
    for number in range(2):
        for one in range(3):
            make.person(f"p{number}{one}", Role.VALIDATOR)
        with CaptureQueriesContext(connection) as queries:
            browser.get("/roles/")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 25
