"""The registry's pages in a real browser: accessible, narrow enough, usable by keyboard and without a script."""

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from audit.keys import ensure_keys, ledger_key
from registry.models import Node, User
from registry.roles import Role
from registry.services import access, catalog
from tests.browser.conftest import Tabs
from tests.browser.looks import overhang, violations
from tests.factories import pages as make
from tests.factories.audit import integrate

VERSION = "/models/credit-default/versions/1/"
PAGES = {
    "sign-in": "/sign-in/",
    "models": "/models/",
    "models, none found": "/models/?q=nothing-like-it",
    "model": "/models/credit-default/",
    "version": VERSION,
    "version, lineage": f"{VERSION}lineage/",
    "version, checks": f"{VERSION}checks/",
    "version, artifacts": f"{VERSION}artifacts/",
    "version, card": f"{VERSION}card/",
    "version, audit": f"{VERSION}audit/",
    "version, pending": "/models/credit-default/versions/2/",
    "lineage": "/lineage/",
    "lineage, node": "the data set",
    "account": "/account/",
    "first run": "/first-run/",
    "not found": "/models/no-such-model/",
}


@pytest.fixture
def ada(browser_page: Tabs, keys_dir: Path) -> User:
    """A contributor and auditor with two models; the log is whole."""
    ensure_keys(keys_dir)
    ada = make.person("ada", Role.CONTRIBUTOR, Role.AUDITOR, display_name="Ada Lovelace")
    model = make.model(ada, use_case="Default of card accounts", tags={"region": "all"})
    version = make.sealed_version(model, ada, parameters={"C": "0.1"}, metrics={"auc": 0.784}, run_id="run-1")
    make.record_lineage(version)
    make.pending_version(model, ada)
    make.model(ada, "x" * 200, use_case="A very long name without a place to break it")
    catalog.set_alias(model=model, alias="champion", number=1, by=make.actor(ada))
    access.issue_token(user=ada, name="training cluster", by=make.actor(ada))
    integrate(key=ledger_key())
    return ada


def address(name: str) -> str:
    """Where a page of PAGES is."""
    return f"/lineage/{Node.objects.get(kind=Node.Kind.DATASET).pk}/" if name == "lineage, node" else PAGES[name]


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_accessible_and_no_wider_than_its_window(
    name: str, scheme: Literal["light", "dark"], ada: User, browser_page: Tabs
) -> None:
    page = browser_page(user=None if name == "sign-in" else ada, scheme=scheme)
    page.goto(address(name))

    for width in (1440, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert violations(page) == []
        assert overhang(page) == 0


def focused(page: Page) -> str:
    """The words of what has the focus."""
    return str(page.evaluate("(document.activeElement.innerText || document.activeElement.name || '').trim()"))


def test_the_first_tab_leads_past_the_masthead(ada: User, browser_page: Tabs) -> None:
    page = browser_page(user=ada)
    page.goto("/models/")

    page.keyboard.press("Tab")
    assert focused(page) == "Skip to content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")

    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_the_masthead_is_reached_in_reading_order(ada: User, browser_page: Tabs) -> None:
    page = browser_page(user=ada)
    page.goto("/models/")

    reached = []
    for _ in range(11):
        page.keyboard.press("Tab")
        reached.append(focused(page))

    places = ["Inbox", "Models", "Data sets", "Experiments", "Lineage", "Policies", "Reports", "Audit log"]
    assert reached == ["Skip to content", "Countersign", *places, "q"]


def test_slash_searches_and_j_and_k_walk_the_rows(ada: User, browser_page: Tabs) -> None:
    page = browser_page(user=ada)
    page.goto("/models/")

    page.keyboard.press("j")
    assert focused(page) == "credit-default"
    page.keyboard.press("j")
    assert focused(page) == "x" * 200
    page.keyboard.press("k")
    page.keyboard.press("/")
    page.keyboard.type("j/k credit-default v1")
    assert page.locator("#search").input_value() == "j/k credit-default v1", "keys are letters where one types"
    page.locator("#search").fill("credit-default v1")
    page.keyboard.press("Enter")

    expect(page).to_have_url(f"{browser_page.server}{VERSION}")


def test_typing_filters_the_list_and_the_address_follows(ada: User, browser_page: Tabs) -> None:
    page = browser_page(user=ada)
    page.goto("/models/")

    page.get_by_label("Filter models").press_sequentially("credit")

    expect(page.locator("#results tbody tr")).to_have_count(1)
    expect(page).to_have_url(f"{browser_page.server}/models/?q=credit&view=")
    assert focused(page) == "q", "the focus stays where one types"
    page.reload()
    assert page.locator("#results tbody tr").count() == 1


def test_a_tier_that_is_picked_filters_at_once(ada: User, browser_page: Tabs) -> None:
    page = browser_page(user=ada)
    page.goto("/models/")

    page.get_by_label("Tier 2").check()

    expect(page.get_by_text("No model is of this kind")).to_be_visible()


def test_the_lineage_drawing_is_walked_with_arrows(ada: User, browser_page: Tabs) -> None:
    page = browser_page(user=ada)
    page.goto(f"{VERSION}lineage/")

    page.locator('[data-node][data-to=""]').focus()
    page.keyboard.press("ArrowLeft")

    assert "run-1" in focused(page)


def test_without_a_script_everything_is_still_there(ada: User, browser_page: Tabs) -> None:
    page = browser_page(user=ada, script=False)

    page.goto("/models/")
    page.get_by_label("Filter models").fill("credit")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="credit-default").click()
    page.get_by_label("Limitations").fill("Short histories rank poorly.")
    page.get_by_role("button", name="Save the card").click()
    assert page.get_by_text("The card is saved.").is_visible()
    page.get_by_role("link", name="v1", exact=True).first.click()
    for tab, words in (("Lineage", "accounts"), ("Artifacts", "model.skops"), ("Card", "Short histories rank poorly.")):
        page.get_by_role("navigation", name="Version").get_by_role("link", name=tab).click()
        assert page.get_by_text(words).first.is_visible()
    page.goto("/account/")
    page.get_by_role("button", name="Revoke").click()
    assert page.get_by_text("The token training cluster is revoked").is_visible()


def test_the_first_run_page_changes_by_itself_when_a_model_arrives(browser_page: Tabs) -> None:
    ada = make.person("ada", Role.CONTRIBUTOR)
    page = browser_page(user=ada)
    page.goto("/models/")
    expect(page.get_by_role("heading", level=1)).to_have_text("The register is empty")
    assert violations(page) == []

    make.model(ada, "first-model")

    expect(page.get_by_text("first-model is registered.")).to_be_visible()


def test_a_new_token_is_copied_and_gone_on_the_next_visit(ada: User, browser_page: Tabs) -> None:
    page = browser_page(user=ada)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/account/")

    page.get_by_label("What it is for").fill("laptop")
    page.get_by_role("button", name="Make a token").click()
    secret = page.locator("#new-token").inner_text()
    page.locator("button[data-copy]").click()
    expect(page.locator("#announce")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == secret
    page.goto("/account/")

    assert page.get_by_text(secret).count() == 0
