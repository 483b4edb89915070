"""A person's finding in a real browser: accessible, narrow enough, by keyboard, without scripts, and the file a download."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from governance.models import CheckRun
from registry.models import User
from registry.roles import Role
from tests.browser.conftest import Tabs
from tests.browser.looks import LOOKS, overhang, violations
from tests.factories import governance as make
from tests.governance.findings.conftest import POLICY

SCRIPT = """\
  - use: script
    id: script.share
    params:
      script: |
        import json, sys
        # a line that is longer than a telephone is wide, so that it must scroll within its own box and not the page
        print(sys.argv)
"""


@pytest.fixture
def validator(browser_page: Tabs, keys_dir: Path, artifact_root: Path) -> User:
    """A validator, and a request that waits for a finding; its instructions have words without a place to break."""
    make.policy(POLICY.replace("for its use?", f"for its use? {'word_' * 40}").replace("card: [", f"{SCRIPT}card: ["))
    scientist = make.person("scientist", Role.CONTRIBUTOR)
    model = make.registered_model(scientist)
    make.finish_all(make.request(make.sealed_version(model, scientist), scientist))
    return make.person("validator", Role.VALIDATOR)


def address(key: str = "conceptual.soundness") -> str:
    run = CheckRun.objects.select_related("request").get(key=key)
    return f"/requests/{run.request.ref}/checks/{run.pk}/"


@pytest.mark.parametrize("name", ["awaited", "refused", "recorded", "script", "request", "inbox"])
def test_each_page_is_accessible_and_no_wider_than_its_window(name: str, validator: User, browser_page: Tabs) -> None:
    page = browser_page(user=validator)
    page.goto(address("script.share") if name == "script" else address())
    if name == "refused":
        page.get_by_role("button", name="Record the finding").evaluate("button => button.form.noValidate = true")
        page.get_by_role("button", name="Record the finding").click()
        expect(page.get_by_text("Pick the finding.")).to_be_visible()
    if name == "recorded":
        page.get_by_label("Pass:").check()
        page.get_by_label("What was found").fill("The method is right. " * 30)
        page.get_by_label("File").set_input_files(
            {"name": "a-long-name-" * 8 + ".pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7"}
        )
        page.get_by_role("button", name="Record the finding").click()
        expect(page.get_by_text("Recorded by")).to_be_visible()
    if name == "request":
        page.goto(f"/requests/{CheckRun.objects.first().request.ref}/")  # type: ignore[union-attr]
    if name == "inbox":
        page.goto("/")
        expect(page.get_by_role("heading", name="Findings to record")).to_be_visible()
    for scheme, width in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        assert violations(page) == [], (scheme, width)
        assert overhang(page) == 0, (scheme, width)


def test_it_is_recorded_by_keyboard_alone(validator: User, browser_page: Tabs) -> None:
    page = browser_page(user=validator)
    page.goto(address())
    page.get_by_label("Pass:").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.type("Its assumptions do not hold.")
    page.keyboard.press("Tab")
    expect(page.get_by_label("File")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your finding on")).to_be_visible()
    assert CheckRun.objects.get(category="manual").verdict == "fail"


def test_it_is_recorded_without_scripts_and_the_file_is_downloaded(validator: User, browser_page: Tabs) -> None:
    page = browser_page(user=validator, script=False)
    page.goto(address())
    page.get_by_label("Inconclusive:").check()
    page.get_by_label("What was found").fill("The document is missing.")
    page.get_by_label("File").set_input_files({"name": "memo.txt", "mimeType": "text/plain", "buffer": b"A memo."})
    page.get_by_role("button", name="Record the finding").click()
    expect(page.get_by_text("The document is missing.")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="memo.txt").click()
    assert download.value.suggested_filename == "memo.txt"
    assert Path(download.value.path()).read_bytes() == b"A memo."
    assert CheckRun.objects.get(category="manual").verdict == "inconclusive"
