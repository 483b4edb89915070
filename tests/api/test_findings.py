"""A person's finding over REST: recorded, read, its file taken away; and each way it is refused."""

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from governance.models import CheckRun, PromotionRequest
from registry.models import User
from registry.roles import Role
from tests.api.calls import Api
from tests.api.conftest import session_of, token_of
from tests.factories import governance as made
from tests.governance.findings.conftest import POLICY

PDF = b"%PDF-1.7 a memo"
FINDING = {"finding": "pass", "words": "The method is right."}


@pytest.fixture
def waiting(db: None) -> PromotionRequest:
    made.policy(POLICY)
    owner = made.person("owner", Role.CONTRIBUTOR)
    return made.finish_all(made.request(made.sealed_version(made.registered_model(owner), owner), owner))


@pytest.fixture
def awaited(waiting: PromotionRequest) -> CheckRun:
    return waiting.checks.get(category="manual")


@pytest.fixture
def validator(db: None) -> User:
    return made.person("validator", Role.VALIDATOR)


def multipart(user: User, run: CheckRun, name: str, content: bytes, **more: str) -> Any:
    client = Client()
    client.force_login(user)
    file = SimpleUploadedFile(name, content)
    return client.post(f"/api/v1/checks/{run.pk}/finding", {**FINDING, **more, "attachment": file})


def test_it_is_recorded_and_read(awaited: CheckRun, validator: User) -> None:
    api = Api(token_of(validator))
    assert api.get(f"checks/{awaited.pk}").json()["state"] == "awaited"
    answer = api.post(f"checks/{awaited.pk}/finding", FINDING)
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["state"], body["verdict"], body["summary"]) == ("finished", "pass", "The method is right.")
    assert body["result"]["facts"]["found_by"] == f"user:{validator.pk}"
    assert body["provenance"]["recorded"] == "by a person"


def test_its_file_is_given_back_as_a_download_only(awaited: CheckRun, validator: User) -> None:
    answer = multipart(validator, awaited, "memo.pdf", PDF)
    assert answer.status_code == 200, answer.content
    (file,) = answer.json()["result"]["files"]
    got = session_of(validator).get(f"checks/{awaited.pk}/files/{file['sha256']}")
    assert b"".join(got.streaming_content) == PDF
    assert got["Content-Disposition"] == 'attachment; filename="memo.pdf"'
    assert got["Content-Type"] == "application/octet-stream"
    assert got["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "finding"),
        ({"finding": "perhaps", "words": "x"}, "finding"),
        ({"finding": "pass"}, "words"),
        ({"finding": "pass", "words": " "}, "words"),
        ({**FINDING, "verdict": "pass"}, "verdict"),
        ({**FINDING, "attachment": "memo.pdf"}, "attachment"),
    ],
)
def test_a_bad_body_names_its_field(awaited: CheckRun, validator: User, body: dict[str, str], field: str) -> None:
    answer = Api(token_of(validator)).post(f"checks/{awaited.pk}/finding", body)
    assert answer.status_code in {400, 422}, answer.content
    assert field in json.dumps(answer.json()["errors"])


def test_a_bad_file_names_its_field(awaited: CheckRun, validator: User) -> None:
    answer = multipart(validator, awaited, "run.exe", b"MZ")
    assert answer.status_code == 422
    assert "attachment" in answer.content.decode()


def test_who_may_not_is_told_why(waiting: PromotionRequest, awaited: CheckRun, validator: User) -> None:
    where = f"checks/{awaited.pk}/finding"
    owner = User.objects.get(pk=waiting.requested_by_id)
    assert Api().post(where, FINDING).status_code == 401
    assert Api(token_of(made.person("stranger"))).post(where, FINDING).status_code == 404
    assert Api(token_of(made.person("officer", Role.APPROVER))).post(where, FINDING).json()["code"] == "finding.no_role"
    refused = Api(token_of(owner)).post(where, FINDING)
    assert (refused.status_code, refused.json()["code"]) == (403, "signing.conflict_of_interest")
    assert Api(token_of(validator, "read")).post(where, FINDING).status_code == 403
    awaited.refresh_from_db()
    assert awaited.state == "awaited"
    assert Api(token_of(validator)).post(where, FINDING).status_code == 200
    again = Api(token_of(validator)).post(where, FINDING)
    assert (again.status_code, again.json()["code"]) == (409, "finding.recorded")


def test_a_session_needs_the_csrf_token(awaited: CheckRun, validator: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(validator)
    answer = client.post(f"/api/v1/checks/{awaited.pk}/finding", FINDING, content_type="application/json")
    assert answer.status_code == 403
    awaited.refresh_from_db()
    assert awaited.state == "awaited"


def test_a_file_that_does_not_stand_beside_it_is_not_there(awaited: CheckRun, validator: User) -> None:
    """Not even one that the store has: a digest is no key to other people's bytes."""
    api = Api(token_of(validator))
    scores = awaited.request.checks.get(category="scoring").output_blob_id
    for digest in (scores, "0" * 64, "..%2f..%2fetc"):
        assert api.get(f"checks/{awaited.pk}/files/{digest}").status_code == 404
    assert Api(token_of(made.person("stranger"))).get(f"checks/{awaited.pk}/files/{scores}").status_code == 404
