"""Who allowed what, on what evidence: requests, signatures, permits and policies as of then."""

import pytest
from django.utils import timezone

from audit.models import Checkpoint
from config import as_of
from governance.models import Permit, PolicyVersion, PromotionRequest
from governance.services import permits
from registry.models import User
from registry.roles import Role
from registry.services import access
from tests.api.calls import Api
from tests.factories import governance as make
from tests.time_travel.moments import Visit, here


@pytest.fixture
def policy() -> PolicyVersion:
    return make.policy()


@pytest.fixture
def ready(policy: PolicyVersion) -> PromotionRequest:
    """A request whose checks have passed."""
    scientist = make.person("scientist", Role.CONTRIBUTOR)
    version = make.sealed_version(make.registered_model(scientist), scientist)
    return make.finish_all(make.request(version, scientist))


@pytest.fixture
def reader() -> User:
    return make.person("reader", Role.AUDITOR)


@pytest.fixture
def api(reader: User) -> Api:
    return Api(str(access.issue_token(user=reader, name="t", scope="read", days=1, by=make.actor(reader))[1]))


def test_a_request_is_told_as_it_stood_and_offers_nothing(
    ready: PromotionRequest, reader: User, api: Api, visit: Visit
) -> None:
    open_ = here()
    officers = [make.person("officer", Role.APPROVER) for _ in range(2)]
    make.sign(ready, officers[0])
    between = here()
    make.sign(ready, officers[1])
    after = here()

    def told(moment: as_of.Moment) -> tuple[str, bool]:
        said = api.get(f"requests/{ready.ref}?as_of={moment.name}").json()
        return said["state"], any(one["allowed"] for one in said["allowed_actions"])

    assert [told(moment) for moment in (open_, between, after)] == [
        ("ready", False),
        ("in_review", False),
        ("approved", False),
    ]
    page = visit(officers[0]).get(f"/requests/{ready.ref}/", {"as_of": open_.name})
    assert page.status_code == 200
    assert as_of.NOTHING_CHANGES in page.content.decode()


def test_a_permit_is_in_force_then_and_revoked_now(ready: PromotionRequest, api: Api) -> None:
    waiting = here()
    make.approve(ready, [make.person("officer", Role.APPROVER) for _ in range(2)])
    permit = Permit.objects.get()
    allowed = here()
    administrator = make.person("administrator", Role.ADMINISTRATOR)
    permits.revoke(permit=permit, reason="Found out.", by=make.actor(administrator))
    here()

    def state(query: str) -> tuple[int, str]:
        answer = api.get(f"permits/{permit.pk}{query}")
        return answer.status_code, answer.json().get("state", "")

    assert state(f"?as_of={waiting.name}") == (404, "")
    assert state(f"?as_of={allowed.name}") == (200, "active")
    assert state("") == (200, "revoked")
    live = api.get(f"models/{ready.model.name}/aliases?as_of={waiting.name}").json()["results"]
    assert live == []
    live = api.get(f"models/{ready.model.name}/aliases?as_of={allowed.name}").json()["results"]
    assert [one["name"] if "name" in one else one["alias"] for one in live] == ["production"]


def test_a_policy_is_the_one_in_force_then(policy: PolicyVersion, reader: User, api: Api, visit: Visit) -> None:
    old = here()
    make.policy(make.TWO_APPROVERS.replace("n: 2", "n: 3", 1))
    here()

    def numbers(query: str) -> list[int]:
        return [row["number"] for row in api.get(f"policies/{policy.policy.name}/versions{query}").json()["results"]]

    assert sorted(numbers("")) == [1, 2]
    assert numbers(f"?as_of={old.name}") == [1]
    assert "v2" not in visit(reader).get(f"/policies/{policy.policy.name}/", {"as_of": old.name}).content.decode()


def test_what_is_due_is_due_by_the_clock_of_then(ready: PromotionRequest) -> None:
    moment = here()

    with as_of.travelling(moment):
        assert as_of.now() == moment.at
        assert as_of.now() < timezone.now()
        with as_of.today():
            assert as_of.now() > moment.at


def test_every_page_of_a_request_is_readable_then(ready: PromotionRequest, reader: User, visit: Visit) -> None:
    for officer in (make.person("officer", Role.APPROVER) for _ in range(2)):
        make.sign(ready, officer)
    then, browser = here(), visit(reader)
    check = ready.checks.order_by("position").last()
    assert check is not None
    paths = [f"/requests/{ready.ref}/", "/requests/", f"/requests/{ready.ref}/checks/{check.pk}/", "/policies/", "/"]
    paths += [f"/permits/{permit.pk}/" for permit in Permit.objects.all()]

    for path in paths:
        assert browser.get(path, {"as_of": then.name}).status_code == 200, path
    assert Checkpoint.objects.filter(size=then.size).exists()
