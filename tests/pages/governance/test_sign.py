"""Signing on the page: with and without htmx, and everything that keeps a signature from being made."""

import re
from http import HTTPStatus
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from governance.models import Decision, Permit, PromotionRequest
from registry.models import User
from tests.factories import governance as make
from tests.pages.governance.conftest import Browser

HTMX = {"HX-Request": "true"}
STOP_POLLING = 286


def filled(browser: Client, promotion: PromotionRequest, **given: str) -> dict[str, str]:
    """The form as the page hands it out, filled in."""
    text = browser.get(f"/requests/{promotion.ref}/").content.decode()
    hidden = {name: _hidden(text, name) for name in ("challenge", "evidence_digest")}
    return {
        "decision": "approve",
        "meaning": "approval",
        "comment": "",
        "conditions": "",
        "secret": make.PASSWORD,
        **hidden,
        **given,
    }


def _hidden(text: str, name: str) -> str:
    found = re.search(rf'<input type="hidden" name="{name}" value="([^"]+)"', text)
    assert found is not None, f"the page has no hidden field {name}"
    return found[1]


def test_two_officers_sign_and_when_the_permit_is_made_the_version_is_live(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    for officer in officers:
        browser = as_person(officer)
        answer = browser.post(f"/requests/{ready.ref}/sign/", filled(browser, ready))
        assert answer.status_code == HTTPStatus.SEE_OTHER
        assert answer["Location"] == f"/requests/{ready.ref}/#sign"
    ready.refresh_from_db()
    assert ready.state == "approved"
    between = as_person(officers[0]).get(f"/requests/{ready.ref}/").content.decode()
    assert "Approved; the permit is being made" in between
    assert "Until then nothing is live." in between
    polled = as_person(officers[0]).get(f"/requests/{ready.ref}/progress/", headers=HTMX)
    assert (polled.status_code, "every 1s" in polled.content.decode()) == (HTTPStatus.OK, True)
    make.issue()
    assert as_person(officers[0]).get(f"/requests/{ready.ref}/progress/", headers=HTMX).status_code == STOP_POLLING
    page = as_person(officers[0]).get(f"/requests/{ready.ref}/").content.decode()
    assert "Countersigned" in page
    assert str(Permit.objects.get().pk) in page


def test_a_permit_that_is_refused_says_why_and_that_it_is_tried_again(
    ready: PromotionRequest, officers: list[User], as_person: Browser, keys_dir: Path
) -> None:
    make.trust_root()
    for officer in officers:
        make.sign(ready, officer)
    (keys_dir / "permit-countersigner.pem").unlink()
    make.issue()
    page = as_person(officers[0]).get(f"/requests/{ready.ref}/").content.decode()
    assert "It was refused, and is tried again: cannot read" in page
    assert "permit-countersigner.pem" in page
    assert "Until then nothing is live." in page


def test_with_htmx_the_panel_comes_back_and_tells_the_other_regions(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    browser = as_person(officers[0])
    answer = browser.post(f"/requests/{ready.ref}/sign/", filled(browser, ready), headers=HTMX)
    assert answer.status_code == HTTPStatus.OK
    assert "signed" in answer["HX-Trigger"]
    text = answer.content.decode()
    assert "<html" not in text
    assert "You signed on" in text


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["browser", "htmx"])
def test_a_wrong_password_is_said_beside_the_field_and_the_comment_is_kept(
    ready: PromotionRequest, officers: list[User], as_person: Browser, headers: dict[str, str]
) -> None:
    browser = as_person(officers[0])
    given = filled(browser, ready, secret="not my password", comment="I have read section 4.")
    answer = browser.post(f"/requests/{ready.ref}/sign/", given, headers=headers)
    text = answer.content.decode()
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "The password is wrong; 4 attempts are left." in text
    assert "I have read section 4." in text
    assert "not my password" not in text
    assert Decision.objects.count() == 0


def test_the_form_that_came_back_can_be_signed(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    browser = as_person(officers[0])
    refused = browser.post(f"/requests/{ready.ref}/sign/", filled(browser, ready, secret="wrong")).content.decode()
    again = filled(browser, ready) | {name: _hidden(refused, name) for name in ("challenge", "evidence_digest")}
    assert browser.post(f"/requests/{ready.ref}/sign/", again).status_code == HTTPStatus.SEE_OTHER


def test_too_many_wrong_passwords_lock_signing_and_say_until_when(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    browser = as_person(officers[0])
    given = filled(browser, ready, secret="wrong", comment="Kept.")
    answer = browser.post(f"/requests/{ready.ref}/sign/", given, headers=HTMX)
    for _ in range(settings.SIGNING_ATTEMPTS - 1):
        answer = browser.post(f"/requests/{ready.ref}/sign/", given, headers=HTMX)
    assert answer.status_code == HTTPStatus.LOCKED
    assert "Signing is now locked for this account" in answer.content.decode()
    right = browser.post(f"/requests/{ready.ref}/sign/", filled(browser, ready), headers=HTMX)
    assert right.status_code == HTTPStatus.LOCKED
    assert Decision.objects.count() == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"decision": ""}, "Pick a decision."),
        ({"decision": "maybe"}, "maybe is not one of the available choices"),
        ({"meaning": "fun"}, "fun is not one of the available choices"),
        ({"secret": ""}, "Write your password"),
        ({"decision": "reject"}, "Write the comment."),
        ({"decision": "request_changes", "comment": "  "}, "Write the comment."),
        ({"decision": "approve_with_conditions"}, "Write the conditions."),
        ({"comment": "a\x00b"}, "Null characters are not allowed."),
        ({"comment": "x" * 10_001}, "at most 10000 characters"),
    ],
    ids=["nothing picked", "unknown decision", "unknown meaning", "no password", "reject without why", "return without why",
         "no conditions", "null byte", "too long"],
)  # fmt: skip
def test_what_is_missing_is_named_beside_its_field(
    ready: PromotionRequest, officers: list[User], as_person: Browser, given: dict[str, str], said: str
) -> None:
    browser = as_person(officers[0])
    answer = browser.post(f"/requests/{ready.ref}/sign/", filled(browser, ready, **given), headers=HTMX)
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert said in answer.content.decode().replace("&#x27;", "'")
    assert Decision.objects.count() == 0


def test_evidence_that_changed_meanwhile_is_a_conflict_and_nothing_is_signed(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    browser = as_person(officers[0])
    given = filled(browser, ready, evidence_digest="0" * 64, comment="Mine.")
    answer = browser.post(f"/requests/{ready.ref}/sign/", given, headers=HTMX)
    text = answer.content.decode()
    assert answer.status_code == HTTPStatus.CONFLICT
    assert "Nothing was signed" in text
    assert "The evidence changed after you opened this page." in text
    assert "Mine." in text
    assert Decision.objects.count() == 0


def test_a_challenge_is_used_once(ready: PromotionRequest, officers: list[User], as_person: Browser) -> None:
    first, second = (as_person(officer) for officer in officers)
    given = filled(first, ready)
    assert first.post(f"/requests/{ready.ref}/sign/", given).status_code == HTTPStatus.SEE_OTHER
    stolen = second.post(f"/requests/{ready.ref}/sign/", given)
    assert stolen.status_code == HTTPStatus.CONFLICT
    assert Decision.objects.count() == 1


def test_who_asked_cannot_sign_even_by_a_made_up_form(
    ready: PromotionRequest, scientist: User, as_person: Browser
) -> None:
    given = {"decision": "approve", "meaning": "approval", "secret": make.PASSWORD, "challenge": str(ready.pk),
             "evidence_digest": ready.evidence_digest}  # fmt: skip
    answer = as_person(scientist).post(f"/requests/{ready.ref}/sign/", given, headers=HTMX)
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert "your vote cannot count on it" in answer.content.decode()
    assert Decision.objects.count() == 0


def test_opening_the_address_of_the_form_shows_the_page(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    assert as_person(officers[0]).get(f"/requests/{ready.ref}/sign/").status_code == HTTPStatus.OK
