"""``make demo`` as a stranger meets it: once, again, with signatures, on a port that is taken, and not as root."""

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from config.runtime.ports import LOOPBACK
from tests.journeys.house import ROOT, House
from tests.runtime.processes import alive

pytestmark = [pytest.mark.journey, pytest.mark.timeout(900)]
NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


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


def environment_of_nobody(place: Path) -> str:
    """The interpreter of an environment that an ordinary user can reach; skips where none can be made.

    Root's own may lie where only root can go. Then the same packages, by hard links, below a Python of the system's.
    """
    reach = [sys.executable, "-c", "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"]
    if subprocess.run([*AS_NOBODY, *reach], cwd=ROOT, capture_output=True, check=False).returncode == 0:
        return sys.executable
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    system = Path("/usr/bin", version)
    if not system.exists():
        pytest.skip(f"an ordinary user cannot reach {sys.executable}, and there is no {system}")
    library = place / "environment" / "lib" / version
    library.mkdir(parents=True)
    link = ["cp", "--archive", "--link", sysconfig.get_path("purelib"), str(library / "site-packages")]
    if subprocess.run(link, capture_output=True, check=False).returncode != 0:
        pytest.skip(f"the installed packages cannot be linked to {library}")
    (place / "environment" / "pyvenv.cfg").write_text(f"home = {system.parent}\ninclude-system-site-packages = false\n")
    python = place / "environment" / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(system)
    return str(python)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs these tests already: the others show it")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv (util-linux) to become an ordinary user")
def test_an_ordinary_user_runs_all_of_it_from_nothing(place: Path) -> None:
    python = environment_of_nobody(place)
    os.chown(place, NOBODY, NOBODY)
    house = House(place, settings={"HOME": str(place)}, prefix=AS_NOBODY, python=python)
    told = house.say("demo", "--signed", "--once")
    assert told.returncode == 0, told.stdout[-5000:]
    assert "VERIFIED" in told.stdout
    assert {path.lstat().st_uid for path in house.data_dir.rglob("*")} == {NOBODY}
    assert processes_on(place) == []
