"""What is said of a model that misbehaves, and that nothing of it is left. The whole table: tests/security."""

# ruff: noqa: PLC0415 - models are pickled by value, so they import what they use
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from governance.sandbox import Limits, SandboxJob, SandboxOutcome, run, template
from tests.governance.sandbox.conftest import MakeModel
from tests.governance.sandbox.processes import descendants
from tests.waiting import until

SMALL = Limits(
    wall_seconds=30, cpu_seconds=20, memory_bytes=768 * 1024**2, file_bytes=4 * 1024**2, scratch_bytes=8 * 1024**2
)


def outcome_of(make_model: MakeModel, people: Path, predict: Any, limits: Limits = SMALL) -> SandboxOutcome:
    """Run a model whose ``predict`` is the given function; the scan is off, because it would refuse such a pickle."""

    class Model:
        def predict(self, rows: Any) -> Any:
            return predict(rows)

    job = SandboxJob("predict", make_model(Model()), people, features=("age",), limits=limits, scan=False)
    outcome = run(job)
    assert outcome.predictions is None
    return outcome


def test_a_model_that_raises_is_quoted(make_model: MakeModel, people: Path) -> None:
    def predict(_rows: Any) -> Any:
        raise ValueError("the input scaler was never fitted")

    outcome = outcome_of(make_model, people, predict)
    assert outcome.code == "raised"
    assert outcome.message == "The model raised in predict: ValueError: the input scaler was never fitted"


def test_a_model_that_opens_a_socket_is_named_and_ended(make_model: MakeModel, people: Path) -> None:
    def predict(rows: Any) -> Any:
        import socket

        try:
            socket.create_connection(("127.0.0.1", 9), timeout=1)
        except OSError:
            return [0] * len(rows)

    outcome = outcome_of(make_model, people, predict)
    assert outcome.code == "forbidden"
    assert "tried to" in outcome.message


def test_the_model_sees_none_of_our_environment(
    make_model: MakeModel, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "do-not-leak")

    def predict(_rows: Any) -> Any:
        import os

        raise RuntimeError(sorted(name for name in os.environ if "SECRET" in name or "PATH" in name))

    assert outcome_of(make_model, people, predict).message.endswith("RuntimeError: []")


def test_the_sealed_files_and_the_program_cannot_be_changed(make_model: MakeModel, people: Path) -> None:
    def predict(_rows: Any) -> Any:
        import pathlib

        here = pathlib.Path.cwd().parent
        results = []
        for path in (here / "model" / "MLmodel", here / "data.parquet", pathlib.Path(pathlib.__file__)):
            try:
                path.write_text("changed")
            except PermissionError:
                results.append("refused")
        raise RuntimeError(" ".join(results))

    assert outcome_of(make_model, people, predict).message.endswith("refused refused refused")


def test_garbage_on_the_result_channel_is_dropped_and_said(make_model: MakeModel, people: Path) -> None:
    def predict(rows: Any) -> Any:
        import os

        for descriptor in range(3, 4096):
            try:
                os.write(
                    descriptor, b'{"done": 1e400}\n\xff\xfe[[[\n{"done": -1, "total": "x"}\n' + b"x" * 200_000 + b"\n"
                )
            except OSError:
                continue
        return [0] * len(rows)

    class Model:
        def predict(self, rows: Any) -> Any:
            return predict(rows)

    seen: list[tuple[int, int]] = []
    job = SandboxJob("predict", make_model(Model()), people, features=("age",), limits=SMALL, scan=False)
    outcome = run(job, lambda done, total: seen.append((done, total)))
    assert outcome.ok
    assert outcome.notes
    assert "garbage" in outcome.notes[0]
    assert seen == [(40, 40)]


def test_no_process_of_the_model_is_left(make_model: MakeModel, people: Path) -> None:
    def predict(_rows: Any) -> Any:
        import threading

        for _ in range(10):
            threading.Thread(target=time.sleep, args=(3600,)).start()
        time.sleep(3600)

    assert outcome_of(make_model, people, predict, Limits(wall_seconds=3)).code == "timeout"
    assert descendants() <= {template.process_id()}


STARTS_A_SLEEPER = """
import sys
from pathlib import Path
from governance.sandbox import SandboxJob, run
run(SandboxJob("predict", Path(sys.argv[1]), Path(sys.argv[2]), features=("age",), scan=False))
"""


def test_the_model_dies_with_the_worker_that_is_killed(
    make_model: MakeModel, people: Path, run_directories: Path
) -> None:
    class Model:
        def predict(self, _rows: Any) -> Any:

            time.sleep(3600)

    root = Path(__file__).resolve().parents[3]
    arguments = [sys.executable, "-c", STARTS_A_SLEEPER, str(make_model(Model())), str(people)]
    with subprocess.Popen(arguments, cwd=root, env={**os.environ, "TMPDIR": str(run_directories)}) as worker:
        children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children")
        template = until(children.read_text, what="the template").split()[0]
        forked = Path(f"/proc/{template}/task/{template}/children")
        child = Path("/proc", until(forked.read_text, what="the sandboxed child").split()[0])
        # Once it is confined, it is tied to the worker.
        until(lambda: b"Seccomp:\t2" in (child / "status").read_bytes(), what="its confinement")
        worker.kill()
    until(lambda: not child.exists() or b"State:\tZ" in (child / "status").read_bytes(), what="its end")
    until(lambda: not Path("/proc", template).exists(), what="the template's end")
    for left in run_directories.iterdir():  # a killed worker cannot tidy up
        shutil.rmtree(left)
