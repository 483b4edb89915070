"""Signing in a real browser: by keyboard, without a script, and with everything that goes wrong under an open page."""

import re
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django import Settings

from audit.guard import Guard, Head
from governance.models import Decision, Permit, PromotionRequest, WorkerHeartbeat
from governance.services import checks
from registry.services import catalog
from tests.browser.conftest import Tabs
from tests.browser.evidence import House, asked, finish, house, measured
from tests.factories import governance as make


@pytest.fixture
def people(browser_page: Tabs, keys_dir: Path) -> House:
    """The house, with a version to ask for."""
    return house(keys_dir)


def opened(tabs: Tabs, people: House, promotion: PromotionRequest, *, script: bool = True) -> Page:
    """The decision screen, as the first officer sees it."""
    page = tabs(user=people.first, script=script)
    page.goto(f"/requests/{promotion.ref}/")
    return page


def fill_and_sign(page: Page, password: str = make.PASSWORD) -> None:
    page.get_by_label("Approve", exact=True).check()
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign and approve").click()


def test_the_keyboard_alone_signs(people: House, browser_page: Tabs) -> None:
    page = opened(browser_page, people, measured(asked(people)))

    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to signing"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.get_by_label("Approve", exact=True).is_checked()
    for _ in range(6):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "comment":
            page.keyboard.type("I read §4. j k 1 s ?")
        if page.evaluate("document.activeElement.name") == "secret":
            break
    page.keyboard.type(make.PASSWORD)
    page.keyboard.press("Enter")

    expect(page.locator("#sign")).to_contain_text("You have signed")
    expect(page.locator("#signatures")).to_contain_text(people.first.username)
    decision = Decision.objects.get()
    assert (decision.outcome, decision.comment) == ("approve", "I read §4. j k 1 s ?")


def test_what_the_button_and_the_statement_say_follows_the_decision(people: House, browser_page: Tabs) -> None:
    page = opened(browser_page, people, measured(asked(people)))
    statement, button = page.locator(".sign__statement"), page.locator("#sign button[type=submit]")

    assert statement.inner_text().startswith("I decide on")
    for label, words, act in (
        ("Approve with conditions", "I approve, with conditions,", "Sign with conditions"),
        ("Return for changes", "I return", "Sign and return"),
        ("Reject", "I reject", "Sign and reject"),
    ):
        page.get_by_label(label).check()
        assert statement.inner_text().startswith(words)
        assert button.inner_text() == act
        assert page.locator("#id_conditions").is_visible() == (label == "Approve with conditions")


def test_a_wrong_password_is_said_beside_its_field_and_the_comment_stays(people: House, browser_page: Tabs) -> None:
    page = opened(browser_page, people, measured(asked(people)))
    page.get_by_label("Comment", exact=False).first.fill("I have read section 4.")

    fill_and_sign(page, "not my password")

    secret = page.get_by_label("Password")
    expect(secret).to_be_focused()
    expect(secret).to_have_attribute("aria-invalid", "true")
    described = str(secret.get_attribute("aria-describedby")).split()
    said = " ".join(page.locator(f"#{name}").inner_text() for name in described)
    assert "The password is wrong; 4 attempts are left." in said
    assert secret.input_value() == ""
    assert page.locator("#id_comment").input_value() == "I have read section 4."
    assert page.get_by_label("Approve", exact=True).is_checked()
    assert Decision.objects.count() == 0

    secret.fill(make.PASSWORD)
    secret.press("Enter")
    expect(page.locator("#sign")).to_contain_text("You have signed")


def test_evidence_that_changed_under_the_open_page_is_not_signed(people: House, browser_page: Tabs) -> None:
    promotion = measured(asked(people))
    page = opened(browser_page, people, promotion)
    catalog.update_model(
        model=people.version.model, card={"intended_use": "Something else."}, by=make.actor(people.scientist)
    )

    with page.expect_response(re.compile("/sign/")) as answer:
        fill_and_sign(page)

    assert answer.value.status == 409
    banner = page.get_by_role("alert").filter(has_text="Nothing was signed")
    expect(banner).to_be_focused()
    expect(banner).to_contain_text("The model card or the lineage changed")
    assert Decision.objects.count() == 0


def test_a_page_whose_checks_run_unlocks_signing_by_itself(people: House, browser_page: Tabs) -> None:
    promotion = asked(people)
    WorkerHeartbeat.objects.create(name="w", started_at=timezone.now(), seen_at=timezone.now())
    page = opened(browser_page, people, promotion)
    page.evaluate("window.untouched = true")
    expect(page.locator("#run-progress")).to_contain_text("0 of 4 jobs done")
    expect(page.locator("#sign")).to_contain_text("Signing opens when all checks are final")
    held = checks.claim(checks.due_of(promotion.pk)[0], owner="test-worker")
    assert held is not None
    checks.progress(held, 31, 50)
    expect(page.locator("#checks .check__progress").filter(has_text="62 %")).to_have_count(1)

    finish(held)
    measured(promotion)

    expect(page.locator("form#sign")).to_be_visible()
    expect(page.locator("#run-progress")).to_contain_text("All 3 checks pass.")
    expect(page.locator("#s4")).to_contain_text("women")
    expect(page.locator("#s5")).to_contain_text("income")
    expect(page.locator("#requirements")).to_contain_text("3 of 3 pass")
    assert page.evaluate("window.untouched"), "the page was never loaded again"
    fill_and_sign(page)
    expect(page.locator("#sign")).to_contain_text("You have signed")


def test_without_a_worker_the_page_says_that_nothing_is_lost(people: House, browser_page: Tabs) -> None:
    page = opened(browser_page, people, asked(people))

    assert page.get_by_role("status").filter(has_text="No worker is running").is_visible()


def test_without_a_script_two_people_sign(people: House, browser_page: Tabs) -> None:
    promotion = measured(asked(people))
    page = opened(browser_page, people, promotion, script=False)
    page.get_by_label("Password").fill("wrong")
    page.get_by_label("Approve", exact=True).check()
    page.get_by_label("Comment", exact=False).first.fill("Kept.")
    page.get_by_role("button", name="Sign and approve").click()
    assert page.get_by_text("The password is wrong; 4 attempts are left.").first.is_visible()
    assert page.locator("#id_comment").input_value() == "Kept."

    for officer in (people.first, people.second):
        page = browser_page(user=officer, script=False)
        page.goto(f"/requests/{promotion.ref}/")
        fill_and_sign(page)
        assert page.get_by_text(f"You approved {promotion.ref}.").is_visible()

    assert page.get_by_role("heading", name="Approved", exact=True).is_visible()
    assert page.get_by_text("Approved; the permit is being made").is_visible()
    make.issue()
    page.reload()
    assert page.get_by_role("heading", name="Countersigned").is_visible()
    page.locator("#sign").get_by_role("link", name="Permit").click()
    assert page.get_by_role("heading", level=1).inner_text().startswith(str(people.version))
    assert Permit.objects.get().state == "active"


def test_after_the_last_signature_the_page_waits_for_the_permit_and_shows_it(people: House, browser_page: Tabs) -> None:
    promotion = measured(asked(people))
    make.sign(promotion, people.second)
    page = opened(browser_page, people, promotion)
    fill_and_sign(page)
    expect(page.locator("#run-progress")).to_contain_text("the permit is being made")
    make.issue()
    expect(page.locator("#sign")).to_contain_text("Countersigned")
    expect(page.locator("#sign").get_by_role("link", name="Permit")).to_be_visible()


def test_a_text_field_that_was_resized_breaks_no_rule_of_the_page(people: House, browser_page: Tabs) -> None:
    page = opened(browser_page, people, measured(asked(people)))
    field = page.locator("#comment textarea")
    field.scroll_into_view_if_needed()
    box = field.bounding_box()
    assert box is not None
    corner = (box["x"] + box["width"] - 4, box["y"] + box["height"] - 4)
    page.mouse.move(*corner)
    page.mouse.down()
    page.mouse.move(corner[0], corner[1] + 50)
    page.mouse.up()
    assert "height" in str(field.get_attribute("style"))

    field.fill("Which sample is this? §4")
    page.get_by_role("button", name="Post").click()

    expect(page.locator("#activity")).to_contain_text("Which sample is this?")
    expect(page.locator("#comment textarea")).to_have_value("")


def test_a_log_that_broke_under_the_open_page_stops_signing(
    people: House, browser_page: Tabs, settings: Settings, tmp_path: Path
) -> None:
    page = opened(browser_page, people, measured(asked(people)))
    settings.DATA_DIR = tmp_path / "moved"
    Guard.default().write(Head(10_000, bytes(32)))

    fill_and_sign(page)

    expect(page.locator("#sign")).to_contain_text("Nothing was signed")
    expect(page.locator("#sign")).to_contain_text("Signing is off for everyone")
    page.goto("/")
    expect(page.get_by_role("alert").filter(has_text="nobody can sign")).to_be_visible()
    assert Decision.objects.count() == 0


def test_a_session_that_ended_under_the_open_page_leads_to_the_sign_in_page_and_back(
    people: House, browser_page: Tabs
) -> None:
    promotion = measured(asked(people))
    page = opened(browser_page, people, promotion)
    page.context.clear_cookies()

    page.locator("#comment textarea").fill("Am I still here?")
    page.evaluate("htmx.trigger('#activity', 'signed')")

    expect(page).to_have_url(f"{browser_page.server}/sign-in/?next=/requests/{promotion.ref}/")
