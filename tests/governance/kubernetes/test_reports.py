"""What a gate tells the registry, and the review that closes it; and how permits come to a gate."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from pytest_django.live_server_helper import LiveServer

from audit.actors import SYSTEM, Actor
from governance.kubernetes.journal import Journal
from governance.kubernetes.permits import Permits
from governance.kubernetes.rules import BrokenGlass
from governance.kubernetes.sync import Registry, Unreachable
from governance.models import BrokenGlass as Row
from governance.selectors.permits import micro, trust_root
from governance.services import permits
from registry.models import User
from registry.roles import Role
from registry.services import access
from tests.factories import governance as make
from tests.factories.registry import registered_model
from tests.governance.kubernetes.asking import NAMESPACE, STRANGE
from tests.governance.kubernetes.conftest import Cluster, permitted

LIST = "/api/v1/gate/broken-glass"
EVENT: dict[str, Any] = {
    "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
    "namespace": NAMESPACE,
    "title": "Deployment credit/scorer",
    "digests": [STRANGE],
    "user": "olga",
    "reason": "Fraud wave; the permitted model is down.",
    "refused_because": "no permit for these bytes is known here.",
    "at": 1_800_000_000_000_001,
}


@pytest.fixture
def service(db: None) -> str:
    """The token of a gate's service account, which sees every model."""
    account = access.create_user(username="gate", password=None, is_service=True, by=SYSTEM)
    team = access.create_team(name="gates", by=SYSTEM)
    access.add_member(team=team, user=account, by=SYSTEM)
    access.grant_role(team=team, role=Role.AUDITOR, by=SYSTEM)
    return str(access.issue_token(user=account, name="gate", by=SYSTEM, days=7, scope="write")[1])


@pytest.fixture
def approver(db: None) -> User:
    return make.person("approver", Role.APPROVER)


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def tell(token: str, event: dict[str, Any]) -> Any:
    return Client().post(LIST, json.dumps(event), "application/json", headers={"Authorization": f"Bearer {token}"})


def actions() -> list[str]:
    return [entry["action"] for entry in make.log() if entry["action"].startswith("glass.")]


def test_a_gate_tells_once_however_often_it_tells(service: str) -> None:
    first = tell(service, EVENT)
    assert first.status_code == 201, first.content
    assert first.json()["at"] == "2027-01-15T08:00:00.000001Z"
    again = tell(service, EVENT)
    assert again.json()["id"] == first.json()["id"]
    assert actions() == ["glass.broken"]
    [entry] = [entry for entry in make.log() if entry["action"] == "glass.broken"]
    assert entry["reason"] == EVENT["reason"]
    assert entry["facts"]["uid"] == EVENT["uid"]


def test_people_report_nothing(approver: User) -> None:
    refused = browser(approver).post(LIST, json.dumps(EVENT), "application/json")
    assert refused.status_code == 403
    assert refused.json()["code"] == "gate.no_service"
    assert not Row.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("uid", ""), ("uid", "x" * 65), ("uid", "a\nb"), ("title", ""), ("digests", ["abc"]), ("digests", STRANGE),
        ("digests", [STRANGE] * 101), ("reason", ""), ("reason", "a\x00"), ("at", -1), ("at", 10**18), ("at", "now"), ("more", 1),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_name(field: str, value: object, service: str) -> None:
    refused = tell(service, {**EVENT, field: value})
    assert refused.status_code == 400
    assert field in {problem["field"].partition(".")[0].partition("[")[0] for problem in refused.json()["errors"]}
    assert not Row.objects.exists()


def test_an_approver_reviews_it_once_in_the_browser(service: str, approver: User) -> None:
    tell(service, EVENT)
    row = Row.objects.get()
    client = browser(approver)
    registered_model(make.person("scientist", Role.CONTRIBUTOR))  # an empty register has another first page
    assert b"One deployment waits for a review." in client.get("/").content
    page = client.get("/broken-glass/")
    assert b"1 deployment without a permit waits for a review" in page.content
    here = f"/broken-glass/{row.pk}/"
    assert EVENT["reason"].encode() in client.get(here).content
    empty = client.post(here, {})
    assert empty.status_code == 422
    assert b"Say whether it was justified." in empty.content
    done = client.post(here, {"outcome": "unjustified", "text": "The permitted model was up."}, follow=True)
    assert b"Not justified" in done.content
    assert actions() == ["glass.broken", "glass.reviewed"]
    again = client.post(here, {"outcome": "justified", "text": "No, wait."})
    assert again.status_code == 409
    row.refresh_from_db()
    assert (row.outcome, row.reviewed_by) == ("unjustified", approver)


def test_others_may_look_and_not_review(service: str) -> None:
    tell(service, EVENT)
    row = Row.objects.get()
    auditor = browser(make.person("auditor", Role.AUDITOR))
    assert b"Only an approver" in auditor.get(f"/broken-glass/{row.pk}/").content
    refused = auditor.post(
        f"{LIST}/{row.pk}/review", json.dumps({"outcome": "justified", "text": "x"}), "application/json"
    )
    assert refused.status_code == 403
    stranger = browser(make.person("stranger"))
    assert stranger.get(f"/broken-glass/{row.pk}/").status_code == 404
    assert stranger.get(LIST).json()["results"] == []


def test_the_list_asks_little_however_long_it_is(
    service: str, approver: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        tell(service, {**EVENT, "uid": str(number)})
    client = browser(approver)
    with django_assert_max_num_queries(15):
        assert b"Older" in client.get("/broken-glass/").content
    assert len(client.get(f"{LIST}?reviewed=false&page_size=100").json()["results"]) == 30
    assert client.get(f"{LIST}?reviewed=true").json()["results"] == []


# Permits and events on their way


@pytest.fixture
def published(
    transactional_db: None, artifact_root: Path, signing_keys: Path, tmp_path: Path, service: str
) -> tuple[Cluster, str]:
    """A permit in a registry that answers, and the gate's token."""
    return permitted(tmp_path), service


def test_permits_come_from_the_registry_and_go_when_they_end(
    published: tuple[Cluster, str], live_server: LiveServer, tmp_path: Path
) -> None:
    cluster, token = published
    registry, place = Registry(live_server.url, token), tmp_path / "gate"
    assert registry.pull(place) == 1
    found = Permits(place, json.loads(trust_root()), lambda: cluster.now)
    assert found.judge(cluster.digest, NAMESPACE).permit == str(cluster.permit.pk)
    approver = cluster.permit.request.decisions.first()
    assert approver is not None
    permits.revoke(permit=cluster.permit, reason="It drifted.", by=Actor.person(approver.person))
    make.publish()
    assert registry.pull(place) == 0
    assert found.judge(cluster.digest, NAMESPACE).reason == "no permit for these bytes is known here."


def test_events_are_told_and_a_registry_that_is_away_is_told_later(
    published: tuple[Cluster, str], live_server: LiveServer, tmp_path: Path
) -> None:
    cluster, token = published
    journal = Journal(tmp_path / "journal", lambda: cluster.now)
    journal.write(BrokenGlass("uid-1", NAMESPACE, "Pod credit/x", (cluster.digest,), "olga", "why not", "because"))
    with pytest.raises(Unreachable, match="does not answer"):
        journal.tell(Registry("http://127.0.0.1:1", token).tell)
    with pytest.raises(Unreachable, match="answers 401"):
        journal.tell(Registry(live_server.url, "wrong").tell)
    assert journal.tell(Registry(live_server.url, token).tell) == 1
    row = Row.objects.get()
    assert (row.uid, row.version, micro(row.at)) == ("uid-1", cluster.permit.version, cluster.now)


@pytest.mark.parametrize("url", ["http://countersign.example", "ftp://countersign.example", "countersign.example"])
def test_a_token_travels_over_tls_alone(url: str) -> None:
    with pytest.raises(ValueError, match="not https"):
        Registry(url, "t")
