"""The short way of programs through the middlewares: what it leaves out, and what it must not."""

import pytest
from django.test import Client

from audit.actors import SYSTEM
from registry.models import RegisteredModel, User
from registry.roles import Role
from registry.services import access
from tests.factories import registry as make

pytestmark = pytest.mark.django_db
GET = "/api/2.0/mlflow/registered-models/get?name=x"
PROGRAMS = [
    GET,
    GET.replace("/api", "/ajax-api"),
    "/api/2.0/nothing",
    "/api/3.0/mlflow/traces/x",
    "/version",
    "/health",
]
PROGRAMS += ["/api/2.0/mlflow-artifacts/artifacts?path=x"]


@pytest.fixture
def ada() -> User:
    """Contributes."""
    return make.person(Role.CONTRIBUTOR, name="ada")


@pytest.mark.parametrize("path", PROGRAMS)
def test_every_answer_is_private_no_page_and_has_an_id_and_a_length(path: str) -> None:
    answer = Client().get(path, headers={"x-request-id": "my-id"})

    assert answer["Cache-Control"] == "private, no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Request-Id"] == "my-id"
    assert answer["Content-Length"] == str(len(answer.content))
    assert not answer.cookies


@pytest.mark.parametrize("path", PROGRAMS)
def test_another_host_is_not_answered(path: str) -> None:
    assert Client().get(path, HTTP_HOST="evil.example").status_code == 400


def test_a_session_is_never_looked_at(ada: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ada)
    answer = browser.post(
        "/ajax-api/2.0/mlflow/registered-models/create", '{"name": "x"}', content_type="application/json"
    )

    assert answer.status_code == 401
    assert not RegisteredModel.objects.exists()


def test_a_token_needs_no_csrf_token(ada: User) -> None:
    _, text = access.issue_token(user=ada, name="t", by=SYSTEM)
    client = Client(enforce_csrf_checks=True, headers={"authorization": f"Bearer {text}"})
    answer = client.post("/api/2.0/mlflow/registered-models/create", '{"name": "x"}', content_type="application/json")

    assert answer.status_code == 200
    assert RegisteredModel.objects.get().owner == ada


@pytest.mark.parametrize(
    "path", ["/api/v1/models", "/api/2.0", "/api/1.0/x", "/versions", "/version/", "/health/live", "/x/api/2.0/mlflow/"]
)
def test_nothing_else_goes_that_way(path: str) -> None:
    answer = Client().get(path)

    assert "sandbox" not in answer["Content-Security-Policy"]


def test_what_breaks_below_is_json(ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("registry.mlflow.auth.authenticate_request", broken)
    answer = Client(raise_request_exception=False).get(GET)

    assert answer.status_code == 500
    assert "json" in answer["Content-Type"]
    assert b"broken" not in answer.content
