"""Pages of a past day in a real browser: accessible, narrow enough, left and changed by keyboard, without a script."""

import re
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import expect

from audit.history.moments import found
from audit.keys import ensure_keys, ledger_key
from audit.models import Checkpoint
from registry.models import RegisteredModel, User
from registry.roles import Role
from registry.services import catalog
from tests.browser.conftest import Tabs
from tests.browser.looks import LOOKS, overhang, violations
from tests.factories import pages as make
from tests.factories.audit import integrate

PAGES = {
    "models": "/models/",
    "model": "/models/credit-default/",
    "version": "/models/credit-default/versions/1/",
    "version, lineage": "/models/credit-default/versions/1/lineage/",
    "version, audit": "/models/credit-default/versions/1/audit/",
    "roles": "/roles/",
    "policies": "/policies/",
    "inbox": "/",
}


@pytest.fixture
def ada(browser_page: Tabs, keys_dir: Path) -> User:
    """A contributor and auditor with a model that was called something else before."""
    ensure_keys(keys_dir)
    ada = make.person("ada", Role.CONTRIBUTOR, Role.AUDITOR, display_name="Ada Lovelace")
    model = make.model(ada, use_case="Default of card accounts")
    make.record_lineage(make.sealed_version(model, ada, metrics={"auc": 0.784}, run_id="run-1"))
    catalog.set_alias(model=model, alias="champion", number=1, by=make.actor(ada))
    integrate(key=ledger_key())
    return ada


@pytest.fixture
def then(ada: User) -> str:
    """The moment before everything was described anew."""
    moment = found(f"entry:{Checkpoint.objects.latest('size').size}").name
    model = RegisteredModel.objects.get()
    catalog.update_model(model=model, use_case="Something else", by=make.actor(ada))
    integrate(key=ledger_key())
    return moment


@pytest.mark.parametrize(("scheme", "width"), [*LOOKS, ("light", 390), ("dark", 390)])
@pytest.mark.parametrize("name", PAGES)
def test_everybody_can_read_it(  # noqa: PLR0917 - fixtures
    name: str,
    scheme: Literal["light", "dark"],
    width: int,
    ada: User,
    then: str,
    browser_page: Tabs,
    tmp_path: Path,
) -> None:
    page = browser_page(user=ada, scheme=scheme, width=width)

    page.goto(f"{PAGES[name]}?as_of={then}")

    expect(page.get_by_role("complementary", name="A past moment")).to_be_visible()
    page.screenshot(path=tmp_path / f"{name.replace(', ', '-')}-{scheme}-{width}.png", full_page=True)
    assert violations(page) == []
    assert overhang(page) == 0


def test_the_past_is_entered_walked_through_changed_and_left_without_a_script(
    ada: User, then: str, browser_page: Tabs
) -> None:
    page = browser_page(user=ada, script=False)
    page.goto("/models/")
    expect(page.get_by_text("Something else")).to_be_visible()

    page.goto(f"/models/?as_of={then}")
    expect(page.get_by_text("Default of card accounts")).to_be_visible()
    page.get_by_role("link", name="credit-default").click()
    expect(page).to_have_url(re.compile(rf"/models/credit-default/\?as_of={then}$"))

    page.get_by_label("Day, time with zone, or log size").fill("last Tuesday")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("is no moment")
    page.get_by_label("Day, time with zone, or log size").fill(then)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Default of card accounts")).to_be_visible()

    page.get_by_role("link", name="Back to today").click()
    expect(page).to_have_url(re.compile(r"/models/credit-default/$"))
    expect(page.get_by_text("Something else")).to_be_visible()


def test_the_foot_of_a_page_leads_to_its_past(ada: User, then: str, browser_page: Tabs) -> None:
    page = browser_page(user=ada)
    page.goto("/models/?tier=1")

    page.get_by_label("This page as of").fill(page.evaluate("new Date().toISOString().slice(0, 10)"))
    page.get_by_role("button", name="Show the past").click()

    expect(page.get_by_role("complementary", name="A past moment")).to_be_visible()
    expect(page).to_have_url(re.compile(r"tier=1&as_of="))
