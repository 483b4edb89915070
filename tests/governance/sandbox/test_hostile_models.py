"""Every way a model misbehaves ends in its own clear answer, with nothing left behind."""

# ruff: noqa: PLC0415 - models are pickled by value, so they import what they use
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from governance.sandbox import Limits, SandboxJob, SandboxOutcome, run, template
from tests.governance.sandbox.conftest import MakeModel
from tests.waiting import until


def descendants() -> set[int]:
    """Every process below this one that runs our sandbox."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                about = (entry / "stat").read_text().rpartition(")")[2].split()
                if b"governance.sandbox" in (entry / "cmdline").read_bytes() and about[0] != "Z":
                    parents[int(entry.name)] = int(about[1])
    found: set[int] = set()
    waiting = {os.getpid()}
    while waiting := {pid for pid, parent in parents.items() if parent in waiting and pid not in found}:
        found |= waiting
    return found


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


def test_a_model_that_leaves_by_system_exit_raised(make_model: MakeModel, people: Path) -> None:
    def predict(_rows: Any) -> Any:
        raise SystemExit(0)

    assert outcome_of(make_model, people, predict).code == "raised"


def test_a_model_that_allocates_without_end_meets_its_memory_limit(make_model: MakeModel, people: Path) -> None:
    def predict(_rows: Any) -> Any:
        held = []
        while True:
            held.append(bytearray(16 * 1024**2))

    outcome = outcome_of(make_model, people, predict)
    assert outcome.code == "memory"
    assert "768 MiB" in outcome.message


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


def test_a_socket_by_ctypes_is_refused_by_the_kernel(make_model: MakeModel, people: Path) -> None:
    def predict(_rows: Any) -> Any:
        import ctypes
        import errno

        libc = ctypes.CDLL(None, use_errno=True)
        answers = [libc.socket(family, 1, 0) for family in (1, 2, 10, 16)]
        raise RuntimeError(f"{answers} {errno.errorcode[ctypes.get_errno()]}")

    assert outcome_of(make_model, people, predict).message.endswith("[-1, -1, -1, -1] EPERM")


def test_a_model_that_sleeps_for_ever_is_stopped_at_its_deadline(make_model: MakeModel, people: Path) -> None:
    def predict(_rows: Any) -> Any:

        time.sleep(3600)

    outcome = outcome_of(make_model, people, predict, Limits(wall_seconds=4))
    assert outcome.code == "timeout"
    assert "4 seconds" in outcome.message


def test_a_model_that_spins_meets_its_cpu_limit(make_model: MakeModel, people: Path) -> None:
    def predict(_rows: Any) -> Any:
        while True:
            pass

    outcome = outcome_of(make_model, people, predict, Limits(wall_seconds=60, cpu_seconds=3))
    assert outcome.code == "cpu"


def test_a_fork_bomb_does_not_get_its_first_child(make_model: MakeModel, people: Path) -> None:
    def predict(_rows: Any) -> Any:
        import os

        while True:
            os.fork()

    outcome = outcome_of(make_model, people, predict)
    assert outcome.code == "forbidden"
    assert "start a process" in outcome.message


def test_a_fork_by_ctypes_is_refused_by_the_kernel(make_model: MakeModel, people: Path) -> None:
    def predict(_rows: Any) -> Any:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        raise RuntimeError(f"fork {libc.fork()}, vfork {libc.syscall(58)}, exec {libc.execv(b'/bin/true', None)}")

    assert outcome_of(make_model, people, predict).message.endswith("fork -1, vfork -1, exec -1")


def test_a_kernel_door_ends_the_process(make_model: MakeModel, people: Path) -> None:
    def predict(_rows: Any) -> Any:
        import ctypes

        ctypes.CDLL(None).ptrace(0, 0, 0, 0)
        return []

    outcome = outcome_of(make_model, people, predict)
    assert outcome.code == "forbidden"
    assert "system call" in outcome.message


def test_one_huge_file_is_cut_off(make_model: MakeModel, people: Path) -> None:
    def predict(_rows: Any) -> Any:
        with open("big", "wb") as handle:
            while True:
                handle.write(bytes(1024 * 1024))

    assert outcome_of(make_model, people, predict).code == "output_too_large"


def test_many_files_are_cut_off_too(make_model: MakeModel, people: Path) -> None:
    def predict(_rows: Any) -> Any:
        number = 0
        while True:
            number += 1
            with open(f"part-{number}", "wb") as handle:
                handle.write(bytes(1024 * 1024))

    assert outcome_of(make_model, people, predict).code == "output_too_large"


@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/passwd", "/proc/{parent}/environ", "/proc/1/cmdline"])
def test_files_outside_cannot_be_read(make_model: MakeModel, people: Path, path: str) -> None:
    path = path.format(parent=os.getpid())

    def predict(_rows: Any) -> Any:
        with open(path, "rb") as handle:
            raise RuntimeError(handle.read(100))

    outcome = outcome_of(make_model, people, predict)
    assert outcome.code == "forbidden"
    assert path in outcome.message


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


def test_leaving_without_an_answer_is_no_success(make_model: MakeModel, people: Path) -> None:
    def predict(_rows: Any) -> Any:
        import os

        os._exit(0)

    outcome = outcome_of(make_model, people, predict)
    assert outcome.code == "killed"
    assert outcome.message == "The model left the process without an answer."


def test_a_crash_in_native_code_is_named(make_model: MakeModel, people: Path) -> None:
    def predict(_rows: Any) -> Any:
        import ctypes

        ctypes.string_at(0)

    outcome = outcome_of(make_model, people, predict)
    assert outcome.code == "killed"
    assert "SIGSEGV" in outcome.message


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


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda rows: [0] * (len(rows) - 1), "39 predictions for 40 rows"),
        (lambda rows: np.full(len(rows), np.nan), "not finite"),
        (lambda rows: [None] * len(rows), "missing"),
    ],
)
def test_unsound_predictions_are_refused(make_model: MakeModel, people: Path, answer: Any, said: str) -> None:
    outcome = outcome_of(make_model, people, answer)
    assert outcome.code == "output_invalid"
    assert said in outcome.message


def test_a_forged_answer_file_is_parsed_as_hostile(make_model: MakeModel, people: Path) -> None:
    def predict(_rows: Any) -> Any:
        import os

        os.symlink("/etc/passwd", "predictions.arrow")  # noqa: PTH211

    outcome = outcome_of(make_model, people, predict)
    assert outcome.code == "forbidden"


def test_a_forged_arrow_file_is_refused(make_model: MakeModel, people: Path) -> None:
    def predict(_rows: Any) -> Any:
        import os
        import pathlib

        pathlib.Path("predictions.arrow").write_bytes(b"ARROW1\0\0" + b"\xff" * 400 + b"ARROW1")
        pathlib.Path("answer.json").write_text('{"code": "ok", "report": {}}')
        os._exit(0)

    outcome = outcome_of(make_model, people, predict)
    assert outcome.code == "output_invalid"
    assert "not a valid Arrow file" in outcome.message


class RunsAtLoad:
    """A pickle that runs a command when it is loaded."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch /tmp/countersign-was-here",)


def test_a_pickle_that_runs_code_is_stopped_by_the_scan(make_model: MakeModel, people: Path) -> None:
    import pickle

    outcome = run(SandboxJob("predict", make_model(pickle.dumps(RunsAtLoad())), people, features=("age",)))
    assert outcome.code == "refused_by_scan"
    assert "posix.system" in outcome.message
    assert outcome.seconds == 0


def test_the_same_pickle_is_harmless_in_the_sandbox(make_model: MakeModel, people: Path) -> None:
    import pickle

    job = SandboxJob(
        "predict", make_model(pickle.dumps(RunsAtLoad())), people, features=("age",), limits=SMALL, scan=False
    )
    outcome = run(job)
    assert outcome.code == "forbidden"
    assert "start a program" in outcome.message
    assert not Path("/tmp/countersign-was-here").exists()


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
