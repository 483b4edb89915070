"""A log that contradicts what was signed: said on every page, and nobody signs."""

from http import HTTPStatus
from pathlib import Path

import pytest
from pytest_django import Settings

from audit.guard import Guard, Head
from governance.models import Decision, PromotionRequest, Waiver, WaiverSignature
from registry.models import User
from tests.factories import governance as make
from tests.pages.governance.conftest import Browser
from tests.pages.governance.test_sign import filled

HTMX = {"HX-Request": "true"}
TOLD = "The log does not verify; nobody can sign"


@pytest.fixture
def cut(settings: Settings, tmp_path: Path) -> None:
    """The guard remembers more entries than the log has."""
    settings.DATA_DIR = tmp_path
    Guard.default().write(Head(10_000, bytes(32)))


@pytest.mark.parametrize("path", ["/", "/requests/", "/models/", "/policies/", "/account/", "/marks/", "/nowhere/"])
@pytest.mark.usefixtures("cut")
def test_every_page_says_so(ready: PromotionRequest, officers: list[User], as_person: Browser, path: str) -> None:
    text = as_person(officers[0]).get(path).content.decode()
    assert TOLD in text
    assert "10000 were signed before" in text


@pytest.mark.usefixtures("cut")
def test_an_open_page_learns_it_when_it_looks(
    ready: PromotionRequest, officers: list[User], as_person: Browser
) -> None:
    part = as_person(officers[0]).get("/audit/status/", headers=HTMX).content.decode()
    assert '<div id="log-broken" hx-swap-oob="true">' in part
    assert TOLD in part


@pytest.mark.usefixtures("cut")
def test_the_panel_is_locked(ready: PromotionRequest, officers: list[User], as_person: Browser) -> None:
    text = as_person(officers[0]).get(f"/requests/{ready.ref}/").content.decode()
    assert "Signing is off for everyone" in text
    assert '<form class="sign"' not in text


def test_a_form_that_was_open_before_signs_nothing(
    ready: PromotionRequest, officers: list[User], as_person: Browser, settings: Settings, tmp_path: Path
) -> None:
    browser = as_person(officers[0])
    given = filled(browser, ready)
    settings.DATA_DIR = tmp_path
    Guard.default().write(Head(10_000, bytes(32)))
    answer = browser.post(f"/requests/{ready.ref}/sign/", given, headers=HTMX)
    assert answer.status_code == HTTPStatus.CONFLICT
    assert "Signing is off for everyone" in answer.content.decode()
    assert Decision.objects.count() == 0


def test_no_waiver_is_signed_either(
    stopped: PromotionRequest, officers: list[User], as_person: Browser, settings: Settings, tmp_path: Path
) -> None:
    check = stopped.checks.get(key="performance.binary")
    asked = {"check": str(check.pk), "reason": "Small sample.", "until": "2126-01-01"}
    browser = as_person(officers[0])
    day = browser.get(f"/requests/{stopped.ref}/").content.decode().partition('name="until" value="')[2][:10]
    browser.post(f"/requests/{stopped.ref}/waivers/ask/", asked | {"until": day})
    settings.DATA_DIR = tmp_path
    Guard.default().write(Head(10_000, bytes(32)))
    url = f"/requests/{stopped.ref}/waivers/{Waiver.objects.get().pk}/sign/"
    answer = as_person(officers[1]).post(url, {"secret": make.PASSWORD}, headers=HTMX)
    assert answer.status_code == HTTPStatus.CONFLICT
    assert WaiverSignature.objects.count() == 0
