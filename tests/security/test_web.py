"""What a browser, a proxy or a hand-written request could be used for."""

import io
import json
import zipfile

import pytest
from django.test import Client

from governance.models import Challenge, Decision, PromotionRequest
from governance.services import reviews
from registry.models import ApiToken, User
from registry.roles import Role
from registry.services import access
from tests.factories import governance as make

pytestmark = pytest.mark.django_db
LONG = "x" * 10_001
PAGES = [
    "/",
    "/models/",
    "/audit/",
    "/requests/",
    "/policies/",
    "/account/tokens/",
    "/lineage/",
    "/api/docs/",
    "/nothing/",
]


@pytest.fixture
def officer(approvers: list[User]) -> Client:
    """The first approver's browser."""
    browser = Client()
    browser.force_login(approvers[0], backend="django.contrib.auth.backends.ModelBackend")
    return browser


@pytest.mark.parametrize("path", [*PAGES, "/api/v1/models", "/api/v1/requests", "/admin/"])
def test_every_answer_is_private_framed_by_nobody_and_under_a_policy(officer: Client, path: str) -> None:
    answer = officer.get(path)
    assert "no-store" in answer["Cache-Control"], path
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert "unsafe" not in answer["Content-Security-Policy"].split("script-src")[1].split(";")[0]


@pytest.mark.parametrize("page", ["/requests/{ref}/", "/requests/{ref}/sign/", "/api/v1/requests/{ref}"])
def test_a_request_is_nobodys_to_keep(officer: Client, ready: PromotionRequest, page: str) -> None:
    answer = officer.get(page.format(ref=ready.ref))
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize(
    "to", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "http:///x"]
)
def test_signing_in_leads_nowhere_else(approvers: list[User], to: str) -> None:
    answer = Client().post(
        f"/sign-in/?next={to}", {"username": approvers[0].username, "password": make.PASSWORD, "next": to}
    )
    assert answer.status_code == 302
    assert answer["Location"] == "/"


def test_the_session_is_new_after_signing_in(approvers: list[User]) -> None:
    browser = Client()
    browser.get("/sign-in/")
    session = browser.session
    session["planted"] = True
    session.save()
    before = session.session_key
    browser.cookies["sessionid"] = before or ""
    browser.post("/sign-in/", {"username": approvers[0].username, "password": make.PASSWORD})
    assert browser.cookies["sessionid"].value != before
    assert browser.cookies["sessionid"]["httponly"]
    assert browser.cookies["sessionid"]["samesite"] == "Lax"


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "localhost:80@evil.example"])
def test_another_host_is_not_answered(host: str) -> None:
    assert Client().get("/sign-in/", HTTP_HOST=host).status_code == 400


def body(request: PromotionRequest, made: Challenge, /, **more: object) -> str:
    given = {
        "outcome": "approve",
        "meaning": "approval",
        "comment": "",
        "conditions": "",
        "challenge": str(made.pk),
    }
    return json.dumps({**given, "evidence_digest": request.evidence_digest, "password": make.PASSWORD, **more})


def test_a_signature_from_another_site_is_refused(approvers: list[User], ready: PromotionRequest) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(approvers[0], backend="django.contrib.auth.backends.ModelBackend")
    challenge = reviews.new_challenge(request=ready, by=make.actor(approvers[0]))
    address = f"/api/v1/requests/{ready.ref}/decisions"
    answer = browser.post(address, body(ready, challenge), content_type="application/json")
    assert answer.status_code == 403
    assert not Decision.objects.exists()


def test_a_token_does_not_sign(approvers: list[User], ready: PromotionRequest) -> None:
    own = make.actor(approvers[0])
    _, secret = access.issue_token(user=approvers[0], name="t", by=own, scope=ApiToken.Scope.WRITE)
    challenge = reviews.new_challenge(request=ready, by=own)
    for browser in (Client(), Client()):
        answer = browser.post(
            f"/api/v1/requests/{ready.ref}/decisions", body(ready, challenge), content_type="application/json",
            HTTP_AUTHORIZATION=f"Bearer {secret}",
        )  # fmt: skip
        assert answer.status_code == 403
    assert not Decision.objects.exists()


def test_a_challenge_is_for_one_person_one_request_and_one_time(
    officer: Client, approvers: list[User], ready: PromotionRequest, scientist: User
) -> None:
    other = make.finish_all(make.request(make.sealed_version(ready.model, scientist), scientist))
    address = f"/api/v1/requests/{ready.ref}/decisions"
    for foreign in (
        reviews.new_challenge(request=ready, by=make.actor(approvers[1])),
        reviews.new_challenge(request=other, by=make.actor(approvers[0])),
    ):
        answer = officer.post(address, body(ready, foreign), content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (409, "signing.challenge")
    own = reviews.new_challenge(request=ready, by=make.actor(approvers[0]))
    assert officer.post(address, body(ready, own), content_type="application/json").status_code == 201
    assert officer.post(address, body(ready, own), content_type="application/json").status_code in {403, 409}
    assert Decision.objects.count() == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"outcome": ["approve"]}, {"outcome": {"a": 1}}, {"comment": 7}, {"comment": LONG}, {"comment": "a\x00b"},
        {"conditions": "  ", "outcome": "approve_with_conditions"}, {"challenge": "no"}, {"challenge": None},
        {"evidence_digest": True}, {"password": ["x"]}, {"password": ""}, {"meaning": "blessing"},
    ],
    ids="-".join,
)  # fmt: skip
def test_nothing_malformed_is_signed(
    officer: Client, approvers: list[User], ready: PromotionRequest, wrong: dict[str, object]
) -> None:
    challenge = reviews.new_challenge(request=ready, by=make.actor(approvers[0]))
    address = f"/api/v1/requests/{ready.ref}/decisions"
    answer = officer.post(address, body(ready, challenge, **wrong), content_type="application/json")
    assert 400 <= answer.status_code < 500, answer.content
    assert not Decision.objects.exists()


@pytest.mark.parametrize(
    "path", ["requests/{ref}", "requests/{ref}/checks", "requests/{ref}/decisions", "requests/{ref}/evidence.zip"]
)
def test_a_stranger_learns_nothing_of_a_request(house: object, ready: PromotionRequest, path: str) -> None:
    browser = Client()
    browser.force_login(make.person("stranger"), backend="django.contrib.auth.backends.ModelBackend")
    assert browser.get(f"/api/v1/{path.format(ref=ready.ref)}").status_code == 404


@pytest.mark.parametrize(
    ("filter_", "order"),
    [
        ("name = 'x' OR 1=1", ""), ("name LIKE '%' UNION SELECT secret_sha256 FROM registry_apitoken", ""),
        ("name = ''''; DROP TABLE audit_entry; --'", ""), ("name ILIKE '" + "%a" * 400 + "'", ""), ("(" * 5000, ""),
        ("", "name; DROP TABLE audit_entry"), ("", "owner__password"), ("tags.`a' OR '1'='1` = 'x'", ""),
        ("name = '" + "\\'" * 5000, ""),
    ],
    ids=range(9),
)  # fmt: skip
def test_search_is_a_language_of_its_own(house: object, filter_: str, order: str) -> None:
    user = make.person("reader", Role.CONTRIBUTOR)
    _, secret = access.issue_token(user=user, name="t", by=make.actor(user))
    given = {"filter": filter_, **({"order_by": order} if order else {})}
    answer = Client().get("/api/2.0/mlflow/registered-models/search", given, HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert answer.status_code in {200, 400}, answer.content[:300]
    assert b"registered_models" not in answer.content


def test_a_bundle_is_not_kept_by_caches(officer: Client, ready: PromotionRequest, approvers: list[User]) -> None:
    answer = officer.get(f"/api/v1/requests/{ready.ref}/evidence.zip")
    assert "no-store" in answer["Cache-Control"]
    assert not zipfile.is_zipfile(io.BytesIO(answer.content))


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "content",
    [DEEP, '{"name":' * 50_000, '{"name": ' + "9" * 5000 + "}", '{"name": 1e999}', "\xff\xfe", "[]", "null"],
    ids=["lists", "objects", "digits", "infinity", "bytes", "list", "null"],
)
@pytest.mark.parametrize("address", ["/api/v1/models", "/api/2.0/mlflow/registered-models/create"])
def test_no_json_ends_in_an_error_of_ours(house: object, address: str, content: str) -> None:
    user = make.person("writer", Role.CONTRIBUTOR)
    _, secret = access.issue_token(user=user, name="t", by=make.actor(user))
    browser = Client(raise_request_exception=False)
    answer = browser.post(
        address, content.encode("latin-1"), content_type="application/json", HTTP_AUTHORIZATION=f"Bearer {secret}"
    )
    assert 400 <= answer.status_code < 500, answer.content[:300]


@pytest.mark.parametrize(
    "path",
    ["/models/a%00b/", "/models/%ED%A0%80/", "/models/?q=%00", "/audit/?actor=%00", "/requests/REQ-99999999999999999999/",
     "/requests/?state=%00&page=-1", "/models/?page=99999999999999999999", "/lineage/?q=%00", "/audit/?after=" + "9" * 22,
     "/api/v1/models?after=%00", "/api/v1/models/a%00b", "/policies/%00/", "/api/v1/requests?state=%00"],
)  # fmt: skip
def test_no_address_ends_in_an_error_of_ours(approvers: list[User], path: str) -> None:
    browser = Client(raise_request_exception=False)
    browser.force_login(approvers[0], backend="django.contrib.auth.backends.ModelBackend")
    assert browser.get(path).status_code < 500
