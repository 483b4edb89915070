"""People, erasure and retention in a real browser: accessible, and no wider than the window."""

from pathlib import Path

import pytest

from audit import keeping
from audit.actors import SYSTEM
from audit.keys import ensure_keys
from registry.roles import Role
from tests.browser.conftest import Tabs
from tests.browser.looks import LOOKS, overhang, violations
from tests.factories import pages as make


@pytest.mark.parametrize("name", ["people", "erase", "held", "retention", "release"])
def test_a_page_is_accessible_and_no_wider_than_its_window(name: str, browser_page: Tabs, keys_dir: Path) -> None:
    ensure_keys(keys_dir)
    admin = make.person("alma", Role.ADMINISTRATOR, Role.AUDITOR)
    ada, bob = make.person("ada"), make.person("bob")
    hold = keeping.set_hold(of="person", object_id=f"user:{bob.pk}", reason="Case 12, a long one", by=SYSTEM)
    keeping.set_hold(of="object", object_type="registry.modelversion", object_id="x" * 60, reason="Case", by=SYSTEM)
    keeping.set_rule(of="action", prefix="check.", days=400, basis="House rule 7", by=SYSTEM)
    addresses = {
        "people": "/people/",
        "erase": f"/people/{ada.pk}/erase/",
        "held": f"/people/{bob.pk}/erase/",
        "retention": "/audit/retention/",
        "release": f"/audit/retention/holds/{hold.pk}/release/",
    }
    page = browser_page(user=admin)
    page.goto(addresses[name])

    for scheme, width in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        assert violations(page) == [], (scheme, width)
        assert overhang(page) == 0, (scheme, width)
