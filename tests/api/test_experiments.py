"""Who may see which experiment, over REST."""

import pytest
from django.contrib.auth.models import Group

from audit.actors import Actor
from registry.models import Experiment, User
from registry.services import experiments
from tests.api.calls import Api, fields_at_fault
from tests.api.conftest import Person, token_of

pytestmark = pytest.mark.usefixtures("by_hand")


@pytest.fixture
def owner(person: Person) -> User:
    return person("olive", "contributor")


@pytest.fixture
def experiment(owner: User) -> Experiment:
    by = Actor.person(owner, auth="session")
    return experiments.record_experiment(tracking_id="7", name="churn", artifact_root="7", by=by)


def test_its_owner_restricts_grants_and_revokes(experiment: Experiment, owner: User) -> None:
    Group.objects.create(name="second floor")
    api = Api(token_of(owner))
    assert api.get("experiments").json()["results"][0]["name"] == experiment.name
    shown = api.call("PATCH", "experiments/7", {"restricted": True}).json()
    assert (shown["restricted"], shown["managed_by_you"], shown["grants"]) == (True, True, [])
    granted = api.call("PUT", "experiments/7/grants/second%20floor", {"access": "read"}).json()["grants"]
    assert granted == [{"team": "second floor", "access": "read"}]
    assert api.call("PUT", "experiments/7/grants/second%20floor", {"access": "own"}).status_code == 400
    assert api.call("PUT", "experiments/7/grants/nobody", {"access": "read"}).status_code == 404
    assert api.call("DELETE", "experiments/7/grants/second%20floor").status_code == 204
    assert api.get("experiments/7").json()["grants"] == []
    assert [one["tracking_id"] for one in api.get("experiments?restricted=true").json()["results"]] == ["7"]
    assert api.get("experiments?restricted=false").json()["results"] == []


def test_others_are_refused_or_see_nothing(experiment: Experiment, owner: User, person: Person) -> None:
    mallory = Api(token_of(person("mallory", "contributor")))
    refused = mallory.call("PATCH", "experiments/7", {"restricted": True})
    assert (refused.status_code, refused.json()["code"]) == (403, "experiment.not_owner")
    assert mallory.get("experiments/7").json()["managed_by_you"] is False
    experiments.restrict_experiment(experiment=experiment, restricted=True, by=Actor.person(owner, auth="session"))
    assert mallory.get("experiments").json()["results"] == []
    for method, address, body in (
        ("GET", "experiments/7", None), ("PATCH", "experiments/7", {"restricted": False}),
        ("PUT", "experiments/7/grants/x", {"access": "read"}), ("DELETE", "experiments/7/grants/x", None),
    ):  # fmt: skip
        assert mallory.call(method, address, body).status_code == 404
    auditor = Api(token_of(person("audrey", "auditor")))
    assert auditor.get("experiments/7").json()["restricted"] is True
    assert auditor.call("PATCH", "experiments/7", {"restricted": False}).status_code == 403
    experiment.refresh_from_db()
    assert experiment.restricted


def test_administrators_adopt(experiment: Experiment, owner: User, person: Person) -> None:
    alma = Api(token_of(person("alma", "administrator")))
    assert fields_at_fault(alma.post("experiments", {"tracking_id": "seven", "owner": "olive"})) == {"tracking_id"}
    assert fields_at_fault(alma.post("experiments", {"tracking_id": "8", "owner": "none"})) == {"owner"}
    down = alma.post("experiments", {"tracking_id": "8", "owner": "olive"})
    assert (down.status_code, down.json()["code"]) == (409, "tracking.unavailable")
    assert Api(token_of(owner)).post("experiments", {"tracking_id": "8", "owner": "olive"}).status_code == 403
    assert Experiment.objects.get() == experiment
