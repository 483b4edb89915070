"""The sentinel: what a killed supervisor leaves behind is ended, and nothing else is."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.runtime.sentinel import started_at, watch
from tests.runtime.processes import alive
from tests.waiting import until

DEAF = """
import signal, time
for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT): signal.signal(number, signal.SIG_IGN)
print('hello', flush=True)
time.sleep(600)
"""


@pytest.fixture
def deaf() -> Iterator["subprocess.Popen[str]"]:
    """A process that leads a group and listens to no signal that can be ignored."""
    with subprocess.Popen(
        [sys.executable, "-c", DEAF], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hello\n"
        yield process
        process.kill()


def test_a_child_that_outstays_its_grace_is_killed(deaf: "subprocess.Popen[str]") -> None:
    watch([f"+ {deaf.pid} 0"])
    assert deaf.wait(10) == -signal.SIGKILL


def test_a_child_that_was_reported_as_ended_is_left_alone(deaf: "subprocess.Popen[str]") -> None:
    watch([f"+ {deaf.pid} 0", f"- {deaf.pid}"])
    assert alive(deaf.pid)


def test_a_process_is_told_from_a_later_one_with_the_same_pid(deaf: "subprocess.Popen[str]") -> None:
    assert started_at(deaf.pid) is not None
    deaf.kill()
    deaf.wait(10)
    assert started_at(deaf.pid) is None


def test_a_child_that_ignores_its_orphan_signal_does_not_outlive_a_killed_supervisor(tmp_path: Path) -> None:
    script = f"""
import pathlib, sys, time
from config.runtime.children import spawn
from config.runtime.journal import Journal
from config.runtime.supervisor import Supervisor, Unit
journal = Journal(pathlib.Path({str(tmp_path)!r}), terminal=sys.stderr)
supervisor = Supervisor(journal, lambda rows: None)
launch = lambda output: spawn([sys.executable, "-c", {DEAF!r}], env={{}}, output=output)
unit = Unit("deaf", launch, lambda: "hello" in journal.recent("deaf"), orphan_grace=0.5)
supervisor.start(unit)
print(unit.process.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        child = int(supervisor.stdout.readline())
        os.kill(supervisor.pid, signal.SIGKILL)
    until(lambda: not alive(child), what="the deaf child to be killed")
