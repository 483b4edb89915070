"""Stopping a check, and having errors tried again: who may, what follows, and where it ends."""

from datetime import timedelta

import pytest
from django.utils import timezone

from config.errors import Conflict, NotAllowed, NotFound
from governance.guards.checks import MOST_TRIES, check_can_retry
from governance.models import CheckRun, PromotionRequest
from governance.progress import progress_of
from governance.services import checks, parts, stops
from governance.states import CheckState, RequestState
from registry.models import User
from registry.roles import Role
from tests.factories import governance as make
from tests.factories.audit import by_hand

pytestmark = pytest.mark.django_db


def scores_of(request: PromotionRequest) -> CheckRun:
    return request.checks.get(key="predict.scores", round=request.round)


def test_who_asked_cancels_a_running_check_and_what_needs_it_ends_too(
    checking: PromotionRequest, scientist: User
) -> None:
    run = scores_of(checking)
    held = checks.claim(run.pk, owner="one")
    assert held is not None
    stops.cancel(run_id=run.pk, by=make.actor(scientist), reason="Wrong data.")
    assert not checks.renew(held)
    assert not checks.finish(held, make.outcome_of(run, 0.9))
    run.refresh_from_db()
    assert (run.state, run.verdict, run.error_code) == (CheckState.FINISHED, "error", "cancelled")
    assert run.summary == "It was cancelled: Wrong data."
    dependant = checking.checks.get(key="performance.binary")
    assert dependant.error_code == "needs_failed"
    checking.refresh_from_db()
    assert checking.state == RequestState.CHECKS_FAILED


def test_an_officer_cancels_a_check_that_waits(checking: PromotionRequest, approvers: list[User]) -> None:
    run = stops.cancel(run_id=checking.checks.get(key="performance.binary").pk, by=make.actor(approvers[0]))
    assert run.error_code == "cancelled"
    checking.refresh_from_db()
    assert checking.state == RequestState.CHECKING


@pytest.mark.parametrize("role", [Role.VALIDATOR, Role.APPROVER, Role.ADMINISTRATOR])
def test_whoever_answers_for_the_model_cancels(checking: PromotionRequest, role: Role) -> None:
    run = stops.cancel(run_id=scores_of(checking).pk, by=make.actor(make.person("officer", role)))
    assert run.error_code == "cancelled"


def test_an_auditor_looks_on_and_cancels_nothing(checking: PromotionRequest) -> None:
    with pytest.raises(NotAllowed):
        stops.cancel(run_id=scores_of(checking).pk, by=make.actor(make.person("auditor", Role.AUDITOR)))


def test_of_a_request_that_is_not_being_checked_nothing_is_cancelled(
    checking: PromotionRequest, scientist: User
) -> None:
    PromotionRequest.objects.filter(pk=checking.pk).update(state=RequestState.CHECKS_FAILED)
    with pytest.raises(Conflict, match="neither waits nor runs"):
        stops.cancel(run_id=scores_of(checking).pk, by=make.actor(scientist))


def test_only_a_contributor_tries_again_and_nobody_while_checks_run(
    checking: PromotionRequest, scientist: User, approvers: list[User]
) -> None:
    stops.cancel(run_id=checking.checks.get(key="performance.binary").pk, by=make.actor(scientist))
    with pytest.raises(Conflict, match="checks are running"):
        stops.retry_errors(request=checking, by=make.actor(scientist))
    request = make.finish_all(checking)
    assert request.state == RequestState.CHECKS_FAILED
    for by, refusal in ((approvers[0], NotAllowed), (make.person("nobody"), NotFound)):
        with pytest.raises(refusal):
            stops.retry_errors(request=request, by=make.actor(by))
        with pytest.raises(refusal):  # so that no button is offered to them either
            check_can_retry(make.actor(by), request)
    assert request.checks.filter(round=2).count() == 0


def test_a_new_error_is_tried_again_beside_one_that_was_met_too_often(
    checking: PromotionRequest, scientist: User
) -> None:
    """What is tried again is the whole of what failed: as long as one of it may end otherwise."""
    make.finish_all(checking, auc=None)
    often = checking.checks.get(key="predict.scores")
    with by_hand():
        for number in range(MOST_TRIES):
            CheckRun.objects.create(
                request=checking, round=1, key="often", check_version="1", title="Often", category="data",
                position=9 + number, state=CheckState.FINISHED, verdict="error", error_code="raised", summary="No.",
                finished_at=often.finished_at,
            )  # fmt: skip
    checking.refresh_from_db()
    assert stops.retry_errors(request=checking, by=make.actor(scientist)).round == 2


def test_a_colleague_may_not_cancel_and_a_stranger_sees_nothing(checking: PromotionRequest) -> None:
    run = scores_of(checking)
    for by, refusal in ((make.person("colleague", Role.CONTRIBUTOR), NotAllowed), (make.person("nobody"), NotFound)):
        with pytest.raises(refusal):
            stops.cancel(run_id=run.pk, by=make.actor(by))
    run.refresh_from_db()
    assert run.state == CheckState.QUEUED


def test_a_finished_check_cannot_be_cancelled(ready: PromotionRequest, scientist: User) -> None:
    with pytest.raises(Conflict, match="neither waits nor runs"):
        stops.cancel(run_id=scores_of(ready).pk, by=make.actor(scientist))


def test_errors_are_tried_again_a_number_of_times_and_then_not(checking: PromotionRequest, scientist: User) -> None:
    request = make.finish_all(checking, auc=None)
    for tried in range(2, MOST_TRIES + 1):
        request = stops.retry_errors(request=request, by=make.actor(scientist))
        assert (request.round, request.state) == (tried, RequestState.CHECKING)
        request = make.finish_all(request, auc=None)
    with pytest.raises(Conflict, match=f"error {MOST_TRIES} times"):
        stops.retry_errors(request=request, by=make.actor(scientist))


def test_cancelled_checks_do_not_count_as_tries(checking: PromotionRequest, scientist: User) -> None:
    request = checking
    for _ in range(MOST_TRIES + 1):
        stops.cancel(run_id=scores_of(request).pk, by=make.actor(scientist))
        request.refresh_from_db()
        request = stops.retry_errors(request=request, by=make.actor(scientist))
    assert request.round == MOST_TRIES + 2


def test_only_errors_run_again_and_without_one_nothing_does(checking: PromotionRequest, scientist: User) -> None:
    stops.cancel(run_id=checking.checks.get(key="performance.binary").pk, by=make.actor(scientist))
    request = make.finish_all(checking)
    again = stops.retry_errors(request=request, by=make.actor(scientist))
    runs = {run.key: run for run in again.checks.filter(round=2)}
    assert runs["predict.scores"].reused_from_id == checking.checks.get(key="predict.scores", round=1).pk
    assert runs["performance.binary"].state == CheckState.QUEUED
    done = make.finish_all(again)
    with pytest.raises(Conflict, match="No check ended with an error"):
        stops.retry_errors(request=done, by=make.actor(scientist))


def test_the_time_left_follows_from_the_share_that_is_done(checking: PromotionRequest) -> None:
    run = scores_of(checking)
    assert progress_of(run).words == "started"
    held = checks.claim(run.pk, owner="one")
    assert held is not None
    checks.progress(held, 25, 100)
    run.refresh_from_db()
    assert run.started_at is not None
    shown = progress_of(run, now=run.started_at + timedelta(minutes=2))
    assert (shown.percent, shown.left, shown.words) == (25, timedelta(minutes=6), "25 %, about 6 minutes left")


def test_a_check_in_parts_says_how_many_are_done(checking: PromotionRequest) -> None:
    scores = scores_of(checking)
    held = checks.claim(scores.pk, owner="one")
    assert held is not None
    checks.finish(held, make.outcome_of(scores, 0.9))
    run = checking.checks.get(key="performance.binary")
    parts.cut([run], {run.pk: 4})
    part = parts.claim(run.parts.get(number=0).pk, owner="one")
    assert part is not None
    parts.finish(part, "")
    run.refresh_from_db()
    began = run.parts.get(number=0).started_at
    assert began is not None
    shown = progress_of(run, now=began + timedelta(seconds=10))
    assert (shown.parts, shown.parts_done) == (4, 1)
    assert shown.words == "25 %, 1 of 4 parts, about 30 seconds left"
    assert progress_of(run, now=timezone.now()).share == 0.25
