"""The pages of experiments, without a script."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from registry.models import Experiment, User
from registry.roles import Role
from registry.services import experiments
from tests.factories import pages as make
from tests.pages.registry.conftest import QUERIES, Visit

pytestmark = pytest.mark.usefixtures("by_hand")

HERE = "/experiments/7/"


@pytest.fixture
def owner() -> User:
    return make.person("ada", Role.CONTRIBUTOR)


@pytest.fixture
def experiment(owner: User) -> Experiment:
    return experiments.record_experiment(tracking_id="7", name="churn", artifact_root="7", by=make.actor(owner))


def text(answer: object) -> str:
    return answer.content.decode()  # type: ignore[attr-defined, no-any-return]


def test_its_owner_restricts_and_grants_it(experiment: Experiment, owner: User, visit: Visit) -> None:
    browser, team = visit(owner), Group.objects.create(name="second floor")
    assert "Restrict it" in text(browser.get(HERE))
    said = browser.post(f"{HERE}restrict/", {"restricted": "yes"}, follow=True)
    assert said.redirect_chain[0][1] == 303
    assert "only those named below" in text(said)
    assert "second floor may read and write" in text(
        browser.post(f"{HERE}grant/", {"team": team.pk, "access": "write"}, follow=True)
    )
    shown = text(browser.get(HERE))
    assert "Take it back" in shown
    assert "Open it to every role" in shown
    assert "Choose a team" in text(browser.post(f"{HERE}grant/", {"team": "0", "access": "own"}, follow=True))
    browser.post(f"{HERE}grants/{team.pk}/revoke/")
    assert "To no team yet" in text(browser.get(HERE))
    assert browser.post(f"{HERE}grants/0/revoke/").status_code == 404
    browser.post(f"{HERE}restrict/", {"restricted": "no"})
    experiment.refresh_from_db()
    assert not experiment.restricted


def test_others_see_an_open_one_and_change_nothing(experiment: Experiment, visit: Visit) -> None:
    browser = visit(make.person("mallory", Role.CONTRIBUTOR))
    assert "Restrict it" not in text(browser.get(HERE))
    assert "Only its owner, ada" in text(browser.post(f"{HERE}restrict/", {"restricted": "yes"}, follow=True))
    experiment.refresh_from_db()
    assert not experiment.restricted


def test_a_restricted_one_is_nowhere_for_others(experiment: Experiment, owner: User, visit: Visit) -> None:
    experiments.restrict_experiment(experiment=experiment, restricted=True, by=make.actor(owner))
    for person in (make.person("mallory", Role.CONTRIBUTOR), make.person("nobody")):
        browser = visit(person)
        assert "churn" not in text(browser.get("/experiments/"))
        for method, address in (("get", HERE), ("post", f"{HERE}restrict/"), ("post", f"{HERE}grant/")):
            assert getattr(browser, method)(address).status_code == 404
    assert "churn" in text(visit(make.person("olga", Role.AUDITOR)).get("/experiments/"))


def test_an_administrator_takes_one_into_care_that_is_there(
    owner: User, visit: Visit, django_assert_max_num_queries: Callable[[int], object]
) -> None:
    browser: Client = visit(make.person("alma", Role.ADMINISTRATOR))
    assert "Take one into care" in text(browser.get("/experiments/"))
    for given, why in (
        ({"tracking_id": "07", "owner": "ada"}, "whole number"),
        ({"tracking_id": "7", "owner": "nobody"}, "no such account"),
        ({"tracking_id": "7", "owner": "ada"}, "cannot be read"),  # no tracking process in this test
        ({}, "required"),
    ):
        answer = browser.post("/experiments/", given)
        assert answer.status_code == 422
        assert why in text(answer)
    assert visit(owner).post("/experiments/", {"tracking_id": "7", "owner": "ada"}).status_code == 403
    with django_assert_max_num_queries(QUERIES):  # type: ignore[attr-defined]
        visit(owner).get("/experiments/")


def test_a_visitor_is_asked_to_sign_in(experiment: Experiment) -> None:
    for address in ("/experiments/", HERE):
        assert Client().get(address).status_code == 302
