"""The pictures of the README: taken from the running demonstration, written to docs/screenshots with SCREENSHOTS=1."""

import os
import struct
from typing import Final

import pytest

from tests.journeys.camera import HEIGHT, SHOTS
from tests.journeys.conftest import Album
from tests.journeys.house import ROOT

FOLDER: Final = ROOT / "docs" / "screenshots"
LARGEST: Final = 200 * 1024
pytestmark = [pytest.mark.journey, pytest.mark.browser, pytest.mark.timeout(600)]


def test_every_screen_is_shown_without_a_complaint_and_written_when_asked(pictures: Album) -> None:
    if not pictures.pictures:
        pytest.skip("no Chromium here: install it (Debian: apt-get install chromium) or name one with CHROMIUM=/path")
    assert pictures.complaints == []
    assert set(pictures.pictures) == {shot.name for shot in SHOTS}
    for shot in SHOTS:
        content = pictures.pictures[shot.name]
        assert struct.unpack(">II", content[16:24]) == (shot.width, HEIGHT), "the header of a PNG says its size"
        assert len(content) < LARGEST
        if os.environ.get("SCREENSHOTS"):
            FOLDER.mkdir(parents=True, exist_ok=True)
            (FOLDER / f"{shot.name}.png").write_bytes(content)


def test_the_readme_shows_no_other_pictures() -> None:
    shown = {line.split("](docs/screenshots/")[1].split(".png")[0]
             for line in (ROOT / "README.md").read_text().splitlines() if "](docs/screenshots/" in line}  # fmt: skip
    assert shown <= {shot.name for shot in SHOTS}
    assert all((FOLDER / f"{name}.png").is_file() for name in shown)
