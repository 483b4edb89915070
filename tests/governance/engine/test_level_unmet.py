"""A policy that demands more protection than this worker has: nothing of the model runs, and everybody is told what to do."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from config.errors import Refusal
from governance.models import Decision, Permit
from governance.policy import Status
from governance.standing import standing_of
from governance.states import RequestState
from registry.models import User
from tests.factories import governance as make
from tests.governance.engine import models
from tests.governance.engine.test_execute import POLICY, asked, run_all, run_of

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture(autouse=True)
def worker(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user's: the model cannot get a user of its own."""
    settings.DATA_DIR = tmp_path / "data"
    settings.JOB_LEASE = timedelta(hours=1)
    monkeypatch.setattr("governance.sandbox.staging.own_users", lambda: False)


def test_it_ends_as_an_error_that_names_what_is_missing_and_nobody_can_sign(
    scientist: User, approvers: list[User], client: Client
) -> None:
    request = run_all(asked(scientist, models.sound_model(), policy=POLICY + "sandbox: {level: full}\n"))
    assert request.state == RequestState.CHECKS_FAILED
    scores, performance = run_of(request, "predict.scores"), run_of(request, "performance.binary")
    assert (scores.verdict, scores.error_code, scores.output_blob_id) == ("error", "level_unmet", None)
    assert scores.sandbox["level"] in {"reduced", "confined"}
    assert (performance.verdict, performance.error_code) == ("error", "needs_failed")
    assert run_of(request, "security.scan").verdict == "pass", "what does not run the model has its result"

    words = (
        "The policy demands the sandbox level “full”, and this worker reaches “",
        "user (",
        "Nothing of the model was run. Have it run by a worker where these are on, or adopt a policy that demands less.",
    )
    client.force_login(scientist)
    page = client.get(reverse("ui:check", args=[request.ref, scores.pk])).content.decode()
    node = standing_of(request, at=request.created_at).verdict.find("checks/performance.binary")
    assert node.status is Status.CANNOT_TELL
    for said in words:
        assert said in scores.summary
        assert said in page
        assert said in node.reason
    assert "It did not run to its end" in page

    with pytest.raises(Refusal):
        make.approve(request, approvers)
    assert not Decision.objects.exists()
    assert not Permit.objects.exists()


def test_where_the_level_is_reached_the_same_policy_passes(scientist: User) -> None:
    request = run_all(asked(scientist, models.sound_model(), policy=POLICY + "sandbox: {level: confined}\n"))
    assert request.state == RequestState.READY
    assert run_of(request, "predict.scores").sandbox["level"] in {"confined", "full"}
