"""The audit log in a real browser: accessible, narrow enough, searched and opened without leaving the list."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from audit.keys import ensure_keys, ledger_key
from audit.models import Checkpoint
from registry.models import User
from registry.roles import Role
from tests.browser.conftest import Tabs
from tests.browser.looks import LOOKS, overhang, violations
from tests.factories import pages as make
from tests.factories.audit import integrate, touch

PAGES = {
    "log": "/audit/",
    "log, none found": "/audit/?about=nothing.like:it",
    "log, bad search": "/audit/?since=2026-02-02&until=2026-02-01",
    "entry": "/audit/3/",
}


@pytest.fixture
def auditor(browser_page: Tabs, keys_dir: Path) -> User:
    """An auditor, and a log of a few dozen entries."""
    ensure_keys(keys_dir)
    auditor = make.person("auditor", Role.AUDITOR)
    for number in range(30):
        touch(
            f"thing-{number % 3}", number=number, note="a long text without a place to break it".replace(" ", "_") * 3
        )
    integrate(key=ledger_key())
    return auditor


def damage() -> None:
    """A checkpoint that nobody signed."""
    last = Checkpoint.objects.latest("size")
    Checkpoint.objects.bulk_create([Checkpoint(size=last.size + 1, root=bytes(32), note=last.note, at=last.at)])


@pytest.mark.parametrize("name", [*PAGES, "broken"])
def test_a_page_is_accessible_and_no_wider_than_its_window(name: str, auditor: User, browser_page: Tabs) -> None:
    if name == "broken":
        damage()
    page = browser_page(user=auditor)
    page.goto(PAGES.get(name, "/audit/"))
    if name == "log":
        page.locator("#e3 a").click()
        expect(page.locator("#e3 .edetail")).to_be_visible()

    for scheme, width in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        assert violations(page) == [], (scheme, width)
        assert overhang(page) == 0, (scheme, width)


def test_an_entry_opens_below_its_row_and_closes_again(auditor: User, browser_page: Tabs) -> None:
    page = browser_page(user=auditor)
    page.goto("/audit/")
    link, detail = page.locator("#e7 .event a"), page.locator("#e7 .edetail")

    link.focus()
    page.keyboard.press("Enter")
    expect(detail).to_contain_text("Proof that entry 7 is in the log")
    expect(link).to_be_focused()
    expect(link).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".htmx-added, .htmx-settling")).to_have_count(0)
    page.keyboard.press("Enter")

    expect(detail).to_have_count(0)
    expect(link).to_be_focused()
    assert page.url.endswith("/audit/")


def test_a_search_fills_the_list_and_the_address_follows(auditor: User, browser_page: Tabs) -> None:
    page = browser_page(user=auditor)
    page.goto("/audit/")

    page.get_by_label("Action").select_option("test.touched")
    expect(page.locator(".event")).to_have_count(30)
    page.get_by_label("About").fill("test.thing:thing-1")
    page.get_by_label("About").press("Enter")

    expect(page.locator(".event")).to_have_count(10)
    page.reload()
    assert page.locator(".event").count() == 10
    assert page.get_by_label("Action").input_value() == "test.touched"


def test_without_a_script_the_log_is_searched_and_read(auditor: User, browser_page: Tabs) -> None:
    page = browser_page(user=auditor, script=False)
    page.goto("/audit/")

    page.get_by_label("About").fill("test.thing:thing-1")
    page.get_by_role("button", name="Search").click()
    assert page.locator(".event").count() == 10
    page.locator(".event a").first.click()

    assert page.get_by_text("The proof that it is in the log holds.").is_visible()


def test_a_log_that_breaks_is_told_on_a_page_that_is_open(auditor: User, browser_page: Tabs) -> None:
    page = browser_page(user=auditor)
    page.goto("/policies/")
    assert page.get_by_text("The log does not verify").count() == 0
    damage()

    page.evaluate("htmx.ajax('GET', '/audit/status/', {target: '#log-status', swap: 'outerHTML'})")

    expect(page.get_by_role("alert").filter(has_text="nobody can sign")).to_be_visible()
    expect(page.locator("#log-status")).to_have_attribute("data-state", "broken")
