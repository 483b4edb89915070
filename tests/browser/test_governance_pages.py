"""Requests, policies and permits in a real browser: accessible and no wider than the window, in every state."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from governance.models import Permit, PromotionRequest, WorkerHeartbeat
from governance.services import checks, waivers
from registry.models import User
from tests.browser.conftest import Tabs
from tests.browser.evidence import House, asked, house, measured
from tests.browser.looks import LOOKS, overhang, violations
from tests.factories import governance as make

Page = tuple[User, str]


@pytest.fixture
def people(browser_page: Tabs, keys_dir: Path) -> House:
    """The house, with a version to ask for."""
    return house(keys_dir)


def _running(people: House) -> Page:
    promotion = asked(people)
    WorkerHeartbeat.objects.create(name="w", started_at=timezone.now(), seen_at=timezone.now() + timedelta(hours=1))
    held = checks.claim(checks.due_of(promotion.pk)[0], owner="w")
    assert held is not None
    checks.progress(held, 31, 50)
    return people.first, f"/requests/{promotion.ref}/"


def _without_worker(people: House) -> Page:
    return people.first, f"/requests/{asked(people).ref}/"


def _ready(people: House) -> Page:
    return people.first, f"/requests/{measured(asked(people)).ref}/"


def _signed_once(people: House) -> Page:
    promotion = measured(asked(people))
    make.sign(promotion, people.first)
    return people.first, f"/requests/{promotion.ref}/"


def _signed(people: House) -> Page:
    return people.first, f"/requests/{_approved(people).ref}/"


def _approved(people: House) -> PromotionRequest:
    return make.approve(measured(asked(people)), (people.first, people.second))


def _second_version(people: House) -> Page:
    _approved(people)
    newer = make.sealed_version(people.version.model, people.scientist, parameters={"C": "2"})
    return people.first, f"/requests/{measured(make.request(newer, people.scientist)).ref}/"


def _stopped(people: House) -> Page:
    return people.scientist, f"/requests/{measured(asked(people), ratio=0.5).ref}/"


def _waiver(people: House) -> Page:
    promotion = measured(asked(people), ratio=0.5)
    run = promotion.checks.get(key="fairness.sex")
    by, until = make.actor(people.scientist), timezone.now() + timedelta(days=30)
    waivers.ask(request=promotion, check_run_id=run.pk, reason="Until the new data is in.", until=until, by=by)
    return people.first, f"/requests/{promotion.ref}/"


def _returned(people: House) -> Page:
    promotion = measured(asked(people))
    make.sign(promotion, people.first, "request_changes", comment="Say more about the sample.")
    return people.scientist, f"/requests/{promotion.ref}/"


def _check(people: House) -> Page:
    promotion = measured(asked(people))
    return people.first, f"/requests/{promotion.ref}/checks/{promotion.checks.get(key='fairness.sex').pk}/"


def _permit(people: House) -> Page:
    _approved(people)
    return people.first, f"/permits/{Permit.objects.get().pk}/"


def _promote(people: House) -> Page:
    return people.scientist, f"/models/{people.version.model.name}/versions/1/promote/"


def _list(address: str) -> Callable[[House], Page]:
    def page(people: House) -> Page:
        _second_version(people)
        return people.first, address

    return page


def _own_inbox(people: House) -> Page:
    _stopped(people)
    return people.scientist, "/"


PAGES: Final[dict[str, Callable[[House], Page]]] = {
    "inbox": _list("/"),
    "inbox of who asked": _own_inbox,
    "inbox, nothing waits": lambda people: (people.first, "/"),
    "requests": _list("/requests/"),
    "requests, none found": _list("/requests/?model=nothing-like-it"),
    "running": _running,
    "running without a worker": _without_worker,
    "ready": _ready,
    "ready, another is live": _second_version,
    "signed once": _signed_once,
    "signed": _signed,
    "stopped": _stopped,
    "waiver asked": _waiver,
    "returned": _returned,
    "check": _check,
    "permit": _permit,
    "promotion form": _promote,
    "policies": lambda people: (people.auditor, "/policies/"),
    "policy": lambda people: (people.auditor, "/policies/house/"),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_and_no_wider_than_its_window(name: str, people: House, browser_page: Tabs) -> None:
    user, address = PAGES[name](people)
    page = browser_page(user=user)
    page.goto(address)

    for scheme, width in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        assert violations(page) == [], (scheme, width)
        assert overhang(page) == 0, (scheme, width)


def test_the_button_to_sign_is_reached_on_a_low_screen(people: House, browser_page: Tabs) -> None:
    user, address = _second_version(people)
    page = browser_page(user=user)
    page.set_viewport_size({"width": 1440, "height": 560})
    page.goto(address)

    page.mouse.move(1300, 300)
    page.mouse.wheel(0, 500)

    expect(page.locator("#sign button[type=submit]")).to_be_in_viewport(ratio=1)
    assert page.evaluate("scrollY") == 0, "the rail scrolls by itself"


def test_a_phone_has_a_bar_that_leads_to_signing(people: House, browser_page: Tabs) -> None:
    user, address = _ready(people)
    page = browser_page(user=user, width=390)
    page.goto(address)

    page.locator(".signbar").get_by_role("link", name="Sign").click()

    expect(page.locator(".sign__options")).to_be_in_viewport()


def test_on_paper_there_is_the_record_and_nothing_to_press(people: House, browser_page: Tabs) -> None:
    user, address = _ready(people)
    page = browser_page(user=user)
    page.goto(address)

    page.emulate_media(media="print")

    for gone in (".masthead", ".foot", ".signbar", "#sign button", "#sign input[type=password]", ".docket__tools"):
        assert not page.locator(gone).first.is_visible(), gone
    for there in ("h1", "#s1", "#s6", "#requirements", "#signatures", ".sign__statement"):
        assert page.locator(there).is_visible(), there
