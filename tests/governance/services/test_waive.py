"""Waivers: the only way past a check that did not pass, dated, signed by others, named by the permit."""

import base64
import json
from datetime import timedelta

import pytest
from django.utils import timezone

from config.errors import Conflict, Invalid, NotAllowed
from governance.models import Permit, PromotionRequest, Waiver
from governance.services import promotions, waivers
from governance.states import RequestState
from registry.models import User
from registry.roles import Role
from tests.factories import governance as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def failed(checking: PromotionRequest) -> PromotionRequest:
    """A request that its performance check has stopped."""
    return make.finish_all(checking, auc=0.5)


def ask(request: PromotionRequest, by: User, *, days: float = 30, reason: str = "Until the new data is in.") -> Waiver:
    run = request.checks.get(key="performance.binary", round=request.round)
    until = timezone.now() + timedelta(days=days)
    return waivers.ask(request=request, check_run_id=run.pk, reason=reason, until=until, by=make.actor(by))


def agree(waiver: Waiver, by: User, password: str = make.PASSWORD) -> None:
    waivers.sign(waiver_id=waiver.pk, password=password, by=make.actor(by))


def test_two_others_grant_it_and_the_permit_names_it_and_ends_with_it(
    failed: PromotionRequest, scientist: User, approvers: list[User]
) -> None:
    waiver = ask(failed, scientist)
    before = failed.evidence_digest
    agree(waiver, approvers[0])
    failed.refresh_from_db()
    assert failed.state == RequestState.CHECKS_FAILED
    agree(waiver, approvers[1])
    failed.refresh_from_db()
    assert failed.state == RequestState.READY
    assert failed.evidence_digest != before
    make.approve(failed, approvers)
    permit = Permit.objects.get()
    waiver.refresh_from_db()
    assert permit.expires_at == waiver.until
    predicate = json.loads(base64.b64decode(json.loads(permit.envelope)["payload"]))["predicate"]
    assert [(one["id"], one["key"]) for one in predicate["waivers"]] == [(str(waiver.pk), "performance.binary")]


def test_who_asked_does_not_grant(failed: PromotionRequest, approvers: list[User]) -> None:
    waiver = ask(failed, approvers[0])
    with pytest.raises(NotAllowed, match="You asked"):
        agree(waiver, approvers[0])


def test_who_had_a_part_in_it_does_not_grant(failed: PromotionRequest, scientist: User, approvers: list[User]) -> None:
    waiver = ask(failed, approvers[0])
    with pytest.raises(NotAllowed, match="your vote cannot count"):
        agree(waiver, scientist)


def test_one_person_agrees_once_and_with_the_password(
    failed: PromotionRequest, scientist: User, approvers: list[User]
) -> None:
    waiver = ask(failed, scientist)
    with pytest.raises(NotAllowed):
        agree(waiver, approvers[0], "wrong")
    agree(waiver, approvers[0])
    with pytest.raises(Conflict):
        agree(waiver, approvers[0])
    waiver.refresh_from_db()
    assert waiver.granted_at is None


@pytest.mark.parametrize("days", [-1, 0, 91])
def test_the_policy_sets_the_longest(failed: PromotionRequest, scientist: User, days: float) -> None:
    with pytest.raises(Invalid) as caught:
        ask(failed, scientist, days=days)
    assert caught.value.field == "until"


def test_a_reason_is_needed(failed: PromotionRequest, scientist: User) -> None:
    with pytest.raises(Invalid) as caught:
        ask(failed, scientist, reason=" ")
    assert caught.value.field == "reason"


def test_what_is_met_needs_none(ready: PromotionRequest, scientist: User) -> None:
    with pytest.raises(Conflict):
        ask(ready, scientist)


def test_a_waiver_that_ran_out_before_signing_no_longer_helps(
    failed: PromotionRequest, scientist: User, approvers: list[User], time_machine: object
) -> None:
    waiver = ask(failed, scientist, days=1)
    for approver in approvers:
        agree(waiver, approver)
    time_machine.move_to(waiver.until)  # type: ignore[attr-defined]
    with pytest.raises(Conflict) as caught:
        make.sign(failed, approvers[0])
    assert caught.value.code == "promotion.not_ready"


def test_a_new_round_is_new_evidence_that_nobody_waived(
    failed: PromotionRequest, scientist: User, approvers: list[User]
) -> None:
    waiver = ask(failed, scientist)
    for approver in approvers:
        agree(waiver, approver)
    again = promotions.run_again(request=failed, by=make.actor(scientist))
    assert again.state == RequestState.CHECKS_FAILED


def test_an_auditor_cannot_ask(failed: PromotionRequest) -> None:
    with pytest.raises(NotAllowed):
        ask(failed, make.person("auditor", Role.AUDITOR))
