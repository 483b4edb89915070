"""Pictures for the README, taken by Chromium in a process of its own (``python -m tests.journeys.camera``).

In its own process, because Playwright allows one event loop per thread and the browser tests may hold it already.
"""

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

WIDTH, HEIGHT, PHONE = 1440, 900, 390
PASSES: Final = "REQ-0002"
STOPPED: Final = "REQ-0003"


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: of which page, as whom, how wide and in which colours."""

    name: str
    path: str
    person: str = "officer-1"
    width: int = WIDTH
    scheme: str = "light"


SHOTS: Final = (
    Shot("decision-light", f"/requests/{PASSES}/"),
    Shot("inbox-light", "/"),
    Shot("stopped-light", f"/requests/{STOPPED}/"),
    Shot("audit-dark", "/audit/", person="auditor-1", scheme="dark"),
    Shot("lineage-light", "/models/diabetes-followup/versions/2/lineage/"),
    Shot("decision-phone", f"/requests/{PASSES}/", width=PHONE),
)


def take(chromium: Browser, shot: Shot, *, url: str, password: str, folder: Path) -> list[str]:
    """Sign in, open the page, take the picture; what the console said."""
    context = chromium.new_context(
        base_url=url,
        viewport={"width": shot.width, "height": HEIGHT},
        color_scheme="dark" if shot.scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto("/sign-in/")
    page.get_by_label("Username").fill(shot.person)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.goto(shot.path)
    page.wait_for_load_state("networkidle")
    taken = Image.open(io.BytesIO(page.screenshot()))
    taken.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        folder / f"{shot.name}.png", optimize=True
    )
    context.close()
    return [f"{shot.path}: {text}" for text in said]


def main() -> None:
    """Read what to photograph from standard input, write the pictures, print the complaints as JSON."""
    asked: dict[str, Any] = json.load(sys.stdin)
    complaints: list[str] = []
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=asked["chromium"], args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        ) as one,
    ):
        for shot in SHOTS:
            password = asked["passwords"][shot.person]
            complaints += take(one, shot, url=asked["url"], password=password, folder=Path(asked["folder"]))
    json.dump(complaints, sys.stdout)


if __name__ == "__main__":
    main()
