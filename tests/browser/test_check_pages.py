"""The page of a check, and the catalogue, in a real browser: in every state, by keyboard, and without scripts."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from governance.models import CheckRun
from tests.browser import check_states as states
from tests.browser.conftest import Tabs
from tests.browser.evidence import House, house
from tests.browser.looks import LOOKS, overhang, violations

PHONE = 390


@pytest.fixture
def people(browser_page: Tabs, keys_dir: Path) -> House:
    """The house, with a version to ask for."""
    return house(keys_dir)


def address(run: CheckRun) -> str:
    return f"/requests/{run.request.ref}/checks/{run.pk}/"


@pytest.mark.parametrize("name", [*states.STATES, "catalogue", "help", "help-of-a-finding"])
def test_it_is_accessible_and_no_wider_than_the_window(name: str, people: House, browser_page: Tabs) -> None:
    pages = {
        "catalogue": "/checks/",
        "help": "/checks/explainability.shapley/",
        "help-of-a-finding": "/checks/manual/",
    }
    place = pages.get(name) or address(states.STATES[name](people))
    page = browser_page(user=people.scientist)
    page.goto(place)
    for scheme, width in (*LOOKS, ("dark", 1440), ("light", PHONE)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        if pictures := os.environ.get("PICTURES"):
            page.screenshot(path=f"{pictures}/check-{name}-{scheme}-{width}.png", full_page=True)
        assert violations(page) == [], (scheme, width)
        assert overhang(page) == 0, (scheme, width)


def test_what_is_wider_than_a_phone_keeps_its_size_and_is_scrolled_by_keyboard(
    people: House, browser_page: Tabs
) -> None:
    page = browser_page(user=people.first, width=PHONE)
    page.goto(address(states.finished(people)))
    regions = page.locator(".scroll-x, .picture__scroll")
    expect(page.locator(".picture svg")).to_have_count(len(states.PICTURES) - 1)
    wide = [one for one in regions.all() if one.evaluate("box => box.scrollWidth > box.clientWidth")]
    assert len(wide) > 3
    for region in wide:
        region.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("box => box.scrollLeft > 0", arg=region.element_handle())
    words = page.locator(".picture svg text").first
    assert words.bounding_box()["height"] >= 10  # type: ignore[index]


def test_without_scripts_everything_is_there(people: House, browser_page: Tabs) -> None:
    run = states.finished(people)
    page = browser_page(user=people.first, script=False)
    page.goto(address(run))
    for heading in (
        "What was found",
        "Figures",
        "Pictures",
        "A wide table",
        "What the policy asks",
        "Limits of validity",
        "Sandbox",
    ):
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    expect(page.get_by_role("img", name="Two curves above the diagonal.")).to_be_visible()
    expect(page.get_by_text("It could not be drawn")).to_be_visible()
    expect(page.get_by_text("20 more rows are in the evidence file.")).to_be_visible()
    page.get_by_role("link", name="All about this check").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Performance of a binary classifier")
    expect(page.get_by_text("interval by DeLong")).to_be_visible()


def test_a_check_that_runs_is_cancelled_without_scripts(people: House, browser_page: Tabs) -> None:
    run = states.running(people)
    page = browser_page(user=people.scientist, script=False)
    page.goto(address(run))
    expect(page.get_by_text("40 %")).to_be_visible()
    page.get_by_role("button", name="Cancel this check").click()
    expect(page.get_by_text("It did not run to its end")).to_be_visible()
    assert CheckRun.objects.get(pk=run.pk).verdict == CheckRun.Verdict.ERROR
