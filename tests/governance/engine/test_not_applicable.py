"""A check that does not apply, under a policy that accepts that and under one that does not: state, screen, evidence, log."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from governance.models import EvidenceSnapshot, PromotionRequest
from governance.states import RequestState
from registry.models import User
from tests.factories import governance as make
from tests.governance.engine import models
from tests.governance.engine.test_execute import asked, run_all, run_of

pytestmark = pytest.mark.django_db

POLICY = """\
policy: house
governs: {tiers: [1, 2, 3], targets: ["alias:production"]}
checks:
  - use: drift.columns
    data: {role: test}
    require: {drifted_columns: {le: 0}}
    not_applicable: accept
review:
  - stage: approval
    all: [{role: approver, n: 1}]
"""
ACCEPTED = "It does not apply to this model, which the policy accepts: "


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"
    settings.JOB_LEASE = timedelta(hours=1)


def logged(request: PromotionRequest) -> list[str]:
    finished = [one for one in make.log() if one["action"] == "check.finished"]
    mine = {str(pk) for pk in request.checks.values_list("pk", flat=True)}
    return [one["facts"]["not_applicable"] for one in finished if one["object"]["id"] in mine]


def screen(request: PromotionRequest, reader: User, client: Client) -> str:
    client.force_login(reader)
    return client.get(f"/requests/{request.ref}/").content.decode()


def test_it_lets_the_request_through_and_everybody_can_read_why(
    scientist: User, approvers: list[User], client: Client
) -> None:
    request = run_all(asked(scientist, models.sound_model(), policy=POLICY))
    run = run_of(request, "drift.columns")
    assert (run.verdict, request.state) == ("not_applicable", RequestState.READY)
    assert logged(request) == ["accepted"]
    page = screen(request, approvers[0], client)
    assert ACCEPTED + run.summary in page
    assert (
        "Where the check says that it does not apply to the model, that is accepted."
        in client.get("/policies/house/").content.decode()
    )
    snapshot = EvidenceSnapshot.objects.get(digest=request.evidence_digest)
    (check,) = json.loads(snapshot.document)["checks"]
    assert (check["verdict"], check["not_applicable"]) == ("not_applicable", "accepted")
    assert make.approve(request, approvers[:1]).state == RequestState.APPROVED

    again = make.request(make.sealed_version(request.model, scientist, models.sound_model()), scientist)
    assert run_of(again, "drift.columns").reused_from is not None
    assert logged(again) == ["accepted"]


def test_by_default_it_stays_where_it_is(scientist: User, approvers: list[User], client: Client) -> None:
    policy = POLICY.replace("    not_applicable: accept\n", "")
    request = run_all(asked(scientist, models.sound_model(), policy=policy))
    assert request.state == RequestState.CHECKS_FAILED
    assert logged(request) == ["not accepted"]
    assert ACCEPTED not in screen(request, approvers[0], client)
