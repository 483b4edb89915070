"""Reports in a real browser: accessible, narrow enough, reached by keyboard, and shown by themselves when they are made."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from governance import tasks
from governance.models import PromotionRequest, ReportJob
from governance.services import reports
from registry.models import User
from registry.roles import Role
from tests.browser.conftest import Tabs
from tests.browser.looks import LOOKS, overhang, violations
from tests.factories import governance as make

PAGES = ["/reports/", "/reports/new/separation-of-duties/", "report", "waiting"]


@pytest.fixture
def auditor(browser_page: Tabs, keys_dir: Path, artifact_root: Path) -> User:
    """An auditor, and an approved request with words that are long and without a place to break."""
    make.policy()
    scientist = make.person("scientist", Role.CONTRIBUTOR)
    model = make.registered_model(scientist, card={"intended_use": "word_" * 60}, use_case="purpose-" * 30)
    ready = make.finish_all(make.request(make.sealed_version(model, scientist), scientist))
    make.approve(ready, [make.person("officer", Role.APPROVER), make.person("officer", Role.APPROVER)])
    make.integrate()
    return make.person("auditor", Role.AUDITOR)


def asked(auditor: User) -> ReportJob:
    """The auditor asked for the report of the request."""
    return reports.ask(
        report="request", parameters={"request": PromotionRequest.objects.get().ref}, by=make.actor(auditor)
    )


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_and_no_wider_than_its_window(name: str, auditor: User, browser_page: Tabs) -> None:
    address = name
    if not name.startswith("/"):
        job = asked(auditor)
        address = f"/reports/{job.pk}/"
        if name == "report":
            tasks.make_report(str(job.pk))
    page = browser_page(user=auditor)
    page.goto(address)

    for scheme, width in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        assert violations(page) == [], (scheme, width)
        assert overhang(page) == 0, (scheme, width)


def test_a_report_that_is_made_shows_itself(auditor: User, browser_page: Tabs) -> None:
    job = asked(auditor)
    page = browser_page(user=auditor)
    page.goto(f"/reports/{job.pk}/")
    expect(page.get_by_text("No worker is alive")).to_be_visible()

    tasks.make_report(str(job.pk))

    expect(page.get_by_role("heading", name="What this report rests on")).to_be_attached(timeout=20_000)
    expect(page.get_by_role("link", name="PDF/A-3, with the data attached")).to_be_visible()


def test_reports_are_reached_and_opened_by_keyboard(auditor: User, browser_page: Tabs) -> None:
    page = browser_page(user=auditor)
    page.goto("/audit/")
    page.keyboard.press("g")
    page.keyboard.press("r")
    expect(page.get_by_role("heading", name="Reports", exact=True)).to_be_visible()

    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Report of a promotion")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Request")).to_be_visible()
