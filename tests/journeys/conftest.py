"""One installation for all journeys, as ``make demo`` leaves it: two requests decided by checks, none signed."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.runtime.account import database_account
from config.runtime.postgres import temporary_parent
from tests.browser.conftest import chromium_path
from tests.journeys.camera import PASSES
from tests.journeys.doors import Api, new_token, signed_in
from tests.journeys.house import ROOT, House

CHECK_SECONDS = 30
MEMORY_MB = 1024


@dataclass(frozen=True, slots=True)
class Album:
    """The pictures by name as PNG, and what the browser's console complained about; no pictures without a browser."""

    pictures: dict[str, bytes]
    complaints: list[str]


def album(house: House) -> Album:
    """Take all pictures of a running demonstration."""
    path = chromium_path()
    if not path:
        return Album({}, [])
    with tempfile.TemporaryDirectory() as folder:
        asked = json.dumps({"url": house.url, "passwords": house.passwords(), "folder": folder, "chromium": path})
        command = [sys.executable, "-m", "tests.journeys.camera"]
        told = subprocess.run(command, cwd=ROOT, input=asked, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
        return Album({file.stem: file.read_bytes() for file in Path(folder).glob("*.png")}, json.loads(told.stdout))


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory of this test's own that the database's system user can enter."""
    parent = temporary_parent(database_account())
    yield parent
    shutil.rmtree(parent)


@pytest.fixture(scope="session")
def untouched() -> Iterator[House]:
    """The demonstration, not signed, and still running. Its limits are small, so that hostile models meet them soon."""
    parent = temporary_parent(database_account())
    house = House(parent, settings={"CHECK_TIME_LIMIT": str(CHECK_SECONDS), "SANDBOX_MEMORY_MB": str(MEMORY_MB)})
    try:
        house.start("demo")
        yield house
    finally:
        house.stop()
        shutil.rmtree(parent)


@pytest.fixture(scope="session")
def pictures(untouched: House) -> Album:
    """What it looks like before anybody does anything."""
    return album(untouched)


@pytest.fixture(scope="session")
def house(untouched: House, pictures: Album) -> House:
    """The installation, free to be used: the pictures are taken."""
    return untouched


@pytest.fixture(scope="session")
def scientist(house: House) -> Iterator[Api]:
    with closing(Api(house, new_token(house, "ds-1"))) as api:
        yield api


@pytest.fixture(scope="session")
def auditor(house: House) -> Iterator[Api]:
    with closing(Api(house, new_token(house, "auditor-1"))) as api:
        yield api


@pytest.fixture(scope="session")
def unsigned(house: House) -> str:
    """The request that passed its policy, as long as nobody has signed it."""
    return PASSES


@pytest.fixture(scope="session")
def signed(house: House, unsigned: str, auditor: Api) -> str:
    """The same request, signed by both officers on its page."""
    for officer in ("officer-1", "officer-2"):
        with signed_in(house, officer) as browser:
            browser.send(
                f"/requests/{unsigned}/",
                "sign",
                {"decision": "approve", "meaning": "approval", "comment": "", "secret": house.passwords()[officer]},
            )
    assert auditor.get(f"/requests/{unsigned}")["state"] == "approved"
    return unsigned
