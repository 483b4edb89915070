"""Signing in with a real browser."""

from tests.browser.conftest import Tabs
from tests.browser.looks import overhang, violations
from tests.factories.pages import PASSWORD, person


def test_a_person_signs_in_and_makes_a_token_without_a_script(browser_page: Tabs) -> None:
    person("ada")
    page = browser_page(script=False)

    page.goto("/account/")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("What it is for").fill("training cluster")
    page.get_by_role("button", name="Make a token").click()

    assert (page.locator("#new-token").text_content() or "").startswith("csn_")
    assert not page.get_by_role("button", name="Copy").is_visible(), "what needs a script is not shown"


def test_the_sign_in_page_is_accessible_in_both_colours_and_at_320_pixels(browser_page: Tabs) -> None:
    for width in (1440, 320):
        for scheme in ("light", "dark"):
            page = browser_page(width=width, scheme=scheme)
            page.goto("/sign-in/")

            assert violations(page) == []
            assert overhang(page) == 0
