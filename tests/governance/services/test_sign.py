"""Signing: who may, on what, how often, and what the last signature does."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.db import connections, transaction
from django.utils import timezone

from config.errors import Conflict, Invalid, NotAllowed, NotFound, Refusal, TooMany
from governance.models import Decision, Permit, PromotionRequest
from governance.services import promotions, reviews
from governance.states import PermitState, RequestState
from registry.models import Alias, ModelVersion, RegisteredModel, User
from registry.roles import Role
from tests.factories import governance as make
from tests.waiting import until_a_backend_waits_on_a_lock

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]


def logged(action: str) -> list[dict[str, object]]:
    return [body for body in make.log() if body["action"] == action]


def refused(request: PromotionRequest, by: User, **how: str) -> Refusal:
    """Try to sign; nothing but the ledger and the count of failures may have moved."""
    before = (PromotionRequest.objects.get(pk=request.pk).state, Decision.objects.count(), Permit.objects.count())
    with pytest.raises(Refusal) as caught:
        make.sign(request, by, **how)
    assert (
        PromotionRequest.objects.get(pk=request.pk).state,
        Decision.objects.count(),
        Permit.objects.count(),
    ) == before
    return caught.value


def test_the_first_signature_opens_the_review_the_second_approves_and_the_permit_moves_the_alias(
    ready: PromotionRequest, approvers: list[User]
) -> None:
    make.sign(ready, approvers[0])
    ready.refresh_from_db()
    assert ready.state == RequestState.IN_REVIEW
    assert not Alias.objects.exists()
    make.sign(ready, approvers[1])
    ready.refresh_from_db()
    assert ready.state == RequestState.APPROVED
    assert not Alias.objects.exists()
    make.issue()
    assert Alias.objects.get(model=ready.model, name="production").version_id == ready.version_id
    permit = Permit.objects.get(request=ready)
    assert permit.state == PermitState.ACTIVE
    assert permit.manifest_digest == ready.manifest_digest == ready.version.manifest_digest


def test_each_signature_is_logged_by_its_signer_with_all_digests(
    ready: PromotionRequest, approvers: list[User]
) -> None:
    decision = make.sign(ready, approvers[0])
    (entry,) = logged("decision.signed")
    assert entry["id"] == decision.entry_id
    assert entry["actor"]["id"] == f"user:{approvers[0].pk}"  # type: ignore[index]
    assert entry["facts"] == {
        "request": str(ready.pk),
        "record_digest": make.digest(decision.record),
        "manifest_digest": ready.manifest_digest,
        "policy_digest": ready.policy_version.digest,
        "evidence_digest": ready.evidence_digest,
        "outcome": "approve",
        "stage": 0,
        "role": "approver",
    }


def test_a_stage_transition_needs_and_gets_the_same(
    version: ModelVersion, scientist: User, approvers: list[User]
) -> None:
    request = make.finish_all(make.request(version, scientist, "stage:Production"))
    make.approve(request, approvers)
    version.refresh_from_db()
    assert version.stage == "Production"


@pytest.mark.parametrize("part", ["requested_by", "registered_by", "trained_by", "code_author"])
def test_nobody_signs_what_they_had_a_part_in(part: str, scientist: User, approvers: list[User]) -> None:
    signer = approvers[0]
    model = make.registered_model(scientist)
    registered_by = signer if part == "registered_by" else scientist
    fields: dict[str, Any] = {part: signer} if part in {"trained_by", "code_author"} else {}
    version = make.sealed_version(model, registered_by, **fields)
    if part == "requested_by":
        team = Group.objects.get(name__startswith="scientist")
        signer.groups.add(team)
    request = make.finish_all(make.request(version, signer if part == "requested_by" else scientist))
    refusal = refused(request, signer)
    assert refusal.code == "signing.conflict_of_interest"
    assert logged("decision.refused")[-1]["facts"] == {"code": "signing.conflict_of_interest"}


def test_a_superuser_an_administrator_and_a_service_account_have_no_vote(ready: PromotionRequest) -> None:
    root = make.person("root", is_superuser=True)
    administrator = make.person("administrator", Role.ADMINISTRATOR)
    robot = make.person("robot", Role.APPROVER, is_service=True)
    assert refused(ready, root).code == "signing.no_place"
    assert refused(ready, administrator).code == "signing.no_place"
    assert refused(ready, robot).code == "signing.service_account"


def test_one_person_fills_one_place(ready: PromotionRequest, approvers: list[User]) -> None:
    make.sign(ready, approvers[0])
    refusal = refused(ready, approvers[0])
    assert isinstance(refusal, NotAllowed)
    assert "already" in refusal.message


def test_a_stranger_gets_404(ready: PromotionRequest) -> None:
    stranger = make.person("stranger", Role.APPROVER)
    stranger.groups.clear()
    with pytest.raises(NotFound):
        reviews.new_challenge(request=ready, by=make.actor(stranger))


def test_a_wrong_password_is_counted_logged_and_locks_at_last(ready: PromotionRequest, approvers: list[User]) -> None:
    signer = approvers[0]
    for attempt in range(1, settings.SIGNING_ATTEMPTS):
        refusal = refused(ready, signer, password="wrong")
        assert (refusal.code, refusal.field) == ("signing.password", "password")
        signer.refresh_from_db()
        assert signer.signing_failures == attempt
    assert isinstance(refused(ready, signer, password="wrong"), TooMany)
    # The right password does not help while the account is locked.
    assert refused(ready, signer).code == "signing.locked"
    assert len(logged("decision.refused")) == settings.SIGNING_ATTEMPTS + 1
    User.objects.filter(pk=signer.pk).update(signing_locked_until=timezone.now() - timedelta(seconds=1))
    make.sign(ready, signer)
    signer.refresh_from_db()
    assert (signer.signing_failures, signer.signing_locked_until) == (0, None)


def test_newer_evidence_than_was_seen_is_not_signed(ready: PromotionRequest, approvers: list[User]) -> None:
    assert refused(ready, approvers[0], evidence_digest="0" * 64).code == "evidence_changed"


def test_a_card_changed_after_the_checks_is_other_evidence(ready: PromotionRequest, approvers: list[User]) -> None:
    RegisteredModel.objects.filter(pk=ready.model_id).update(card={"intended_use": "Something else."})
    assert refused(ready, approvers[0]).code == "evidence_changed"


def test_another_policy_in_force_voids_the_review(ready: PromotionRequest, approvers: list[User]) -> None:
    make.policy(make.VALIDATOR_THEN_APPROVER)
    assert refused(ready, approvers[0]).code == "policy_changed"


def test_another_live_version_than_compared_with_is_not_overlooked(
    ready: PromotionRequest, scientist: User, approvers: list[User]
) -> None:
    other = make.finish_all(make.request(make.sealed_version(ready.model, scientist), scientist))
    make.approve(other, approvers)
    assert refused(ready, approvers[0]).code == "live_changed"


def test_checks_that_did_not_pass_cannot_be_signed_away(checking: PromotionRequest, approvers: list[User]) -> None:
    assert refused(checking, approvers[0]).code == "promotion.state"
    failed = make.finish_all(checking, auc=0.5)
    assert failed.state == RequestState.CHECKS_FAILED
    assert refused(failed, approvers[0]).code == "promotion.state"


def test_a_challenge_is_used_once_by_its_person_for_its_request(ready: PromotionRequest, approvers: list[User]) -> None:
    challenge = reviews.new_challenge(request=ready, by=make.actor(approvers[0]))

    def sign(by: User, challenge_id: object = challenge.pk) -> None:
        reviews.sign(
            request_id=ready.pk, outcome="approve", meaning="approval", comment="", conditions="",
            password=make.PASSWORD, challenge_id=challenge_id, evidence_digest=ready.evidence_digest, by=make.actor(by),  # type: ignore[arg-type]
        )  # fmt: skip

    for by, which in ((approvers[1], challenge.pk), (approvers[0], uuid4())):
        with pytest.raises(Conflict) as caught:
            sign(by, which)
        assert caught.value.code == "signing.challenge"
    type(challenge).objects.update(created_at=timezone.now() - timedelta(minutes=31))
    with pytest.raises(Conflict):
        sign(approvers[0])
    type(challenge).objects.update(created_at=timezone.now())
    sign(approvers[0])
    challenge.refresh_from_db()
    assert challenge.used_at is not None


@pytest.mark.parametrize(
    ("field", "how"),
    [
        ("outcome", {"outcome": "perhaps"}),
        ("comment", {"outcome": "reject"}),
        ("comment", {"outcome": "request_changes", "comment": " "}),
        ("conditions", {"outcome": "approve_with_conditions"}),
        ("conditions", {"outcome": "approve", "conditions": "But."}),
        ("comment", {"comment": "a\x00b"}),
    ],
)
def test_bad_input_is_refused_by_field(
    ready: PromotionRequest, approvers: list[User], field: str, how: dict[str, str]
) -> None:
    refusal = refused(ready, approvers[0], **how)
    assert isinstance(refusal, Invalid)
    assert refusal.field == field


def test_a_rejection_is_final_and_says_why(ready: PromotionRequest, approvers: list[User]) -> None:
    make.sign(ready, approvers[0], "reject", comment="The data is from another market.")
    ready.refresh_from_db()
    assert ready.state == RequestState.REJECTED
    assert logged("promotion.rejected")[0]["reason"] == "The data is from another market."
    assert refused(ready, approvers[1]).code == "promotion.state"


def test_returning_and_running_again_voids_the_votes_and_reuses_the_results(
    ready: PromotionRequest, scientist: User, approvers: list[User]
) -> None:
    make.sign(ready, approvers[0])
    make.sign(ready, approvers[1], "request_changes", comment="Describe the limits.")
    ready.refresh_from_db()
    assert ready.state == RequestState.CHANGES_REQUESTED
    again = promotions.run_again(request=ready, by=make.actor(scientist))
    assert (again.state, again.round) == (RequestState.READY, 2)
    runs = again.checks.filter(round=2)
    assert all(run.reused_from is not None and run.reused_from.round == 1 for run in runs)
    make.sign(again, approvers[1])
    again.refresh_from_db()
    assert again.state == RequestState.IN_REVIEW
    make.sign(again, approvers[0])
    again.refresh_from_db()
    assert again.state == RequestState.APPROVED


def test_conditions_are_carried_into_state_and_permit(ready: PromotionRequest, approvers: list[User]) -> None:
    make.sign(ready, approvers[0], "approve_with_conditions", conditions="Review in June.")
    make.sign(ready, approvers[1])
    ready.refresh_from_db()
    assert ready.state == RequestState.APPROVED_WITH_CONDITIONS
    make.issue()
    payload = json.loads(base64.b64decode(json.loads(Permit.objects.get().envelope)["payload"]))
    assert payload["predicate"]["conditions"] == ["Review in June."]


def test_stages_are_signed_in_order_each_by_its_role(scientist: User) -> None:
    make.policy(make.VALIDATOR_THEN_APPROVER)
    validator, approver = make.person("validator", Role.VALIDATOR), make.person("approver", Role.APPROVER)
    insider = make.person("insider", Role.VALIDATOR, Role.CONTRIBUTOR)
    request = make.finish_all(make.request(make.sealed_version(make.registered_model(scientist), scientist), scientist))
    assert refused(request, approver).code == "signing.no_place"
    assert refused(request, insider).code == "signing.no_place"
    make.sign(request, validator)
    request.refresh_from_db()
    assert request.stage == 1
    make.sign(request, approver)
    request.refresh_from_db()
    assert request.state == RequestState.APPROVED


def test_every_state_change_has_exactly_one_entry(ready: PromotionRequest, approvers: list[User]) -> None:
    make.approve(ready, approvers)
    bodies = make.log()
    changes = [b["diff"]["state"] for b in bodies if b["object"]["id"] == str(ready.pk) and "state" in b["diff"]]
    assert changes == [["draft", "checking"], ["checking", "ready"], ["ready", "in_review"], ["in_review", "approved"]]


@pytest.mark.django_db(transaction=True)
def test_two_last_signatures_at_once_give_one_permit(ready: PromotionRequest, approvers: list[User]) -> None:
    third = make.person("approver", Role.APPROVER)
    make.sign(ready, approvers[0])
    challenges = {user.pk: reviews.new_challenge(request=ready, by=make.actor(user)) for user in (approvers[1], third)}
    ready.refresh_from_db()

    def last(user: User) -> str:
        try:
            reviews.sign(
                request_id=ready.pk, outcome="approve", meaning="approval", comment="", conditions="",
                password=make.PASSWORD, challenge_id=challenges[user.pk].pk, evidence_digest=ready.evidence_digest,
                by=make.actor(user),
            )  # fmt: skip
        except Refusal as refusal:
            return refusal.code
        finally:
            connections.close_all()
        return "signed"

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            reviews.sign(
                request_id=ready.pk, outcome="approve", meaning="approval", comment="", conditions="",
                password=make.PASSWORD, challenge_id=challenges[third.pk].pk, evidence_digest=ready.evidence_digest,
                by=make.actor(third),
            )  # fmt: skip
            other = pool.submit(last, approvers[1])
            until_a_backend_waits_on_a_lock()
        assert other.result(timeout=30) == "promotion.state"
    make.issue()
    assert Permit.objects.count() == 1
    assert len(logged("permit.issued")) == 1
