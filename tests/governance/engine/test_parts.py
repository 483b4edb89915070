"""A check over many rows is cut into parts: each computed once, merged to the bytes of the check that was not cut."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from governance import tasks
from governance.models import CheckPart, CheckRun, PromotionRequest
from governance.services import checks, parts, promotions
from governance.services.checks import Outcome
from governance.services.parts import PartClaim
from governance.states import CheckState, RequestState
from registry.models import User
from tests.factories import governance as make
from tests.governance.engine import models
from tests.governance.engine.test_execute import POLICY, run_of

pytestmark = pytest.mark.django_db
ROWS = 600


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> None:
    """As in test_execute; a check over more than 100 rows is cut."""
    settings.DATA_DIR = tmp_path / "data"
    settings.JOB_LEASE = timedelta(hours=1)
    settings.CHECK_PART_ROWS = 100


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that each part has a batch or two."""
    monkeypatch.setattr("governance.checks.batches.BATCH_ROWS", 50)


def asked(scientist: User, policy: str = POLICY, **columns: Any) -> PromotionRequest:
    make.policy(policy)
    roles = {"label": "y", "features": models.FEATURES, "sensitive": ["sex"]} | columns
    held_out = make.dataset(scientist, models.parquet(models.people(seed=11)), rows=ROWS, **roles)
    model = make.registered_model(scientist, evaluation_dataset=held_out.dataset)
    return make.request(make.sealed_version(model, scientist, models.sound_model()), scientist)


def scored(request: PromotionRequest) -> CheckRun:
    """The request's predictions are there; the check that was cut."""
    tasks.run_check(str(run_of(request, "predict.scores").pk))
    return run_of(request, "performance.binary")


def claimed(part: CheckPart, owner: str = "one") -> PartClaim:
    held = parts.claim(part.pk, owner=owner)
    assert held is not None
    return held


def lapse(part: CheckPart) -> None:
    CheckPart.objects.filter(pk=part.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def run_everything(request: PromotionRequest) -> None:
    while due := [*parts.due_of(request.pk), *checks.due_of(request.pk)]:
        for one in due:
            (tasks.run_part if CheckPart.objects.filter(pk=one).exists() else tasks.run_check)(str(one))


def results(request: PromotionRequest) -> dict[str, str]:
    return {run.key: run.result_digest for run in request.checks.all()}


@pytest.mark.slow
def test_a_check_that_was_cut_has_the_bytes_of_one_that_was_not(scientist: User, settings: Any) -> None:
    request = asked(scientist)
    assert {run.key: run.parts.count() for run in request.checks.all()} == {
        "predict.scores": 0, "security.scan": 0, "performance.binary": 6, "fairness.groups": 6,
    }  # fmt: skip
    run_everything(request)
    request.refresh_from_db()
    assert request.state == RequestState.READY
    assert set(CheckPart.objects.values_list("state", "attempt")) == {(CheckState.FINISHED, 1)}
    cut = results(request)
    CheckRun.objects.update(cache_key="")
    settings.CHECK_PART_ROWS = ROWS
    again = promotions.run_again(request=request, by=make.actor(scientist))
    run_everything(again)
    whole = {run.key: run.result_digest for run in again.checks.filter(round=2)}
    assert not again.checks.filter(round=2).exclude(parts=None).exists()
    assert {key: whole[key] for key in ("performance.binary", "fairness.groups")} == {
        key: cut[key] for key in ("performance.binary", "fairness.groups")
    }


@pytest.mark.slow
def test_predictions_in_chunks_and_parts_are_the_bytes_of_those_made_at_once(
    scientist: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a column of whole numbers has a gap far down, which makes it one of numbers with gaps everywhere."""
    rows = 120_000
    people = models.people(rows, seed=11)
    weeks = pa.array(np.arange(rows) % 7, mask=np.arange(rows) == rows - 1)
    content = models.parquet(people.append_column("weeks", weeks))
    make.policy(POLICY)
    digests, counted = [], []
    for at_once, cells in ((rows, 10**9), (rows, 1), (40_000, 1)):
        settings.CHECK_PART_ROWS = at_once
        monkeypatch.setattr("governance.engine.scoring.CELLS", cells)
        data = make.dataset(scientist, content, rows=rows, label="y", features=models.FEATURES, sensitive=["sex"])
        model = make.registered_model(scientist, evaluation_dataset=data.dataset)
        request = make.request(make.sealed_version(model, scientist, models.sound_model()), scientist)
        CheckRun.objects.filter(request=request, state=CheckState.FINISHED).update(cache_key="")
        run = run_of(request, "predict.scores")
        counted.append(run.parts.count())
        for part in run.parts.all():
            tasks.run_part(str(part.pk))
        tasks.run_check(str(run.pk))
        run.refresh_from_db()
        assert (run.verdict, run.summary.split(" rows")[0]) == ("pass", str(rows)), run.summary
        assert run.sandbox["layers"]
        digests.append(run.output_blob_id)
        CheckRun.objects.filter(pk=run.pk).update(cache_key="")
    assert counted == [0, 0, 2]
    assert len(set(digests)) == 1


def test_parts_wait_for_the_predictions_and_the_check_for_its_parts(
    scientist: User, checking: PromotionRequest
) -> None:
    run = split(checking, 3)
    scores = checking.checks.get(key="predict.scores")
    assert parts.due_of(checking.pk) == []
    assert checks.finish(checks_claim(scores.pk), make.outcome_of(scores, 0.9))
    assert checks.due_of(checking.pk) == []
    due = parts.due_of(checking.pk)
    assert due == [part.pk for part in run.parts.order_by("number")]
    for part in run.parts.order_by("number"):
        assert checks.claim(run.pk, owner="early") is None
        assert parts.finish(claimed(part), "")
    assert checks.due(run.pk) == [run.pk]
    run.refresh_from_db()
    assert (run.state, run.progress_done, run.progress_total) == (CheckState.QUEUED, 1000, 1000)


def split(request: PromotionRequest, of: int) -> CheckRun:
    run = request.checks.get(key="performance.binary")
    parts.cut([run], {run.pk: of})
    return run


def checks_claim(run_id: UUID) -> checks.Claim:
    held = checks.claim(run_id, owner="one")
    assert held is not None
    return held


@pytest.fixture
def waiting(checking: PromotionRequest) -> CheckRun:
    """A check in two parts that may be computed."""
    run = split(checking, 2)
    scores = checking.checks.get(key="predict.scores")
    checks.finish(checks_claim(scores.pk), make.outcome_of(scores, 0.9))
    return run


def test_a_part_delivered_twice_is_computed_once(waiting: CheckRun) -> None:
    part = waiting.parts.get(number=0)
    held = claimed(part)
    assert parts.claim(part.pk, owner="two") is None
    assert parts.finish(held, "")
    assert not parts.finish(held, "")
    assert parts.claim(part.pk, owner="two") is None


def test_the_share_done_of_the_whole_check_is_shown(waiting: CheckRun) -> None:
    held = claimed(waiting.parts.get(number=0))
    assert parts.progress(held, 1, 4)
    waiting.refresh_from_db()
    assert (waiting.progress_done, waiting.progress_total) == (125, 1000)
    assert parts.finish(held, "")
    waiting.refresh_from_db()
    assert waiting.progress_done == 500


def test_a_part_of_a_dead_worker_is_put_back_and_its_late_state_is_not_taken(waiting: CheckRun) -> None:
    part = waiting.parts.get(number=0)
    first = claimed(part, "dead")
    lapse(part)
    assert part.pk in parts.sweep()
    second = claimed(part, "alive")
    assert second.attempt == 2
    assert not parts.renew(first)
    assert not parts.progress(first, 1, 2)
    assert not parts.finish(first, "")
    assert not parts.fail(first, Outcome("error", "no", error_code="raised"))
    assert parts.finish(second, "")


def test_a_part_is_rung_for_once_a_minute(waiting: CheckRun) -> None:
    due = parts.due_of(waiting.request_id)
    assert len(due) == waiting.parts.count()
    assert parts.sweep() == []
    CheckPart.objects.filter(run=waiting).update(rung_at=timezone.now() - checks.RING_AGAIN)
    assert parts.sweep() == due
    assert parts.sweep() == []


def test_a_worker_that_takes_its_own_part_again_has_one_claim(waiting: CheckRun) -> None:
    part = waiting.parts.get(number=0)
    first = claimed(part)
    lapse(part)
    second = claimed(part)
    assert not parts.renew(first)
    assert not parts.progress(first, 1, 2)
    assert not parts.finish(first, "")
    assert not parts.fail(first, Outcome(CheckRun.Verdict.ERROR, "No.", error_code="raised"))
    assert parts.finish(second, "")


def test_a_part_that_kills_its_workers_ends_the_check_as_an_error(waiting: CheckRun, settings: Any) -> None:
    part = waiting.parts.get(number=1)
    for _ in range(settings.JOB_MAX_ATTEMPTS):
        claimed(part)
        lapse(part)
        parts.sweep()
    waiting.refresh_from_db()
    assert (waiting.verdict, waiting.error_code) == ("error", "worker_lost")
    assert parts.due_of(waiting.request_id) == []


def test_an_error_in_one_part_ends_the_check_and_the_others_are_not_wanted(waiting: CheckRun) -> None:
    first, second = (claimed(part) for part in waiting.parts.order_by("number"))
    assert parts.fail(first, Outcome("error", "The label is missing.", error_code="data.label_missing"))
    waiting.refresh_from_db()
    assert (waiting.state, waiting.error_code) == (CheckState.FINISHED, "data.label_missing")
    assert not parts.renew(second)
    assert not parts.finish(second, "")
    waiting.request.refresh_from_db()
    assert waiting.request.state == RequestState.CHECKS_FAILED


def test_parts_of_a_withdrawn_request_stop(waiting: CheckRun, scientist: User) -> None:
    held = claimed(waiting.parts.get(number=0))
    promotions.withdraw(request=waiting.request, by=make.actor(scientist))
    assert not parts.renew(held)
    assert parts.claim(waiting.parts.get(number=1).pk, owner="two") is None


@pytest.mark.slow
def test_what_is_wrong_with_the_data_is_said_by_the_check(scientist: User) -> None:
    request = asked(scientist, label="outcome")
    run_everything(request)
    run = run_of(request, "performance.binary")
    assert (run.verdict, run.error_code) == ("error", "data.label_missing")
    assert "outcome" in run.summary


def test_postgresql_refuses_a_running_part_without_a_lease(waiting: CheckRun) -> None:
    with pytest.raises(IntegrityError, match="checkpart_leased_iff_running"), transaction.atomic():
        waiting.parts.update(state="running")


@pytest.mark.parametrize(("rows", "expected"), [(0, 1), (1, 1), (100, 1), (101, 2), (600, 6), (10**9, parts.MOST)])
def test_a_check_is_cut_by_the_number_of_rows(rows: int, expected: int) -> None:
    assert parts.parts_for(rows) == expected


@pytest.mark.parametrize(("rows", "expected"), [(0, 1), (99_999, 1), (100_000, 2), (149_999, 2), (150_000, 3)])
def test_predictions_are_cut_by_whole_batches_of_the_sandbox(rows: int, expected: int) -> None:
    """However small the parts of other checks are: a model is to see the same batches."""
    assert parts.parts_for_scores(rows) == expected


def test_a_result_that_is_used_again_is_not_cut(scientist: User, settings: Any) -> None:
    settings.CHECK_PART_ROWS = ROWS
    make.finish_all(asked(scientist))
    settings.CHECK_PART_ROWS = 100
    again = asked(scientist)
    assert not again.checks.filter(reused_from=None).exists()
    assert not CheckPart.objects.filter(run__request=again).exists()
