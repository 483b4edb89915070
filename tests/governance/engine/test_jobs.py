"""A check as a job: one claim, one result, whatever dies, arrives twice or comes too late."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from django.conf import settings
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from audit.models import Inbox
from governance.models import CheckRun, PromotionRequest
from governance.services import checks, promotions
from governance.services.checks import Claim
from governance.states import CheckState, RequestState
from registry.models import User
from tests.factories import governance as make
from tests.waiting import until_a_backend_waits_on_a_lock

pytestmark = pytest.mark.django_db
LONG_AND_SHORT = """\
policy: house
governs: {tiers: [1, 2, 3], targets: ["alias:production"]}
checks:
  - use: data.quality
  - use: documentation.card
  - use: drift.classifier
  - use: performance.binary
review:
  - stage: approval
    all: [{role: approver, n: 1}]
"""


def scores_of(request: PromotionRequest) -> CheckRun:
    return request.checks.get(key="predict.scores")


def claimed(run: CheckRun, owner: str = "one") -> Claim:
    held = checks.claim(run.pk, owner=owner)
    assert held is not None
    return held


def lapse(run: CheckRun) -> None:
    """The worker died: nobody renews the lease any more, and its end is past."""
    CheckRun.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def finished_entries(run_id: UUID) -> int:
    bodies = [json.loads(row.canon) for row in Inbox.objects.all()]
    return sum(body["action"] == "check.finished" and body["object"]["id"] == str(run_id) for body in bodies)


def test_a_job_delivered_twice_is_claimed_once(checking: PromotionRequest) -> None:
    run = scores_of(checking)
    assert claimed(run).attempt == 1
    assert checks.claim(run.pk, owner="two") is None


def test_a_job_waits_for_what_it_needs(checking: PromotionRequest) -> None:
    scores, performance = checking.checks.all()
    assert checks.claim(performance.pk, owner="one") is None
    assert checks.due_of(checking.pk) == [scores.pk]
    assert checks.finish(claimed(scores), make.outcome_of(scores, 0.9))
    assert checks.due_of(checking.pk) == [performance.pk]


def test_what_takes_long_is_begun_first(scientist: User) -> None:
    """So that no worker begins a long job when the others have nothing left to do."""
    make.policy(LONG_AND_SHORT)
    request = make.request(make.sealed_version(make.registered_model(scientist), scientist), scientist)
    names = {run.pk: run.key for run in request.checks.all()}
    assert [names[pk] for pk in checks.due_of(request.pk)] == [
        "predict.scores", "drift.classifier", "data.quality", "documentation.card",
    ]  # fmt: skip


def test_a_finished_job_is_not_run_again(checking: PromotionRequest) -> None:
    run = scores_of(checking)
    held = claimed(run)
    assert checks.finish(held, make.outcome_of(run, 0.9))
    assert checks.claim(run.pk, owner="two") is None
    assert not checks.finish(held, make.outcome_of(run, 0.1))
    assert finished_entries(run.pk) == 1


def test_only_the_present_owner_writes_the_result(checking: PromotionRequest) -> None:
    run = scores_of(checking)
    first = claimed(run, "dead")
    lapse(run)
    second = claimed(run, "alive")
    assert second.attempt == 2
    assert not checks.renew(first)
    assert not checks.progress(first, 1, 2)
    assert not checks.finish(first, make.outcome_of(run, 0.1))
    assert checks.renew(second)
    assert checks.finish(second, make.outcome_of(run, 0.9))
    run.refresh_from_db()
    assert (run.owner, run.attempt, run.verdict) == ("alive", 2, "pass")
    assert finished_entries(run.pk) == 1


def test_who_takes_a_job_over_begins_at_nothing(checking: PromotionRequest) -> None:
    run = scores_of(checking)
    assert checks.progress(claimed(run, "dead"), 90, 100)
    lapse(run)
    claimed(run, "alive")
    run.refresh_from_db()
    assert (run.progress_done, run.progress_total) == (0, 0)


def test_the_sweeper_puts_back_what_a_dead_worker_left_and_rings_once(checking: PromotionRequest) -> None:
    run = scores_of(checking)
    claimed(run)
    assert checks.sweep() == []
    lapse(run)
    assert checks.sweep() == [run.pk]
    assert checks.sweep() == []
    run.refresh_from_db()
    assert (run.state, run.owner, run.lease_until) == (CheckState.QUEUED, "", None)
    CheckRun.objects.filter(pk=run.pk).update(rung_at=timezone.now() - checks.RING_AGAIN)
    assert checks.sweep() == [run.pk]


def test_a_job_that_kills_its_workers_ends_as_an_error(checking: PromotionRequest) -> None:
    run = scores_of(checking)
    for _ in range(settings.JOB_MAX_ATTEMPTS):
        claimed(run)
        lapse(run)
        checks.sweep()
    run.refresh_from_db()
    assert (run.state, run.verdict, run.error_code) == (CheckState.FINISHED, "error", "worker_lost")
    dependant = checking.checks.get(key="performance.binary")
    assert (dependant.verdict, dependant.error_code) == ("error", "needs_failed")
    assert run.title in dependant.summary
    checking.refresh_from_db()
    assert checking.state == RequestState.CHECKS_FAILED
    assert finished_entries(run.pk) == finished_entries(dependant.pk) == 1


def test_the_entry_of_a_result_names_all_that_went_in(checking: PromotionRequest) -> None:
    run = scores_of(checking)
    outcome = replace(
        make.outcome_of(run, 0.9), sandbox={"level": "full", "platform": "Linux"}, provenance={"data": "0" * 64}
    )
    assert checks.finish(claimed(run), outcome)
    bodies = [json.loads(row.canon) for row in Inbox.objects.all()]
    (facts,) = [
        body["facts"] for body in bodies if body["action"] == "check.finished" and body["object"]["id"] == str(run.pk)
    ]
    assert run.dataset is not None
    assert facts == {
        "request": str(checking.pk),
        "key": "predict.scores",
        "check": "predict.scores",
        "check_version": run.check_version,
        "verdict": "pass",
        "result_digest": outcome.result_digest,
        "manifest_digest": checking.manifest_digest,
        "dataset_digest": run.dataset.digest,
        "cache_key": run.cache_key,
        "attempt": 1,
        "owner": "one",
        "environment": {"level": "full", "platform": "Linux"},
        "provenance": {"data": "0" * 64},
        "files": [],
    }


def test_what_killed_the_last_worker_is_not_taken_again_before_it_is_swept(checking: PromotionRequest) -> None:
    run = scores_of(checking)
    for number in range(settings.JOB_MAX_ATTEMPTS):
        assert claimed(run).attempt == number + 1
        lapse(run)
    assert checks.claim(run.pk, owner="another") is None


def test_a_job_waits_for_all_that_it_needs_and_ends_with_any_of_them(checking: PromotionRequest) -> None:
    """A comparison needs the predictions of two versions."""
    scores, comparison = checking.checks.all()
    CheckRun.objects.filter(pk=comparison.pk).update(needs=None, also_needs=[scores.pk])
    assert checks.claim(comparison.pk, owner="one") is None
    assert checks.due_of(checking.pk) == [scores.pk]
    assert checks.finish(claimed(scores), make.outcome_of(scores, None))
    comparison.refresh_from_db()
    assert (comparison.verdict, comparison.error_code) == ("error", "needs_failed")


def test_what_an_error_ends_ends_what_needs_that(checking: PromotionRequest) -> None:
    scores, performance = checking.checks.all()
    last = CheckRun.objects.create(
        request=checking, round=checking.round, key="last", check_version="1", title="Last", category="data",
        requirement={"use": "data.quality@1"}, needs=performance, position=9,
    )  # fmt: skip
    assert checks.finish(claimed(scores), make.outcome_of(scores, None))
    last.refresh_from_db()
    assert (last.error_code, last.verdict) == ("needs_failed", "error")
    assert performance.title in last.summary


def test_of_an_earlier_round_nothing_is_taken(checking: PromotionRequest) -> None:
    run = scores_of(checking)
    PromotionRequest.objects.filter(pk=checking.pk).update(round=2)
    assert checks.claim(run.pk, owner="one") is None
    assert checks.due_of(checking.pk) == checks.sweep() == []


@pytest.mark.parametrize("state", [RequestState.READY, RequestState.CHECKS_FAILED])
def test_of_a_request_that_is_not_being_checked_nothing_is_taken(
    checking: PromotionRequest, state: RequestState
) -> None:
    run = scores_of(checking)
    PromotionRequest.objects.filter(pk=checking.pk).update(state=state)
    assert checks.claim(run.pk, owner="one") is None
    assert checks.due(run.pk) == checks.due_of(checking.pk) == checks.sweep() == []


def test_a_worker_that_takes_its_own_job_again_has_one_claim(checking: PromotionRequest) -> None:
    run = scores_of(checking)
    first = claimed(run, "one")
    lapse(run)
    second = claimed(run, "one")
    assert not checks.renew(first)
    assert not checks.finish(first, make.outcome_of(run, 0.1))
    assert checks.finish(second, make.outcome_of(run, 0.9))
    assert not checks.renew(second)
    assert not checks.progress(second, 1, 2)


@pytest.mark.django_db(transaction=True)
def test_a_job_that_changes_hands_while_its_late_result_is_written(checking: PromotionRequest) -> None:
    run = scores_of(checking)
    late = claimed(run, "late")
    lapse(run)

    def finish() -> bool:
        try:
            return checks.finish(late, make.outcome_of(run, 0.1))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            claimed(run, "next")
            other = pool.submit(finish)
            until_a_backend_waits_on_a_lock()
        assert not other.result(timeout=30)
    run.refresh_from_db()
    assert (run.owner, run.state, run.attempt) == ("next", CheckState.RUNNING, 2)
    assert finished_entries(run.pk) == 0


def test_a_result_that_comes_after_another_round_has_begun_ends_no_round(
    checking: PromotionRequest, scientist: User
) -> None:
    scores, performance = checking.checks.all()
    assert checks.finish(claimed(scores), make.outcome_of(scores, 0.9))
    held = claimed(performance)
    PromotionRequest.objects.filter(pk=checking.pk).update(round=2)
    assert checks.finish(held, make.outcome_of(performance, 0.9))
    checking.refresh_from_db()
    assert checking.state == RequestState.CHECKING


def test_an_error_in_the_scores_ends_what_needs_them(checking: PromotionRequest) -> None:
    request = make.finish_all(checking, auc=None)
    assert request.state == RequestState.CHECKS_FAILED
    assert {run.error_code for run in request.checks.all()} == {"raised", "needs_failed"}
    assert all(run.result_digest for run in request.checks.all())


def test_a_result_after_the_withdrawal_is_not_taken(checking: PromotionRequest, scientist: User) -> None:
    run = scores_of(checking)
    held = claimed(run)
    promotions.withdraw(request=checking, by=make.actor(scientist))
    assert not checks.finish(held, make.outcome_of(run, 0.9))
    assert not checks.renew(held)
    run.refresh_from_db()
    assert run.error_code == "cancelled"


def test_errors_are_run_again_and_results_are_not(checking: PromotionRequest, scientist: User) -> None:
    make.finish_all(checking, auc=None)
    again = promotions.run_again(request=checking, by=make.actor(scientist))
    assert again.state == RequestState.CHECKING
    assert not again.checks.filter(round=2).exclude(reused_from=None).exists()
    failed = make.finish_all(again, auc=0.5)
    third = promotions.run_again(request=failed, by=make.actor(scientist))
    assert third.state == RequestState.CHECKS_FAILED
    assert not third.checks.filter(round=3, reused_from=None).exists()


def test_postgresql_refuses_a_running_job_without_a_lease(checking: PromotionRequest) -> None:
    with pytest.raises(IntegrityError, match="checkrun_leased_iff_running"), transaction.atomic():
        CheckRun.objects.filter(pk=scores_of(checking).pk).update(state="running")
