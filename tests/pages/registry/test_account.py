"""Signing in, and one's own tokens."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from audit.actors import SYSTEM
from audit.models import Entry
from registry.models import ApiToken, RegisteredModel, User
from registry.services import access
from tests.factories import pages as make
from tests.factories.audit import integrate
from tests.pages.registry.conftest import Visit

WRONG = "not the password"


def try_to_sign_in(password: str, username: str = "ada", **more: str) -> tuple[int, str]:
    answer = Client().post("/sign-in/", {"username": username, "password": password, **more})
    return answer.status_code, answer.content.decode()


def actions() -> list[str]:
    """What the ledger says about signing in, oldest first."""
    integrate()
    return list(Entry.objects.filter(action__contains="sign").order_by("index").values_list("action", flat=True))


def test_the_right_password_signs_in_and_is_recorded(scientist: User) -> None:
    browser = Client()
    answer = browser.post(
        "/sign-in/?next=/account/", {"username": "ada", "password": make.PASSWORD, "next": "/account/"}
    )

    assert answer.status_code == 302
    assert answer["Location"] == "/account/"
    assert browser.get("/account/").status_code == 200
    assert actions() == ["user.signed_in"]


def test_a_wrong_password_keeps_the_name_and_says_so(scientist: User) -> None:
    status, page = try_to_sign_in(WRONG)

    assert status == 422
    assert "do not belong together" in page
    assert 'value="ada"' in page
    assert WRONG not in page
    assert actions() == ["user.sign_in_failed"]


def test_five_wrong_passwords_lock_the_account_and_all_are_in_the_ledger(scientist: User) -> None:
    for _ in range(5):
        assert try_to_sign_in(WRONG)[0] == 422

    status, page = try_to_sign_in(make.PASSWORD)

    assert status == 429
    assert "locked until" in page
    assert actions() == ["user.sign_in_failed"] * 5
    with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=True):
        assert try_to_sign_in(make.PASSWORD)[0] == 302


def test_a_form_without_a_password_is_no_failed_try(scientist: User) -> None:
    status, page = try_to_sign_in("")

    assert status == 422
    assert "This field is required" in page
    assert actions() == []


@pytest.mark.parametrize("username", ["nobody", "a\x00da", "x" * 400])
def test_an_unknown_name_is_refused_and_leaves_no_entry(username: str, scientist: User) -> None:
    assert try_to_sign_in(WRONG, username)[0] == 422
    assert actions() == []


def test_an_account_that_is_switched_off_cannot_sign_in(scientist: User) -> None:
    access.update_user(user=scientist, is_active=False, by=SYSTEM)

    assert try_to_sign_in(make.PASSWORD)[0] == 422


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/sign-in/"])
def test_next_leads_nowhere_else(elsewhere: str, scientist: User, visit: Visit) -> None:
    answer = Client().post("/sign-in/", {"username": "ada", "password": make.PASSWORD, "next": elsewhere})
    assert (answer.status_code, answer["Location"]) == (302, "/")

    again = visit(scientist).get("/sign-in/", {"next": elsewhere})
    assert (again.status_code, again["Location"]) == (302, "/")


def test_a_token_is_shown_once_and_never_again(scientist: User, visit: Visit) -> None:
    browser = visit(scientist)

    answer = browser.post("/account/", {"name": "training", "days": "30", "scope": "write"})
    page = answer.content.decode()
    secret = page.split('id="new-token">')[1].partition("<")[0]

    assert answer.status_code == 201
    assert "no-store" in answer["Cache-Control"]
    assert access.authenticate_token(secret).user == scientist
    assert secret not in browser.get("/account/").content.decode()
    assert secret.partition(".")[2] not in "".join(str(row) for row in ApiToken.objects.values())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 81),
        ("name", "a\x00b"),
        ("days", "0"),
        ("days", "366"),
        ("days", "x"),
        ("scope", "sign"),
    ],
)
def test_a_token_that_cannot_be_is_refused_beside_its_field(
    field: str, value: str, scientist: User, visit: Visit
) -> None:
    sent = {"name": "training", "days": "30", "scope": "read", field: value}

    answer = visit(scientist).post("/account/", sent)
    page = answer.content.decode()

    assert answer.status_code == 422
    assert "new-token" not in page
    assert page.split(f'name="{field}"')[1].partition(">")[0].count("aria-invalid") == 1
    assert ApiToken.objects.count() == 0


def test_a_revoked_token_stays_in_the_list_and_opens_nothing(scientist: User, visit: Visit) -> None:
    token, secret = access.issue_token(user=scientist, name="old laptop", by=make.actor(scientist))
    browser = visit(scientist)

    answer = browser.post(f"/account/tokens/{token.pk}/revoke/", follow=True)

    assert answer.redirect_chain == [("/account/", 303)]
    assert "The token old laptop is revoked" in answer.content.decode()
    assert "revoked " in answer.content.decode().split("old laptop")[-1]
    assert Client().get("/api/v1/models", headers={"Authorization": f"Bearer {secret}"}).status_code == 401


def test_nobody_revokes_the_token_of_somebody_else(scientist: User, stranger: User, visit: Visit) -> None:
    token, _ = access.issue_token(user=scientist, name="hers", by=make.actor(scientist))

    assert visit(stranger).post(f"/account/tokens/{token.pk}/revoke/").status_code == 404
    assert visit(scientist).get(f"/account/tokens/{token.pk}/revoke/").status_code == 405
    token.refresh_from_db()
    assert token.revoked_at is None


def test_forms_without_the_token_of_their_page_are_refused(scientist: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(scientist, backend="django.contrib.auth.backends.ModelBackend")

    assert browser.post("/account/", {"name": "x", "days": "1", "scope": "read"}).status_code == 403
    assert ApiToken.objects.count() == 0


def test_the_account_page_says_who_one_is_and_what_one_may(scientist: User, visit: Visit) -> None:
    page = visit(scientist).get("/account/").content.decode()

    assert "Data scientist" in page
    assert "ada&#x27;s team" in page


def test_the_first_run_page_listens_until_a_model_arrives(scientist: User, visit: Visit) -> None:
    browser = visit(scientist)
    whole = browser.get("/first-run/").content.decode()
    part = browser.get("/first-run/", headers={"HX-Request": "true"})
    assert part.status_code == 200
    assert part.content.decode().strip() in whole
    assert 'hx-trigger="every 3s"' in whole

    make.model(scientist, "first-model")

    arrived = browser.get("/first-run/", headers={"HX-Request": "true"})
    assert arrived.status_code == 286
    assert "first-model" in arrived.content.decode()
    assert "hx-get" not in arrived.content.decode()


def test_a_session_that_ended_sends_the_whole_page_to_sign_in_not_the_region(model: RegisteredModel) -> None:
    answer = Client().get("/models/", headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/models/?q=a"})

    assert answer.status_code == 204
    assert answer["HX-Redirect"] == "/sign-in/?next=/models/%3Fq%3Da"
