"""What every page must be: accessible by axe's rules, and no wider than the window."""

from typing import Final, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

LOOKS: Final[tuple[tuple[Literal["light", "dark"], int], ...]] = (("light", 1440), ("dark", 320))
"""Colours depend on the scheme and shapes on the width, so each of the four is looked at once."""
RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> list[str]:
    """What axe-core objects to (WCAG 2.0 to 2.2 A and AA, best practice), each with the first places."""
    found = Axe().run(page, options={"runOnly": RULES, "resultTypes": ["violations"]}).response["violations"]
    return [f"{rule['id']}: {[node['html'][:160] for node in rule['nodes'][:3]]}" for rule in found]


def overhang(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return int(wide)
