"""Who may stop a check, and who may have errors tried again."""

from typing import Final

from audit.actors import Actor
from config.errors import Conflict, NotAllowed
from governance.guards.requests import check_can_run_again, check_can_see, person
from governance.models import CheckRun, PromotionRequest
from governance.states import CheckState, RequestState
from registry.reach import ADMINISTER, APPROVE, VALIDATE, holds

MOST_TRIES: Final = 5
CONSEQUENCES: Final = ("needs_failed", "cancelled")
"""Errors that say nothing about the check itself: what it needed ended, or somebody stopped it."""


def check_can_cancel(by: Actor, run: CheckRun) -> None:
    """Who asked for the promotion, and validators, approvers and administrators of the model; while the check is not over."""
    request = run.request
    check_can_see(by, request.model)
    reader = person(by)
    if reader.pk != request.requested_by_id and not any(
        holds(reader, right, request.model_id) for right in (VALIDATE, APPROVE, ADMINISTER)
    ):
        raise NotAllowed(
            "Only the person who asked for the promotion, a validator or an approver may stop its checks.",
            code="check.not_yours",
            remedy="Ask one of them.",
        )
    if run.state not in (CheckState.QUEUED, CheckState.RUNNING) or request.state != RequestState.CHECKING:
        raise Conflict("This check neither waits nor runs.", code="check.not_running", extra={"state": run.state})


def check_can_retry(by: Actor, request: PromotionRequest) -> None:
    """A contributor, when a check of the present round ended with an error that was not met too often."""
    check_can_run_again(by, request)
    errors = CheckRun.objects.filter(request=request, verdict=CheckRun.Verdict.ERROR)
    now = set(errors.filter(round=request.round).values_list("key", flat=True))
    if not now:
        raise Conflict(
            "No check ended with an error.",
            code="check.no_errors",
            remedy="To measure everything anew, run the checks again.",
        )
    causes = errors.filter(key__in=now).exclude(error_code__in=CONSEQUENCES)
    tries: dict[str, int] = {}
    for key in causes.values_list("key", flat=True):
        tries[key] = tries.get(key, 0) + 1
    if tries and min(tries.values()) >= MOST_TRIES:
        worst = max(tries, key=lambda key: (tries[key], key))
        raise Conflict(
            f"“{worst}” has ended with an error {tries[worst]} times; another try would end so, too.",
            code="check.tried_enough",
            remedy="Read its error. Register a version or data that it can run on, or ask an operator to read the worker's log.",
        )
