"""A child forked from the template is as confined as a fresh one, knows nothing of other runs, and costs little."""

# ruff: noqa: PLC0415 - models are pickled by value, so they import what they use
from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from governance.sandbox import Limits, SandboxJob, SandboxOutcome, run, template
from tests.governance.sandbox.conftest import MakeModel
from tests.waiting import until


@pytest.fixture
def score(make_model: MakeModel, people: Path) -> Callable[..., SandboxOutcome]:
    """Run a model whose ``predict`` is the given function."""

    def score(predict: Callable[[Any], Any], **more: Any) -> SandboxOutcome:
        class Model:
            def predict(self, rows: Any) -> Any:
                return predict(rows)

        return run(SandboxJob("predict", make_model(Model()), people, features=("age",), scan=False, **more))

    return score


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def running_template() -> int:
    pid = template.process_id()
    assert pid is not None
    return pid


@pytest.mark.parametrize("warm", [True, False])
def test_both_starts_put_on_the_same_layers_and_give_the_same_bits(
    make_model: MakeModel, people: Path, warm: bool
) -> None:
    class Model:
        def predict(self, rows: Any) -> Any:
            import random

            import numpy as np

            return np.random.default_rng(7).normal(size=len(rows)) + np.random.normal(size=len(rows)) + random.random()

    job = SandboxJob("predict", make_model(Model()), people, features=("age",), scan=False, seed=3, warm=warm)
    outcome = run(job)
    assert outcome.warm == warm
    assert outcome.record()["start"] == ("template" if warm else "fresh")
    other = run(SandboxJob("predict", job.model_dir, people, features=("age",), scan=False, seed=3, warm=True))
    assert outcome.layers == other.layers
    assert outcome.predictions is not None
    assert outcome.predictions.equals(other.predictions)


def test_what_one_run_changes_the_next_does_not_see(make_model: MakeModel, people: Path) -> None:
    class Model:
        def predict(self, rows: Any) -> Any:
            import os
            import pathlib
            import sys

            import numpy as np

            file = pathlib.Path("left")
            seen = [hasattr(np, "left_by_a_model"), "LEFT" in os.environ, "left" in sys.modules, file.exists()]
            np.left_by_a_model = True  # type: ignore[attr-defined]
            os.environ["LEFT"] = "1"
            sys.modules["left"] = np
            file.touch()
            return [str(seen)] * len(rows)

    folder = make_model(Model())
    for _ in range(2):
        outcome = run(SandboxJob("predict", folder, people, features=("age",), scan=False))
        assert outcome.predictions is not None, outcome.message
        assert outcome.predictions["prediction"][0].as_py() == str([False] * 4)


def test_the_template_never_learns_what_was_run(make_model: MakeModel, tmp_path: Path) -> None:
    word = b"peculiar-" + os.urandom(12).hex().encode()
    data = tmp_path / "data.parquet"
    pyarrow.parquet.write_table(pa.table({word.decode(): ["rare-" + word.decode()]}), data)

    class Model:
        def predict(self, rows: Any) -> Any:
            return [0] * len(rows)

    outcome = run(SandboxJob("predict", make_model(Model()), data, features=(word.decode(),), scan=False))
    assert outcome.ok, outcome.message
    assert outcome.warm
    pid = running_template()
    assert children_of(pid) == []
    assert not any(word in block for block in memory_of(pid))


def memory_of(pid: int) -> list[bytes]:
    """Every private writable page of a process of ours."""
    found = []
    with open(f"/proc/{pid}/mem", "rb") as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw-p", line)
            if span and "[v" not in line:
                start, end = (int(one, 16) for one in span.groups())
                memory.seek(start)
                found.append(memory.read(end - start))
    return found


def test_a_template_that_was_killed_is_replaced(score: Callable[..., SandboxOutcome], tmp_path: Path) -> None:
    template.close()
    assert template.ready()
    first = running_template()
    os.kill(first, signal.SIGKILL)
    outcome = score(lambda rows: [1] * len(rows))
    assert outcome.ok, outcome.message
    assert outcome.warm
    assert running_template() != first


def test_a_template_that_dies_takes_the_model_along(score: Callable[..., SandboxOutcome]) -> None:
    assert template.ready()
    pid = running_template()

    def kill() -> None:
        (child,) = until(lambda: children_of(pid), what="the child")
        until(lambda: b"Seccomp:\t2" in Path(f"/proc/{child}/status").read_bytes(), what="its confinement")
        os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    outcome = score(lambda _rows: time.sleep(3600), limits=Limits(wall_seconds=60))
    killer.join()
    assert outcome.code == "killed"
    assert outcome.message == "The process of the model died with SIGKILL."


def test_a_process_forked_by_the_worker_has_no_right_to_its_template() -> None:
    assert template.ready()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, b"none" if template.process_id() is None else b"ours")
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with open(reading, "rb") as answer:
        assert answer.read() == b"none"


def test_runs_of_several_threads_do_not_mix(make_model: MakeModel, people: Path) -> None:
    class Model:
        def predict(self, rows: Any) -> Any:
            return rows["age"]

    folder = make_model(Model())
    outcomes: list[SandboxOutcome] = []

    def one(seed: int) -> None:
        outcomes.append(run(SandboxJob("predict", folder, people, features=("age",), scan=False, seed=seed)))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [outcome.code for outcome in outcomes] == ["ok"] * 6
    assert all(outcome.warm for outcome in outcomes)
    assert children_of(running_template()) == []
