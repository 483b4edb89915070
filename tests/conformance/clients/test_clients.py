"""The clients people have, each in an interpreter of its own, against one running installation.

The releases: the last MLflow 2, and the newest MLflow 3 that installs (``requirements/clients``). What they do is in
``suite``, which runs once in each; every scenario of it is a test here. If the development environment holds yet
another release, it plays too.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

from config.runtime.account import database_account
from config.runtime.postgres import temporary_parent
from tests.conformance.clients.environments import LOCKS, CannotInstall, interpreter
from tests.journeys.house import ROOT, House
from tests.waiting import until

pytestmark = [pytest.mark.journey, pytest.mark.timeout(900)]

SUITE: Final = Path(__file__).with_name("suite")
_SCENARIO: Final = re.compile(r"^@scenario\ndef (\w+)", re.MULTILINE)
SCENARIOS: Final = [name for file in sorted(SUITE.glob("*.py")) for name in _SCENARIO.findall(file.read_text())]
NEEDS_MORE_THAN_DEV: Final = {"lightgbm_model"}
_PINNED: Final = re.compile(r"^mlflow==([\d.]+)", re.MULTILINE)
RELEASES: Final = {_PINNED.findall(lock.read_text())[0]: lock.stem for lock in sorted(LOCKS.glob("mlflow-*.txt"))}
HERE: Final = version("mlflow")
PLAYED: Final = [*RELEASES, *({HERE} - RELEASES.keys())]
TOKENS: Final = """
from audit.actors import SYSTEM
from governance.demo.people import accounts
from registry.models import User
from registry.services import access
accounts()
user = User.objects.get(username="ds-1")
for scope in ("write", "read"):
    print("token", access.issue_token(user=user, name=scope, days=1, by=SYSTEM, scope=scope)[1])
"""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of the suite in one release, and what its own models are called."""

    release: str
    prefix: str
    wrong: dict[str, str]


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """An installation with the policy that comes with the product, and one model for each release that nothing gates."""
    parent = temporary_parent(database_account())
    house = House(parent, settings={"UNGOVERNED_MODELS": ",".join(f"free-{release}" for release in PLAYED)})
    try:
        house.start("up")
        yield house
    finally:
        house.stop()
        shutil.rmtree(parent)


@pytest.fixture(scope="module")
def tokens(house: House) -> list[str]:
    """A contributor's tokens: one that may write, one that may read."""
    told = house.manage("shell", "--no-imports", "-c", TOKENS)
    found = re.findall(r"^token (\S+)$", told.stdout, re.MULTILINE)
    assert len(found) == 2, told.stdout
    return found


@pytest.fixture(scope="module")
def played(
    house: House, tokens: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Played]]:
    """What came of the suite in a release. All releases play at once, at the first question."""
    folders = {release: tmp_path_factory.mktemp("client") for release in PLAYED}
    running: dict[str, tuple[str, subprocess.Popen[bytes]]] = {}
    unavailable: dict[str, str] = {}
    for release in PLAYED:
        try:
            python = Path(sys.executable) if release not in RELEASES else interpreter(RELEASES[release])
        except CannotInstall as reason:
            unavailable[release] = str(reason)
            continue
        prefix = f"m-{uuid.uuid4().hex[:8]}"
        asked = {"prefix": prefix, "free": f"free-{release}", "reading_token": tokens[1]}
        running[release] = prefix, _start(python, asked, house.url, tokens[0], folders[release])

    @cache
    def result(release: str) -> Played:
        if release in unavailable:
            pytest.skip(f"MLflow {release} cannot be fetched here: {unavailable[release]}")
        prefix, process = running[release]
        assert process.wait() == 0, (folders[release] / "said").read_text()[-4000:]
        found = json.loads((folders[release] / "answer.json").read_text())
        return Played(found["release"], prefix, found["scenarios"])

    yield result
    for _, process in running.values():
        process.kill()
        process.wait()


def _start(python: Path, asked: dict[str, str], url: str, token: str, folder: Path) -> "subprocess.Popen[bytes]":
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ} | {
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "MLFLOW_TRACKING_URI": url,
        "MLFLOW_TRACKING_TOKEN": token,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }
    told = json.dumps({**asked, "answer": str(folder / "answer.json")})
    with (folder / "said").open("wb") as said:
        return subprocess.Popen(
            [str(python), "-m", "tests.conformance.clients.suite", told],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )


@pytest.mark.parametrize("release", PLAYED)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_client_works_as_documented(played: Callable[[str], Played], release: str, scenario: str) -> None:
    if release not in RELEASES and scenario in NEEDS_MORE_THAN_DEV:
        pytest.skip("needs a library that the development environment does not have")
    result = played(release)
    assert result.release == release
    assert result.wrong[scenario] == ""


@pytest.mark.parametrize("release", PLAYED)
def test_a_refusal_is_asked_for_once(house: House, played: Callable[[str], Played], release: str) -> None:
    """Retries of a refusal would each leave an entry: the scenario is refused three times, by three calls."""
    result = played(release)

    def refusals() -> list[tuple[object, ...]]:
        with house.superuser() as server:
            waiting = server.execute("SELECT count(*) FROM audit_inbox").fetchone()
            if waiting != (0,):
                return []
            return server.execute(
                "SELECT canon::jsonb #>> '{facts,verb}', canon::jsonb #>> '{facts,code}' FROM audit_entry"
                " WHERE action = 'gate.refused' AND canon LIKE %s ORDER BY index",
                [f'%"{result.prefix}-governed%'],
            ).fetchall()

    assert until(refusals, what="the log to have the refusals", seconds=30) == [
        ("set_alias", "gate.no_permit"),
        ("set_stage", "gate.no_permit"),
        ("set_version_tag", "gate.tag"),
    ]


def test_the_releases_are_those_people_have() -> None:
    """The last of MLflow 2, and of MLflow 3 nothing older than what the tracking process runs."""

    def numbers(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in text.split("."))

    assert any(numbers(release)[:2] == (2, 22) for release in RELEASES)
    assert max(map(numbers, RELEASES)) >= numbers(HERE)
