"""Starts processes in order, keeps them running, and ends them in order. Knows nothing of what they are."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO

from config.runtime.errors import RuntimeProblem
from config.runtime.journal import Journal

_TICK_SECONDS = 0.1
_LONGEST_PAUSE = 30.0
_STEADY_SECONDS = 60.0
_READY_SECONDS = 120.0
_ORPHAN_SECONDS = 10.0


@dataclass(slots=True)
class Unit:
    """One process to keep running."""

    name: str
    launch: Callable[[IO[bytes] | int], "subprocess.Popen[bytes]"]
    is_ready: Callable[[], bool]
    stop: signal.Signals = signal.SIGTERM
    force: signal.Signals = signal.SIGQUIT  # what ends it faster, before SIGKILL
    patience: float = 20.0
    orphan_grace: float = _ORPHAN_SECONDS  # how long it may outlive a supervisor that was killed
    process: "subprocess.Popen[bytes] | None" = None
    ready: bool = False
    restarts: int = 0
    since: float = 0.0
    resume_at: float = 0.0
    pause: float = field(default=1.0)


class Interrupted(Exception):
    """Somebody asked us to stop while we were waiting for something."""


class Supervisor:
    """Owns a set of units. All processes are started from the main thread (see ``children.spawn``)."""

    def __init__(self, journal: Journal, publish: Callable[[list[dict[str, object]]], None]) -> None:
        self.journal = journal
        self.units: dict[str, Unit] = {}
        self._publish = publish
        self._askings = 0
        self._sentinel = subprocess.Popen(
            [sys.executable, "-m", "config.runtime.sentinel"],
            stdin=subprocess.PIPE,
            cwd=Path(__file__).resolve().parents[2],
            start_new_session=True,
            text=True,
        )

    def listen_to_signals(self) -> None:
        """From now on Ctrl-C, SIGTERM and a closed terminal ask for an ordered stop; a second one hurries it."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._askings += 1

    def start(self, unit: Unit) -> None:
        """Start ``unit`` and return when it is ready.

        Raises ``RuntimeProblem`` when it ends or is not ready in two minutes, ``Interrupted`` when asked to stop.
        """
        self.units[unit.name] = unit
        self._launch(unit)
        give_up = time.monotonic() + _READY_SECONDS
        while not unit.is_ready():
            if unit.process is None or unit.process.poll() is not None:
                self.journal.catch_up(unit.name)
                code = None if unit.process is None else unit.process.returncode
                raise RuntimeProblem(
                    f"{unit.name} ended with code {code} before it was ready: {self.journal.last_words(unit.name)}"
                )
            if time.monotonic() > give_up:
                raise RuntimeProblem(f"{unit.name} was not ready in {_READY_SECONDS:.0f} seconds.")
            self.pause()
        self._now_ready(unit)

    def run_to_end(
        self, name: str, launch: Callable[[IO[bytes] | int], "subprocess.Popen[bytes]"], *, tending: bool = False
    ) -> int:
        """Run one process to its end and return its exit code; ``tending`` looks after the units meanwhile.

        Raises ``Interrupted`` when asked to stop, after ending the process.
        """
        process = launch(subprocess.PIPE)
        assert process.stdout is not None  # noqa: S101 - we passed PIPE
        self.journal.follow(name, process.stdout)
        self._note(f"+ {process.pid} {_ORPHAN_SECONDS}")
        try:
            while process.poll() is None:
                self.pause()
                if tending:
                    self.tend()
        except Interrupted:
            self._end(process, (signal.SIGINT, 10.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
            _end_group(process.pid)
            raise
        finally:
            self._note(f"- {process.pid}")
        self.journal.catch_up(name)
        return process.returncode

    def run(self) -> None:
        """Look after the units until somebody asks us to stop."""
        try:
            while True:
                self.tend()
                self.pause()
        except Interrupted:
            return

    def shut_down(self, order: Sequence[str]) -> None:
        """End every unit, in ``order``, those not named last in reverse order of their start. Never raises midway."""
        hurried_at = max(self._askings, 1)
        rest = [name for name in reversed(self.units) if name not in order]
        for name in [*(name for name in order if name in self.units), *rest]:
            unit = self.units[name]
            if unit.process is None:
                continue
            if unit.process.poll() is None:
                self.journal.say(f"stopping {name}")
                if unit.patience > 30:
                    self.journal.say(f"{name} may finish its work for {unit.patience:.0f} s; Ctrl-C again to hurry")
                unit.process.send_signal(unit.stop)
                if not self._ends(unit.process, unit.patience, unless_hurried_since=hurried_at):
                    self._end(unit.process, (unit.force, 10.0), (signal.SIGKILL, 5.0))
            self.journal.catch_up(name)
            _end_group(unit.process.pid)
            self._note(f"- {unit.process.pid}")
            unit.process, unit.ready = None, False
        self._tell()

    def close(self) -> None:
        """Release the sentinel; without this, what is left of the units has only its grace to live."""
        self._sentinel.communicate()

    def _note(self, line: str) -> None:
        assert self._sentinel.stdin is not None  # noqa: S101 - we passed PIPE
        try:
            self._sentinel.stdin.write(f"{line}\n")
            self._sentinel.stdin.flush()
        except BrokenPipeError:
            self.journal.say("the sentinel is gone: a killed supervisor may now leave processes behind")

    def pause(self) -> None:
        """Wait a moment. Raises ``Interrupted`` when asked to stop."""
        self.journal.read(_TICK_SECONDS)
        if self._askings:
            raise Interrupted

    def _launch(self, unit: Unit) -> None:
        unit.process = unit.launch(subprocess.PIPE)
        unit.ready, unit.since, unit.resume_at = False, time.monotonic(), 0.0
        assert unit.process.stdout is not None  # noqa: S101 - we passed PIPE
        self.journal.follow(unit.name, unit.process.stdout)
        self._note(f"+ {unit.process.pid} {unit.orphan_grace}")
        self._tell()

    def _now_ready(self, unit: Unit) -> None:
        unit.ready = True
        self.journal.say(f"{unit.name} is ready")
        self._tell()

    def tend(self) -> None:
        """Start again what has ended, after a pause that doubles with every failure in a row."""
        now = time.monotonic()
        for unit in self.units.values():
            if unit.process is not None and unit.process.poll() is not None:
                _end_group(unit.process.pid)
                unit.pause = 1.0 if now - unit.since > _STEADY_SECONDS else unit.pause
                self._note(f"- {unit.process.pid}")
                self.journal.say(
                    f"{unit.name} ended with code {unit.process.returncode}; starting it again in {unit.pause:.0f} s"
                )
                unit.process, unit.ready, unit.resume_at = None, False, now + unit.pause
                unit.pause = min(unit.pause * 2, _LONGEST_PAUSE)
                unit.restarts += 1
                self._tell()
            elif unit.process is None and now >= unit.resume_at:
                try:
                    self._launch(unit)
                except (OSError, RuntimeProblem) as problem:
                    self.journal.say(f"{unit.name} could not be started: {problem}")
                    unit.resume_at, unit.pause = now + unit.pause, min(unit.pause * 2, _LONGEST_PAUSE)
            elif not unit.ready and unit.is_ready():
                self._now_ready(unit)

    def _ends(self, process: "subprocess.Popen[bytes]", seconds: float, *, unless_hurried_since: int) -> bool:
        """Say whether ``process`` ends in time, while its output is read; stop waiting when somebody asks again."""
        give_up = time.monotonic() + seconds
        while process.poll() is None:
            if time.monotonic() > give_up or self._askings > unless_hurried_since:
                return False
            self.journal.read(_TICK_SECONDS / 2)
        return True

    def _end(self, process: "subprocess.Popen[bytes]", *steps: tuple[signal.Signals, float]) -> None:
        for number, patience in steps:
            process.send_signal(number)
            if self._ends(process, patience, unless_hurried_since=self._askings):
                return

    def _tell(self) -> None:
        self._publish(
            [
                {
                    "name": unit.name,
                    "state": "ready" if unit.ready else "starting" if unit.process else "stopped",
                    "pid": unit.process.pid if unit.process else None,
                    "restarts": unit.restarts,
                    "at": datetime.now(UTC).isoformat(timespec="seconds"),
                }
                for unit in self.units.values()
            ]
        )


def _end_group(leader: int) -> None:
    """Kill what is left of the process group of a leader that has ended; the usual case is that nothing is."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
