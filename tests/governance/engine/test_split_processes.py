"""A check split over real worker processes, one of them killed in the middle; and a check cancelled while its model runs."""

import fcntl
import os
import pickle
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from governance.engine.execute import compute
from governance.models import CheckPart, CheckRun, PromotionRequest
from governance.services import promotions
from governance.states import CheckState, RequestState
from registry.models import User
from tests.factories import governance as make
from tests.governance.engine import models
from tests.governance.engine.test_worker_processes import PATIENCE, Start, broker, finished_entries, start
from tests.waiting import until

__all__ = ["broker", "start"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
ROWS = 6000
POLICY = """\
policy: house
governs: {tiers: [1, 2, 3], targets: ["alias:production"]}
checks:
  - use: performance.binary
    data: {role: test}
    require: {auc: {ge: 0.75, bound: ci_low}}
  - use: fairness.groups
    data: {role: test}
    sensitive: [sex]
    require: {equal_opportunity_difference: {le: 0.30}}
review:
  - stage: approval
    all: [{role: approver, n: 2}]
"""


def asked(scientist: User, files: dict[str, bytes], rows: int) -> PromotionRequest:
    make.policy(POLICY)
    content = models.parquet(models.people(rows, seed=11))
    held_out = make.dataset(scientist, content, rows=rows, label="y", features=models.FEATURES, sensitive=["sex"])
    model = make.registered_model(scientist, evaluation_dataset=held_out.dataset)
    return make.request(make.sealed_version(model, scientist, files), scientist)


@contextmanager
def held_up(room: Path) -> Iterator[None]:
    """Whoever wants to read these rows waits."""
    room.mkdir(parents=True, exist_ok=True)
    with (room / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def kill(worker: Any) -> None:
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


@pytest.mark.parametrize("parts", [2, 5])
def test_a_worker_killed_in_a_part_of_a_check_neither_loses_nor_doubles_it_nor_changes_its_bytes(
    scientist: User, start: Start, tmp_path: Path, settings: Any, parts: int
) -> None:
    settings.CHECK_PART_ROWS = ROWS // parts
    settings.DATA_DIR = tmp_path / "data"
    request = asked(scientist, models.sound_model(), ROWS)
    assert CheckPart.objects.count() == 2 * parts
    beat = ("--beat", "--schedule", str(tmp_path / "beat"))
    first, _ = start("--hostname", "first@test", *beat), start("--hostname", "second@test")
    scores = request.checks.get(key="predict.scores")
    until(
        lambda: CheckRun.objects.get(pk=scores.pk).state == CheckState.FINISHED,
        what="the predictions",
        seconds=PATIENCE,
    )
    scores.refresh_from_db()
    with held_up(tmp_path / "data" / "scratch" / "rows" / str(scores.output_blob_id)):
        until(
            lambda: CheckPart.objects.filter(state=CheckState.RUNNING).count() == 2, what="a part on each worker",
            seconds=PATIENCE,
        )  # fmt: skip
        interrupted = {part.pk: part.owner for part in CheckPart.objects.filter(state=CheckState.RUNNING)}
        kill(first)
    start("--hostname", "third@test", *beat)
    until(
        lambda: PromotionRequest.objects.get(pk=request.pk).state == RequestState.READY, what="every check",
        seconds=PATIENCE,
    )  # fmt: skip
    assert not CheckPart.objects.exclude(state=CheckState.FINISHED).exists()
    again = set(CheckPart.objects.filter(attempt=2).values_list("pk", flat=True))
    assert len(again) == 1
    assert again <= set(interrupted)
    assert len({owner.rpartition(":")[0] for owner in interrupted.values()}) == 2
    for run in request.checks.exclude(category="scoring"):
        assert finished_entries(run) == 1
        whole, _ = compute(run, tmp_path, lambda _done, _total: None)
        assert run.result_digest == whole.digest


def slow_model() -> dict[str, bytes]:
    """Minutes for the rows of the test, and no progress before the end of the first chunk."""
    random = np.random.default_rng(1)
    model = KNeighborsClassifier(50, algorithm="brute").fit(
        random.normal(size=(20_000, 2)), random.integers(0, 2, 20_000)
    )
    return models.packed(pickle.dumps(model))


def running_models(worker: int) -> list[int]:
    """Processes that a worker started which work in a directory of a run."""
    parents: dict[int, int] = {}
    places: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                places[int(entry.name)] = str((entry / "cwd").readlink())
            except OSError:
                continue

    def below(pid: int) -> bool:
        return pid == worker or (pid in parents and below(parents[pid]))

    return [pid for pid, place in places.items() if "countersign-run-" in place and below(pid)]


def test_the_model_of_a_withdrawn_request_is_ended_at_once(
    scientist: User, start: Start, tmp_path: Path, settings: Any
) -> None:
    request = asked(scientist, slow_model(), 400_000)
    worker = start("--beat", "--schedule", str(tmp_path / "beat"))
    until(lambda: running_models(worker.pid), what="the model to run", seconds=PATIENCE)
    promotions.withdraw(request=request, by=make.actor(scientist))
    until(lambda: not running_models(worker.pid), what="the model to be ended", seconds=30)
    scores = request.checks.get(key="predict.scores")
    assert (scores.state, scores.error_code) == (CheckState.FINISHED, "cancelled")
    assert worker.poll() is None
    until(lambda: not list((tmp_path / "data" / "scratch").glob("check-*")), what="its directory to go")
    assert "the lease was lost" in (tmp_path / "worker-0.log").read_text()
