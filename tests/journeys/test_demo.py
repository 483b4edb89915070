"""``make demo`` as a stranger meets it: once, again, with signatures, on a port that is taken, and not as root."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from config.runtime.ports import LOOPBACK
from tests.journeys.house import ROOT, House
from tests.runtime.processes import alive

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("journey"), pytest.mark.timeout(900)]
NOBODY = 65534


def processes_on(place: Path) -> list[int]:
    """Every process that was started with something below ``place`` in its arguments or its environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and alive(int(entry.name)):
            try:
                told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if str(place).encode() in told:
                found.append(int(entry.name))
    return found


def test_once_unsigned_and_then_again_signed_on_the_same_state(place: Path) -> None:
    house = House(place)
    first = house.say("demo", "--once")
    assert first.returncode == 0, first.stdout[-5000:]
    assert "waits for two signatures" in first.stdout
    assert "was stopped by its checks" in first.stdout
    assert "Selection rate ratio" in first.stdout
    assert "95 % interval" in first.stdout
    assert "VERIFIED" not in first.stdout
    for username, password in house.passwords().items():
        assert f"{username:12}  {password}" in first.stdout
    assert processes_on(place) == []

    second = house.say("demo", "--signed", "--once")
    assert second.returncode == 0, second.stdout[-5000:]
    assert "kept from an earlier run" in second.stdout
    assert "officer-1 signed REQ-0002" in second.stdout
    assert "officer-1 signed REQ-0001" not in second.stdout, "it was signed in the first run"
    assert "VERIFIED" in second.stdout
    assert "everything has stopped" in second.stdout
    assert processes_on(place) == []


def test_a_port_that_is_taken_is_named_before_anything_starts(place: Path) -> None:
    house = House(place)
    with socket.create_server((LOOPBACK, house.port)):
        told = house.say("demo", "--signed", "--once")
    assert told.returncode == 1
    assert f"Cannot listen on {LOOPBACK}:{house.port}" in told.stdout
    assert "PORT=" in told.stdout
    assert not (house.data_dir / "postgres").exists()


def as_ordinary_user() -> list[str]:
    """The words before a command that make an ordinary user run it; skips where that cannot be done."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0:
        pytest.skip("these tests are run by an ordinary user already: every other journey shows it")
    if setpriv is None:
        pytest.skip("no setpriv here (util-linux), so that root could become an ordinary user")
    words = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    ask = [sys.executable, "-c", "import django, subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"]
    # Where only root can read the interpreter, the one right to read everything is kept; the user is not root for that.
    for rights in ([], ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]):
        if subprocess.run([*words, *rights, *ask], cwd=ROOT, capture_output=True, check=False).returncode == 0:
            return [*words, *rights]
    pytest.skip(f"an ordinary user cannot read {sys.executable} and what it needs")


def test_an_ordinary_user_runs_all_of_it_from_nothing(place: Path) -> None:
    prefix = as_ordinary_user()
    os.chown(place, NOBODY, NOBODY)
    house = House(place, settings={"HOME": str(place)}, prefix=prefix)
    told = house.say("demo", "--signed", "--once")
    assert told.returncode == 0, told.stdout[-5000:]
    assert "VERIFIED" in told.stdout
    assert {path.stat().st_uid for path in house.data_dir.rglob("*")} == {NOBODY}
    assert processes_on(place) == []
