"""The pages of people: for administrators, without a script."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit import keeping, personal
from audit.actors import SYSTEM
from registry.models import User
from registry.roles import Role
from registry.services import access
from tests.factories import pages as make
from tests.pages.registry.conftest import QUERIES, Visit


@pytest.fixture
def admin() -> User:
    return make.person("alma", Role.ADMINISTRATOR)


@pytest.fixture
def browser(admin: User, visit: Visit) -> Client:
    return visit(admin)


def page(user: User) -> str:
    return f"/people/{user.pk}/erase/"


def test_everybody_is_listed_and_found_by_name(browser: Client, scientist: User) -> None:
    for number in range(60):
        make.person(f"p{number}")
    with CaptureQueriesContext(connection) as sent:
        said = browser.get("/people/").content.decode()
    assert len(sent) <= QUERIES
    assert "/people/?after=" in said
    found = browser.get("/people/", {"q": "AD"}).content.decode()
    assert page(scientist) in found
    assert "Nobody is called so" in browser.get("/people/", {"q": "zz\x00"}).content.decode()


def test_erasing_asks_for_name_and_reason_and_says_what_stays(browser: Client, scientist: User) -> None:
    assert "Erase this person" in browser.get(page(scientist)).content.decode()
    for given, complaint in (
        ({"username": "adaa", "reason": "Request 9"}, "not the user name"),
        ({"username": "ada", "reason": ""}, "required"),
        ({"username": "ada", "reason": "ada asked"}, "names the person"),
    ):
        answer = browser.post(page(scientist), given)
        assert answer.status_code == 422
        assert complaint in answer.content.decode()
    assert User.objects.get(pk=scientist.pk).username == "ada"

    done = browser.post(page(scientist), {"username": "ada", "reason": "Request 9"})
    assert (done.status_code, done["Location"]) == (303, "/people/")
    said = browser.get("/people/").content.decode()
    assert "never be opened again" in said
    assert f"erased person {scientist.pk}" in said
    assert page(scientist) not in said
    assert "is a number now" in browser.get(page(scientist)).content.decode()
    assert browser.post(page(scientist), {"username": f"erased-{scientist.pk}", "reason": "x"}).status_code == 409


def test_what_stands_against_it_is_shown_in_place_of_the_form(browser: Client, scientist: User) -> None:
    keeping.set_hold(of="person", object_id=f"user:{scientist.pk}", reason="Case 12", by=SYSTEM)
    said = browser.get(page(scientist)).content.decode()
    assert "keeps it (Case 12)" in said
    assert "Erase this person" not in said
    answer = browser.post(page(scientist), {"username": "ada", "reason": "Request 9"})
    assert answer.status_code == 409
    assert not personal.is_erased(f"user:{scientist.pk}")


def test_only_administrators_see_them(visit: Visit, auditor: User, stranger: User, scientist: User) -> None:
    for user in (auditor, stranger, scientist):
        for path in ("/people/", page(stranger)):
            assert visit(user).get(path).status_code == 403
        assert visit(user).post(page(stranger), {"username": "stranger", "reason": "x"}).status_code == 403
    assert Client().get("/people/").status_code == 302
    assert not personal.is_erased(f"user:{stranger.pk}")


def test_nobody_is_not_there(browser: Client) -> None:
    assert browser.get("/people/999999/erase/").status_code == 404


def test_what_an_erased_person_did_is_told_without_a_name(browser: Client, visit: Visit, auditor: User) -> None:
    from tests.factories.audit import integrate  # noqa: PLC0415 - used once

    gone = access.create_user(username="wilhelmina", password=make.PASSWORD, by=SYSTEM)
    access.record_sign_in(user=gone, by=make.actor(gone))
    browser.post(page(gone), {"username": "wilhelmina", "reason": "Request 9"})
    integrate()
    reading = visit(auditor)
    said = reading.get("/audit/").content.decode()
    assert "wilhelmina" not in said
    assert f"erased person {gone.pk}" in said
