"""The supervisor over small processes of the test's own: order, restarts, stopping, and what it says."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from config.runtime.children import spawn
from config.runtime.errors import RuntimeProblem
from config.runtime.journal import Journal
from config.runtime.supervisor import Interrupted, Supervisor, Unit
from tests.runtime.processes import alive
from tests.waiting import until

# Says a word, then waits for a signal; says which one, and ends.
PATIENT = """
import signal
wanted = {signal.SIGTERM, signal.SIGINT}
signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
print('hello', flush=True)
print('got', signal.Signals(signal.sigwait(wanted)).name, flush=True)
"""
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('hello', flush=True); time.sleep(600)"


class Stage:
    """A supervisor, its terminal, and everything it published."""

    def __init__(self, directory: Path) -> None:
        self.terminal = io.StringIO()
        self.journal = Journal(directory, terminal=self.terminal)
        self.published: list[list[dict[str, object]]] = []
        self.supervisor = Supervisor(self.journal, self.published.append)

    def unit(self, name: str, code: str = PATIENT, *, patience: float = 20.0) -> Unit:
        def launch(output: IO[bytes] | int) -> "subprocess.Popen[bytes]":
            return spawn([sys.executable, "-c", code], env={"PATH": os.defpath}, output=output)

        return Unit(name, launch, lambda: "hello" in self.journal.recent(name), patience=patience)

    def lines(self) -> list[str]:
        return self.terminal.getvalue().splitlines()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.supervisor.shut_down([])
    made.supervisor.close()
    made.journal.close()


def test_every_line_is_prefixed_on_the_terminal_and_plain_in_a_file_of_its_own(stage: Stage, tmp_path: Path) -> None:
    stage.supervisor.start(stage.unit("alpha"))
    stage.supervisor.shut_down([])
    assert "alpha     | hello" in stage.lines()
    assert (tmp_path / "alpha.log").read_text() == "hello\ngot SIGTERM\n"


def test_colour_is_for_terminals_only(stage: Stage) -> None:
    stage.journal.say("plain")
    assert "\x1b" not in stage.terminal.getvalue()


def test_units_stop_in_the_order_asked_for_and_each_before_the_next(stage: Stage) -> None:
    for name in ("database", "web", "worker"):
        stage.supervisor.start(stage.unit(name))
    stage.supervisor.shut_down(["worker", "web", "database"])
    wanted = [
        line
        for name in ("worker", "web", "database")
        for line in (f"runtime   | stopping {name}", f"{name:<9} | got SIGTERM")
    ]
    assert [line for line in stage.lines() if "stopping" in line or "got" in line] == wanted


def test_a_process_that_ends_before_it_is_ready_is_named_with_its_last_words(stage: Stage) -> None:
    with pytest.raises(RuntimeProblem, match=r"alpha ended with code 7 before it was ready: no such thing"):
        stage.supervisor.start(stage.unit("alpha", "print('no such thing'); raise SystemExit(7)"))


def test_a_process_that_dies_is_started_again_and_counted(stage: Stage) -> None:
    unit = stage.unit("alpha")
    stage.supervisor.start(unit)
    assert unit.process is not None
    first = unit.process.pid
    os.kill(first, signal.SIGKILL)

    def came_back() -> bool:
        stage.supervisor.tend()
        stage.supervisor.pause()
        return unit.ready and unit.process is not None and unit.process.pid != first

    until(came_back, what="the unit to be ready again")
    stage.supervisor.shut_down([])
    assert unit.restarts == 1
    assert "runtime   | alpha ended with code -9; starting it again in 1 s" in stage.lines()


def test_failures_in_a_row_are_answered_with_longer_and_longer_pauses(stage: Stage) -> None:
    unit = stage.unit("alpha")
    stage.supervisor.start(unit)
    pauses = []
    for _ in range(7):
        assert unit.process is not None
        unit.process.kill()
        unit.process.wait(10)
        stage.supervisor.tend()
        pauses.append(stage.lines()[-1].rpartition("again in ")[2])
        unit.resume_at = 0.0
        stage.supervisor.tend()
    stage.supervisor.shut_down([])
    assert pauses == ["1 s", "2 s", "4 s", "8 s", "16 s", "30 s", "30 s"]


def test_a_process_that_does_not_stop_is_ended_by_force(stage: Stage) -> None:
    unit = stage.unit("alpha", STUBBORN, patience=0.2)
    stage.supervisor.start(unit)
    assert unit.process is not None
    pid = unit.process.pid
    stage.supervisor.shut_down([])
    assert not alive(pid)


def test_what_a_process_leaves_in_its_group_is_ended_with_it(stage: Stage, tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    code = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, '-c', {STUBBORN!r}], stdout=subprocess.DEVNULL)
open({str(note)!r}, 'w').write(str(child.pid))
print('hello', flush=True)
import time; time.sleep(600)
"""
    stage.supervisor.start(stage.unit("alpha", code))
    grandchild = int(note.read_text())
    stage.supervisor.shut_down([])
    until(lambda: not alive(grandchild), what="the grandchild to end")


def test_a_signal_while_waiting_interrupts_the_start(stage: Stage) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    stage.supervisor.listen_to_signals()
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted):
            stage.supervisor.start(stage.unit("alpha", "import time; time.sleep(600)"))
    finally:
        stage.supervisor.shut_down([])
        for number, handler in before.items():
            signal.signal(number, handler)
    assert all(unit.process is None for unit in stage.supervisor.units.values())


def test_a_process_run_to_its_end_gives_its_code_and_all_it_printed(stage: Stage, tmp_path: Path) -> None:
    code = "print('x' * 300_000); print('last', end=''); raise SystemExit(3)"
    launch = stage.unit("once", code).launch
    assert stage.supervisor.run_to_end("once", launch) == 3
    assert len((tmp_path / "once.log").read_text()) == 300_005
    assert stage.journal.recent("once")[-1] == "last"


def test_output_that_is_no_text_does_not_stop_the_supervisor(stage: Stage, tmp_path: Path) -> None:
    code = "import sys; sys.stdout.buffer.write(b'\\xff\\x00 odd\\r\\n')"
    assert stage.supervisor.run_to_end("once", stage.unit("once", code).launch) == 0
    assert (tmp_path / "once.log").read_bytes() == b"\xff\x00 odd\r\n"
    assert any(line.endswith("odd") for line in stage.lines())


def test_the_published_state_follows_each_unit(stage: Stage) -> None:
    stage.supervisor.start(stage.unit("alpha"))
    stage.supervisor.shut_down([])
    assert [rows[0]["state"] for rows in stage.published] == ["starting", "ready", "stopped"]
