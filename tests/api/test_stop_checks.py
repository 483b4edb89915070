"""Checks over REST: how far they are, their end before a result, and another try."""

import pytest

from governance.models import CheckRun, PromotionRequest
from governance.services import checks
from registry.models import User
from registry.roles import Role
from tests.api.calls import Api
from tests.api.conftest import token_of
from tests.factories import governance as made


@pytest.fixture
def owner(db: None) -> User:
    return made.person("owner", Role.CONTRIBUTOR)


@pytest.fixture
def asked(owner: User) -> PromotionRequest:
    made.policy()
    return made.request(made.sealed_version(made.registered_model(owner, name="scorecard"), owner), owner)


def test_a_check_tells_its_progress_is_cancelled_and_tried_again(owner: User, asked: PromotionRequest) -> None:
    api = Api(token_of(owner))
    run = asked.checks.get(key="predict.scores")
    held = checks.claim(run.pk, owner="one")
    assert held is not None
    checks.progress(held, 1, 4)
    told = api.get(f"checks/{run.pk}").json()
    assert (told["progress"]["share"], told["progress"]["parts"]) == (0.25, 0)
    assert told["progress"]["seconds_left"] >= 0
    assert (told["reused_from"], len(told["cache_key"])) == (None, 64)

    stopped = api.post(f"checks/{run.pk}/cancel", {"reason": "Wrong data."})
    assert stopped.status_code == 200
    assert (stopped.json()["error_code"], stopped.json()["summary"]) == ("cancelled", "It was cancelled: Wrong data.")
    assert api.post(f"checks/{run.pk}/cancel", {}).json()["code"] == "check.not_running"
    assert api.get(f"requests/{asked.ref}").json()["state"] == "checks_failed"

    again = api.post(f"requests/{asked.ref}/retry-errors")
    assert (again.status_code, again.json()["state"], again.json()["round"]) == (200, "checking", 2)
    made.finish_all(PromotionRequest.objects.get(pk=asked.pk))
    assert api.post(f"requests/{asked.ref}/retry-errors").json()["code"] == "check.no_errors"


def test_a_colleague_cannot_cancel_and_a_stranger_finds_nothing(asked: PromotionRequest) -> None:
    run = CheckRun.objects.get(request=asked, key="predict.scores")
    colleague = Api(token_of(made.person("colleague", Role.CONTRIBUTOR)))
    stranger = Api(token_of(made.person("stranger")))
    assert colleague.post(f"checks/{run.pk}/cancel", {}).status_code == 403
    assert stranger.post(f"checks/{run.pk}/cancel", {}).status_code == 404
    run.refresh_from_db()
    assert run.state == "queued"
