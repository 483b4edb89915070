"""A whole installation, started and ended as a person does it: ``python -m config.runtime up`` and its relatives."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from config.runtime.ports import LOOPBACK, free_port
from config.runtime.services import SERVICES, STOP_ORDER
from tests.runtime.processes import alive, descendants
from tests.waiting import until

ROOT: Final = Path(__file__).resolve().parents[2]
PROCESSES: Final = {"database", "broker", *(service.name for service in SERVICES)}
# The tests tell one story, in order, of one installation.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Machine:
    """One DATA_DIR and one PORT, and the commands a person gives there."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.port = free_port()
        self.output = place / "terminal"
        self.started: list[subprocess.Popen[bytes]] = []

    def environment(self, **changes: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {**kept, "DATA_DIR": str(self.place / "state"), "PORT": str(self.port), **changes}

    def up(self) -> "subprocess.Popen[bytes]":
        """Start and return when it says that it runs."""
        with self.output.open("wb") as terminal:
            process = subprocess.Popen(
                [sys.executable, "-m", "config.runtime", "up"],
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=terminal,
                stderr=subprocess.STDOUT,
            )
        self.started.append(process)

        def runs() -> bool:
            assert process.poll() is None, self.output.read_text()[-3000:]
            return "Countersign runs at" in self.output.read_text()

        until(runs, what="the installation to run", seconds=240)
        return process

    def say(self, *command: str, **changes: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "config.runtime", *command],
            cwd=ROOT,
            env=self.environment(**changes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def pids(self) -> dict[str, int]:
        """Return the pid of each process, as ``status`` prints them."""
        rows = re.findall(r"^  ([\w-]+) +ready +pid (\d+)", self.say("status").stdout, re.MULTILINE)
        return {name: int(pid) for name, pid in rows}


@pytest.fixture(scope="module")
def machine(module_place: Path) -> Iterator[Machine]:
    made = Machine(module_place)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(120)


@pytest.fixture
def running(machine: Machine) -> Machine:
    """The machine with an instance that runs; one is kept over the tests that leave it running."""
    if not machine.started or machine.started[-1].poll() is not None:
        machine.up()
    return machine


def variables_of(pid: int) -> dict[str, str]:
    """Return the environment a process was started with."""
    raw = Path("/proc", str(pid), "environ").read_bytes().decode()
    return dict(part.split("=", 1) for part in raw.split("\0") if "=" in part)


def test_every_process_is_ready_and_the_status_says_so(running: Machine) -> None:
    told = running.say("status")
    assert told.returncode == 0, told.stdout
    assert f"Countersign runs at http://{LOOPBACK}:{running.port}" in told.stdout
    assert set(running.pids()) == PROCESSES


def sockets_of(pid: int) -> set[str]:
    """The inodes of a process' open sockets."""
    found = set()
    for descriptor in Path("/proc", str(pid), "fd").iterdir():
        with suppress(FileNotFoundError):
            target = str(descriptor.readlink())
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found


def test_the_web_answers_on_the_loopback_and_nothing_listens_elsewhere(running: Machine) -> None:
    with socket.create_connection((LOOPBACK, running.port), timeout=5):
        pass
    inodes: set[str] = set()
    for pid in descendants(running.started[-1].pid):
        with suppress(FileNotFoundError):  # a process, or a descriptor of it, that has ended meanwhile
            inodes |= sockets_of(pid)
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                listening.append(fields[1].split(":")[0])
    assert len(listening) >= 4
    assert set(listening) == {"0100007F"}


def test_each_process_holds_the_secrets_it_needs_and_no_others(running: Machine) -> None:
    pids = running.pids()
    held = {name: {key for key in variables_of(pid) if "URL" in key or "SECRET" in key} for name, pid in pids.items()}
    assert held == {
        "database": set(),
        "broker": set(),
        "tracking": {"DATABASE_CATALOGUE_URL", "TRACKING_DATABASE_URL", "TRACKING_SECRET"},
        "web": {"PUBLIC_URL", "SECRET_KEY", "DATABASE_URL", "BROKER_URL", "TRACKING_URL", "TRACKING_SECRET"},
        "worker": {"PUBLIC_URL", "SECRET_KEY", "DATABASE_URL", "BROKER_URL", "TRACKING_URL", "TRACKING_SECRET"},
        "courier": {"PUBLIC_URL", "SECRET_KEY", "DATABASE_URL", "BROKER_URL"},
        "scheduler": {"PUBLIC_URL", "SECRET_KEY", "DATABASE_URL", "BROKER_URL"},
        "sequencer": {"PUBLIC_URL", "SECRET_KEY", "DATABASE_SEQUENCER_URL", "BROKER_URL"}
        | {"TRACKING_URL", "TRACKING_SECRET"},
        "countersigner": {"PUBLIC_URL", "SECRET_KEY", "DATABASE_URL"},
        "notary": {"PUBLIC_URL", "SECRET_KEY", "DATABASE_URL"},
        "witness-one": set(),
        "witness-two": set(),
    }


def test_no_password_stands_in_an_argument_list(running: Machine) -> None:
    secrets = [path.read_text() for path in (running.place / "state" / "secrets").iterdir() if path.is_file()]
    assert len(secrets) >= 8
    for pid in descendants(running.started[-1].pid):
        arguments = Path("/proc", str(pid), "cmdline").read_bytes().decode(errors="replace")
        assert not [secret for secret in secrets if secret in arguments]


def test_a_second_instance_is_refused_with_the_pid_of_the_first(running: Machine) -> None:
    told = running.say("up")
    assert told.returncode == 1
    assert f"already running on {running.place / 'state'} (pid {running.started[-1].pid})" in told.stdout


def test_a_port_that_is_taken_is_named_before_anything_starts(running: Machine, place: Path) -> None:
    told = running.say("up", DATA_DIR=str(place / "other"))
    assert told.returncode == 1
    assert f"Cannot listen on {LOOPBACK}:{running.port}: Address already in use" in told.stdout
    assert "PORT=" in told.stdout
    assert not (place / "other" / "postgres").exists()


def test_reset_is_refused_while_it_runs(running: Machine) -> None:
    told = running.say("reset", "--yes")
    assert told.returncode == 1
    assert "already running" in told.stdout
    assert (running.place / "state" / "secrets").exists()


def test_a_killed_process_comes_back(running: Machine) -> None:
    before = running.pids()["scheduler"]
    os.kill(before, signal.SIGKILL)
    until(lambda: running.pids().get("scheduler", before) != before, what="another scheduler", seconds=90)
    assert set(running.pids()) == PROCESSES


def test_ctrl_c_stops_everything_in_order_and_leaves_nothing(running: Machine) -> None:
    supervisor = running.started[-1]
    below = descendants(supervisor.pid)
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(120) == 0
    stopped = re.findall(r"^runtime +\| stopping ([\w-]+)$", running.output.read_text(), re.MULTILINE)
    assert stopped == list(STOP_ORDER)
    assert [pid for pid in below if alive(pid)] == []
    assert running.say("status").returncode == 3


def test_kill_minus_nine_of_the_supervisor_leaves_nothing_and_it_starts_again(running: Machine) -> None:
    supervisor = running.started[-1]
    below = descendants(supervisor.pid)
    assert len(below) >= len(PROCESSES)
    supervisor.kill()
    supervisor.wait(10)
    until(lambda: not [pid for pid in below if alive(pid)], what="every process to be gone", seconds=60)
    running.up()
    assert set(running.pids()) == PROCESSES


def test_down_stops_it_and_says_so_also_when_nothing_runs(running: Machine) -> None:
    told = running.say("down")
    assert told.returncode == 0
    assert told.stdout.endswith("Stopped.\n")
    assert running.started[-1].wait(10) == 0
    again = running.say("down")
    assert again.returncode == 0
    assert again.stdout.startswith("Nothing runs on")


def test_reset_asks_first_and_then_deletes_everything(machine: Machine) -> None:
    state = machine.place / "state"
    refused = machine.say("reset")
    assert refused.returncode == 1
    assert "YES=1" in refused.stdout
    assert (state / "secrets").exists()
    done = machine.say("reset", YES="1")
    assert done.returncode == 0, done.stdout
    assert list(state.iterdir()) == []


def test_reset_does_not_touch_a_directory_that_is_not_ours(machine: Machine, place: Path) -> None:
    (place / "thesis.tex").touch()
    told = machine.say("reset", "--yes", DATA_DIR=str(place))
    assert told.returncode == 1
    assert "holds no state of Countersign" in told.stdout
    assert (place / "thesis.tex").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"PORT": "eighty"}, "PORT=eighty must be a port number"),
        ({"PORT": "70000"}, "PORT=70000 must be a port number"),
        ({"PUBLIC_URL": "models.example.org"}, "PUBLIC_URL=models.example.org must be an address"),
        ({"HOST": "192.0.2.1"}, "Cannot listen on 192.0.2.1"),
        ({"HOST": "no such host"}, "Cannot listen on no such host"),
        ({"PG_BIN": "/nonexistent"}, "PG_BIN=/nonexistent does not contain"),
    ],
)
def test_a_bad_setting_is_named(machine: Machine, place: Path, changes: dict[str, str], message: str) -> None:
    told = machine.say("up", **{"DATA_DIR": str(place / "state"), "PORT": str(free_port()), **changes})
    assert told.returncode == 1
    assert message in told.stdout
    assert "Traceback" not in told.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to have a directory of somebody else")
def test_a_state_directory_of_another_user_is_refused_by_name(machine: Machine, place: Path) -> None:
    os.chown(place, 65534, 65534)
    told = machine.say("up", DATA_DIR=str(place), PORT=str(free_port()))
    os.chown(place, 0, 0)
    assert told.returncode == 1
    assert "belongs to user 65534 and you are user 0" in told.stdout
