"""Evidence over REST: bundles as jobs, samples planned and drawn, for who may see."""

import hashlib
import io
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from governance.models import Export, PromotionRequest, Sample
from registry.models import User
from registry.roles import Role
from tests.api.calls import Api
from tests.api.conftest import token_of
from tests.factories import governance as made

QUERIES = 25
SEED = "nobody knows"
COMMITMENT = hashlib.sha256(SEED.encode()).hexdigest()


@pytest.fixture
def owner(db: None) -> User:
    return made.person("owner", Role.CONTRIBUTOR)


@pytest.fixture
def review(owner: User) -> PromotionRequest:
    """A request whose checks have passed, all of it in the log."""
    made.policy()
    version = made.sealed_version(made.registered_model(owner, name="scorecard"), owner)
    request = made.finish_all(made.request(version, owner))
    made.integrate()
    return request


@pytest.fixture
def auditor(db: None) -> Api:
    return Api(token_of(made.person("auditor", Role.AUDITOR)))


def period() -> dict[str, Any]:
    now = timezone.now()
    return {"since": (now - timedelta(days=1)).isoformat(), "until": (now + timedelta(minutes=1)).isoformat()}


def test_a_bundle_is_asked_for_followed_and_downloaded(review: PromotionRequest, owner: User) -> None:
    api = Api(token_of(owner))
    scale = api.post("exports/scale", {"kind": "request", "request": review.ref})
    assert scale.status_code == 200
    assert scale.json()["requests"] == 1
    answer = api.post("exports", {"kind": "request", "request": review.ref, "report": False})
    assert answer.status_code == 201, answer.json()
    told = answer.json()
    assert told["state"] == "finished"
    assert api.get(f"exports/{told['id']}").json() == told
    assert [one["id"] for one in api.get("exports").json()["results"]] == [told["id"]]
    file = api.get(f"exports/{told['id']}/bundle.zip")
    content = b"".join(file.streaming_content)
    assert hashlib.sha256(content).hexdigest() == told["sha256"]
    assert len(content) == told["length"]
    assert "log/checkpoint.txt" in zipfile.ZipFile(io.BytesIO(content)).namelist()
    asked = {"kind": "request", "request": review.ref, "report": False}
    again = api.post("exports", {**asked, "log_size": told["log_size"]})
    assert again.json()["sha256"] == told["sha256"]


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"kind": "version", "model": "scorecard", "version": 1}, 201),
        ({"kind": "model", "model": "scorecard"}, 201),
        ({"kind": "model", "model": "scorecard", "report": False}, 201),
        ({"kind": "model", "model": "scorecard", "report": "mood"}, 400),
        ({"kind": "sample", "sample": "00000000-0000-0000-0000-000000000000", "report": True}, 400),
        ({"kind": "model", "model": "nothing"}, 404),
        ({"kind": "request", "request": "REQ-9999"}, 404),
        ({"kind": "request"}, 400),
        ({"kind": "model", "model": "scorecard", "version": 1}, 400),
        ({"kind": "mood"}, 400),
        ({}, 400),
        ({"kind": "period", "since": "yesterday", "until": "today"}, 400),
        ({"kind": "sample", "sample": "00000000-0000-0000-0000-000000000000"}, 404),
        ({"kind": "model", "model": "scorecard", "log_size": 10**9}, 404),
    ],
)
def test_every_question_has_its_answer(
    given: dict[str, Any], status: int, review: PromotionRequest, owner: User
) -> None:
    answer = Api(token_of(owner)).post("exports", given)
    assert answer.status_code == status, answer.json()
    states = list(Export.objects.values_list("state", flat=True))
    assert states == ([] if status != 201 else ["finished"] if given.get("report") is False else ["queued"])


def test_a_period_is_for_auditors(review: PromotionRequest, owner: User, auditor: Api) -> None:
    assert Api(token_of(owner)).post("exports", {"kind": "period", **period()}).status_code == 403
    told = auditor.post("exports", {"kind": "period", **period()})
    assert told.status_code == 201
    assert told.json()["entries"] == told.json()["log_size"]


def test_nobody_has_the_bundles_of_another(review: PromotionRequest, owner: User, auditor: Api) -> None:
    told = Api(token_of(owner)).post("exports", {"kind": "request", "request": review.ref}).json()
    assert auditor.get(f"exports/{told['id']}").status_code == 404
    assert auditor.get(f"exports/{told['id']}/bundle.zip").status_code == 404
    assert auditor.get("exports").json()["results"] == []


def test_a_read_only_token_takes_nothing(review: PromotionRequest, owner: User) -> None:
    answer = Api(token_of(owner, "read")).post("exports", {"kind": "request", "request": review.ref})
    assert answer.status_code == 403
    assert not Export.objects.exists()


def test_a_sample_is_planned_and_drawn(review: PromotionRequest, auditor: Api) -> None:
    counted = auditor.post("samples/count", period())
    assert counted.status_code == 200, counted.json()
    told = counted.json()
    assert told["population"] + told["others"] == told["end"] - told["begin"]
    size = auditor.get("samples/size?population=1000&expected=0").json()["size"]
    assert size == 57
    plan = auditor.post("samples", {**period(), "title": "All?", "size": 2, "seed_commitment": COMMITMENT})
    assert plan.status_code == 201, plan.json()
    key = plan.json()["id"]
    made.integrate()
    assert auditor.post(f"samples/{key}/draw", {"seed": "another"}).status_code == 422
    drawn = auditor.post(f"samples/{key}/draw", {"seed": SEED})
    assert drawn.status_code == 200, drawn.json()
    assert len(drawn.json()["items"]) == 2
    assert auditor.post(f"samples/{key}/draw", {"seed": SEED}).status_code == 409
    assert auditor.get(f"samples/{key}").json() == drawn.json()
    assert [one["id"] for one in auditor.get("samples").json()["results"]] == [key]
    made.integrate()
    assert auditor.post("exports", {"kind": "sample", "sample": key}).status_code == 201


@pytest.mark.parametrize(
    "change",
    [
        {"seed_commitment": "short"},
        {"size": 0},
        {"sizes": {"": 1}, "size": 1},
        {"sizes": {"nothing": 1}, "size": None},
        {"stratify_by": "mood"},
        {"title": ""},
        {"actions": ["nobody.did"]},
    ],
)
def test_a_plan_that_cannot_be_is_refused(change: dict[str, Any], review: PromotionRequest, auditor: Api) -> None:
    given = {**period(), "title": "All?", "size": 2, "seed_commitment": COMMITMENT, **change}
    answer = auditor.post("samples", {name: value for name, value in given.items() if value is not None})
    assert answer.status_code in {400, 422}, answer.json()
    assert not Sample.objects.exists()


def test_samples_are_for_auditors(review: PromotionRequest, owner: User) -> None:
    api = Api(token_of(owner))
    assert api.get("samples").status_code == 403
    assert api.post("samples/count", period()).status_code == 403
    plan = {**period(), "title": "All?", "size": 2, "seed_commitment": COMMITMENT}
    assert api.post("samples", plan).status_code == 403
    assert not Sample.objects.exists()


@pytest.mark.parametrize("query", ["population=0", "population=x", "population=5&tolerable=0.9", "confidence=0.9"])
def test_a_size_needs_figures_that_make_sense(query: str, auditor: Api, db: None) -> None:
    assert auditor.get(f"samples/size?{query}").status_code in {400, 422}
