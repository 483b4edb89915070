"""One's own password is changed on the account page, and the change is in the ledger."""

import pytest
from django.test import Client

from audit.actors import SYSTEM
from registry.models import User
from registry.services.access import update_user
from tests.factories import registry as make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]
OLD, NEW = "a first long password", "a second long password"


@pytest.fixture
def somebody() -> User:
    user = make.person(name="somebody")
    return update_user(user=user, password=OLD, by=SYSTEM)


@pytest.fixture
def browser(somebody: User, client: Client) -> Client:
    client.force_login(somebody, backend="django.contrib.auth.backends.ModelBackend")
    return client


def change(browser: Client, old: str, new: str) -> int:
    return browser.post("/account/password/", {"password-old": old, "password-new": new}).status_code


def test_the_new_one_holds_the_session_goes_on_and_it_is_logged(browser: Client, somebody: User) -> None:
    assert change(browser, OLD, NEW) == 303
    somebody.refresh_from_db()
    assert somebody.check_password(NEW)
    assert browser.get("/account/").status_code == 200
    last = make.entries()[-1]
    assert (last["action"], last["diff"]) == ("user.changed", {"password_changed": True})
    assert NEW not in str(make.entries())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("wrong", NEW, "not your present password"),
        (OLD, "short", "too short"),
        (OLD, "password1234", "too common"),
        ("", "", "required"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_nothing_changes(
    browser: Client, somebody: User, old: str, new: str, words: str
) -> None:
    answer = browser.post("/account/password/", {"password-old": old, "password-new": new})
    assert answer.status_code == 422
    assert words in answer.content.decode()
    somebody.refresh_from_db()
    assert somebody.check_password(OLD)


def test_guessing_the_old_one_locks_the_account(browser: Client, somebody: User) -> None:
    assert [change(browser, "wrong", NEW) for _ in range(6)] == [422] * 5 + [429]
    assert change(browser, OLD, NEW) == 429
    somebody.refresh_from_db()
    assert somebody.check_password(OLD)


def test_the_admins_own_page_leads_here(browser: Client, somebody: User) -> None:
    User.objects.filter(pk=somebody.pk).update(is_staff=True, is_superuser=True)
    answer = browser.get("/admin/password_change/")
    assert answer.headers["Location"] == "/account/#password"
