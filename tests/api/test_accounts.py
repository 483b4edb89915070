"""Who am I, my tokens, and the documentation pages."""

from typing import Any

import pytest
from django.test import Client

from registry.models import ApiToken, User
from tests.api.calls import Api
from tests.api.conftest import Person, session_of, token_of


def test_me_says_who_asks_in_which_roles_and_how(contributor: Api, ada: User) -> None:
    me = contributor.get("me").json()

    assert (me["username"], me["is_service"], me["teams"]) == ("ada", False, ["ada's team"])
    assert me["roles"] == [{"role": "contributor", "team": "ada's team", "model": None}]
    assert me["credentials"]["kind"] == "token"
    assert me["credentials"]["token"] == ApiToken.objects.get(user=ada).prefix
    assert session_of(ada).get("me").json()["credentials"] == {"kind": "session", "token": None, "scope": "write"}


def test_a_token_is_made_in_a_session_shown_once_used_and_revoked(ada: User) -> None:
    session = session_of(ada)
    made = session.post("tokens", {"name": "laptop", "days": 30, "scope": "read"})

    assert made.status_code == 201, made.content
    assert made["Cache-Control"] == "no-store"
    secret = made.json()["token"]
    assert secret.startswith(f"csn_{made.json()['prefix']}.")
    api = Api(secret)
    assert api.get("me").status_code == 200
    assert "token" not in session.get("tokens").json()["results"][0]

    assert session.call("DELETE", made["Location"]).status_code == 204
    refused = api.get("me")
    assert refused.status_code == 401
    assert "revoked" in refused.json()["detail"]


def test_a_token_makes_no_other_token(contributor: Api) -> None:
    answer = contributor.post("tokens", {"name": "more"})

    assert (answer.status_code, answer.json()["code"]) == (403, "token.not_enough")
    assert ApiToken.objects.count() == 1


def test_a_secret_is_never_kept_for_repetitions(ada: User) -> None:
    answer = session_of(ada).post("tokens", {"name": "x"}, idempotency_key="k1")

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency.unsupported")
    assert not ApiToken.objects.exists()


def test_somebody_elses_token_is_not_there(ada: User, person: Person) -> None:
    token_of(ada)

    other = session_of(person("carl"))

    assert other.get("tokens").json()["results"] == []
    assert other.call("DELETE", f"tokens/{ApiToken.objects.get().prefix}").status_code == 404
    assert ApiToken.objects.get().revoked_at is None


@pytest.mark.parametrize(("data", "field"), [({}, "name"), ({"name": "x", "days": 0}, "days"),
                                             ({"name": "x", "scope": "admin"}, "scope")])  # fmt: skip
def test_a_bad_token_is_refused_by_name(ada: User, data: object, field: str) -> None:
    answer = session_of(ada).post("tokens", data)

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_change_in_a_session_needs_the_csrf_token(ada: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")

    answer = Api(client=client).post("tokens", {"name": "x"})

    assert answer.status_code == 403
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("page", ["/api/docs/", "/api/reference/"])
def test_the_documentation_has_no_inline_script_and_relaxes_the_policy_for_itself_alone(ada: User, page: str) -> None:
    client: Any = session_of(ada).client
    shown = client.get(page)

    assert shown.status_code == 200
    html = shown.content.decode()
    assert "<script>" not in html
    assert "http://" not in html.replace("http://testserver", "")
    policy = shown["Content-Security-Policy"]
    assert "script-src 'self';" in policy + ";"
    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "unsafe-inline" not in client.get("/api/v1/me")["Content-Security-Policy"]
    assert Client().get(page).status_code == 302


def test_the_script_of_the_documentation_is_a_file_of_its_own(ada: User) -> None:
    script = session_of(ada).client.get("/api/docs/?script=")

    assert script["Content-Type"].startswith("application/javascript")
    assert "/api/v1/openapi.json" in script.content.decode()
