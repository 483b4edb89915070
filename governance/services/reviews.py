"""Signing. One person, one vote, on exactly what they saw; after the last one the permit is made (``services.permits``)."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone

from audit import personal
from audit.actors import Actor
from audit.canonical import canonical
from audit.commitments import Personal
from audit.services import append
from config.errors import Conflict, Invalid, NotAllowed, NotFound
from governance import guards
from governance.models import Challenge, Decision, PromotionRequest
from governance.selectors.policies import policy_for
from governance.selectors.requests import live_version
from governance.services.identity import authenticate, log_refusal
from governance.services.snapshots import current_digest
from governance.services.transitions import locked, move
from governance.standing import Standing, display_name, person_id, standing_of
from governance.states import RequestState

CHALLENGE_LIFE: Final = timedelta(minutes=30)
RECORD_FORMAT: Final = "countersign-decision/2"
_AGAINST: Final = {
    Decision.Outcome.REJECT: (RequestState.REJECTED, "promotion.rejected"),
    Decision.Outcome.RETURN: (RequestState.CHANGES_REQUESTED, "promotion.changes_requested"),
}


@dataclass(frozen=True, slots=True)
class _Vote:
    """What the signing form says, checked."""

    outcome: str
    meaning: str
    comment: str
    conditions: str
    challenge_id: UUID
    evidence_digest: str


@transaction.atomic
def new_challenge(*, request: PromotionRequest, by: Actor) -> Challenge:
    """A single-use nonce for the signing form, tied to person, request and what the request shows now.

    Anybody who may see the request gets one; whether they may sign is decided when they do. Raises ``NotFound``.
    """
    guards.check_can_see(by, request.model)
    now = timezone.now()
    Challenge.objects.filter(person=guards.person(by), used_at=None, created_at__lt=now - CHALLENGE_LIFE).delete()
    return Challenge.objects.create(
        request=request,
        person=guards.person(by),
        evidence_digest=request.evidence_digest,
        policy_digest=request.policy_version.digest,
    )


def sign(
    *,
    request_id: UUID,
    outcome: str,
    meaning: str,
    comment: str,
    conditions: str,
    password: str,
    challenge_id: UUID,
    evidence_digest: str,
    by: Actor,
) -> Decision:
    """Sign a decision with the password, and do what follows from it.

    Guarantees: vote, state and their entries are one transaction; two last signatures at once approve once. Approved, the
    request waits for its permit, which two other processes make when the signatures have their place in the log; only then
    does the target move. Nothing newer than ``evidence_digest`` is ever signed. A refused attempt is logged
    (``decision.refused``) although nothing else changes, so this must not be called inside
    another transaction that may roll back.

    Raises ``NotFound``; ``Invalid`` naming the field; ``NotAllowed`` (wrong password, no right, conflict of interest);
    ``TooMany`` (locked out); ``Conflict`` with the codes ``evidence_changed``, ``policy_changed``, ``live_changed``,
    ``signing.challenge``, ``signing.log_broken``, ``promotion.*``.
    """
    request = PromotionRequest.objects.select_related("model").filter(pk=request_id).first()
    if request is None:
        raise NotFound("There is no such request, or you may not see it.", code="promotion.unknown")
    guards.check_can_see(by, request.model)
    guards.check_log_holds()
    said, named = _texts(outcome, meaning, comment, conditions)
    vote = _Vote(outcome, meaning, said, named, challenge_id, evidence_digest)
    authenticated = authenticate(by, request, password)
    try:
        return _sign(request_id, vote, authenticated, by)
    except NotAllowed as refusal:
        with transaction.atomic():
            log_refusal(by, request, refusal)
        raise


def _texts(outcome: str, meaning: str, comment: str, conditions: str) -> tuple[str, str]:
    if outcome not in Decision.Outcome.values:
        raise Invalid(f"“{outcome}” is no outcome.", code="signing.outcome", field="outcome")
    if meaning not in Decision.Meaning.values:
        raise Invalid("Say what your signature means.", code="signing.meaning", field="meaning")
    against = outcome in _AGAINST
    said = guards.text_of(comment, field="comment", required=against)
    conditional = outcome == Decision.Outcome.CONDITIONS
    named = guards.text_of(conditions, field="conditions", required=conditional)
    if named and not conditional:
        raise Invalid(
            "Conditions belong to an approval with conditions.", code="signing.conditions", field="conditions"
        )
    return said, named


@transaction.atomic
def _sign(request_id: UUID, vote: _Vote, authenticated: str, by: Actor) -> Decision:
    request = locked(request_id)
    standing = standing_of(request, at=timezone.now())
    guards.check_can_sign(by, request, standing, vote.outcome)
    _check_seen(request, vote.evidence_digest)
    stage, role, independent = guards.slot_for(by, request, standing)
    challenge = _use(vote.challenge_id, request, by)
    decision = Decision(
        id=uuid4(),
        request=request,
        round=request.round,
        stage=stage,
        role=role,
        person=guards.person(by),
        outcome=vote.outcome,
        meaning=vote.meaning,
        comment=vote.comment,
        conditions=vote.conditions,
        challenge=challenge.pk,
        authenticated=authenticated,
        signed_at=timezone.now(),
    )
    _record(decision, standing, independent=independent)
    decision.entry_id = append(
        action="decision.signed",
        subject=decision,
        by=by,
        reason=vote.comment,
        facts={
            "request": str(request.pk),
            "record_digest": decision.record_digest,
            "manifest_digest": request.manifest_digest,
            "policy_digest": standing.policy.digest,
            "evidence_digest": request.evidence_digest,
            "outcome": decision.outcome,
            "stage": decision.stage,
            "role": decision.role,
        },
        people=[_signer(decision)],
    )
    decision.save(force_insert=True)
    _follow(request, decision, by)
    return decision


def _check_seen(request: PromotionRequest, evidence_digest: str) -> None:
    """Invariant 5: what is signed is what was shown, and it still is what it was."""
    if evidence_digest != request.evidence_digest:
        raise Conflict(
            "The evidence changed after you opened this page.",
            code="evidence_changed",
            remedy="Load it again, look at what is new, and sign that.",
            extra={"evidence_digest": request.evidence_digest},
        )
    guards.check_none_being_made(request)
    again = "Run the checks again; what has not changed is used again."
    if policy_for(request.model, request.target) != request.policy_version:
        raise Conflict(
            f"{request.policy_version} is no longer in force for {request.target}.",
            code="policy_changed",
            remedy="The request must be withdrawn and asked again, under the policy that is.",
        )
    live = live_version(request.model, request.target)
    if live != request.replaces:
        raise Conflict(
            f"{request.target} now names {live or 'no version'}, not what this one was compared with.",
            code="live_changed",
            remedy=again,
        )
    if current_digest(request) != request.evidence_digest:
        raise Conflict(
            "The model card or the lineage changed after the checks had finished.",
            code="evidence_changed",
            remedy=again,
        )


def _use(challenge_id: UUID, request: PromotionRequest, by: Actor) -> Challenge:
    """Spend the challenge. Raises ``Conflict`` if it is spent, too old, or of another person, request or evidence."""
    now = timezone.now()
    mine = Challenge.objects.filter(
        pk=challenge_id,
        request=request,
        person=guards.person(by),
        evidence_digest=request.evidence_digest,
        policy_digest=request.policy_version.digest,
        used_at=None,
        created_at__gt=now - CHALLENGE_LIFE,
    )
    if mine.update(used_at=now) != 1:
        raise Conflict(
            "This signing form was used already, is older than half an hour, or was not made for you.",
            code="signing.challenge",
            remedy="Load the page again and sign there.",
        )
    return Challenge.objects.get(pk=challenge_id)


def _signer(decision: Decision) -> Personal:
    """The printed name of the signer (21 CFR 11.50): the record and its entry commit to it, and it can be erased."""
    return Personal(person_id(decision.person), personal.DISPLAY_NAME, display_name(decision.person))


def _record(decision: Decision, standing: Standing, *, independent: bool) -> None:
    """Write the record that is signed: canonical JSON, whose digest the signer's ledger entry keeps."""
    request = decision.request
    record = canonical(
        {
            "format": RECORD_FORMAT,
            "decision": str(decision.pk),
            "request": str(request.pk),
            "round": decision.round,
            "person": person_id(decision.person),
            "name_commitment": personal.commitment(_signer(decision)),
            "outcome": decision.outcome,
            "meaning": decision.meaning,
            "meaning_text": Decision.Meaning(decision.meaning).label,
            "stage": decision.stage,
            "role": decision.role,
            "independent": independent,
            "comment": decision.comment,
            "conditions": decision.conditions,
            "target": request.target,
            "manifest_digest": request.manifest_digest,
            "policy_digest": standing.policy.digest,
            "evidence_digest": request.evidence_digest,
            "challenge": str(decision.challenge),
            "authenticated": decision.authenticated,
            "signed_at": int(decision.signed_at.timestamp()) * 1_000_000 + decision.signed_at.microsecond,
        }
    )
    decision.record = record.decode()
    decision.record_digest = hashlib.sha256(record).hexdigest()


def _follow(request: PromotionRequest, decision: Decision, by: Actor) -> None:
    """Do what follows from the vote: close, return, wait for the next, or approve."""
    against = _AGAINST.get(Decision.Outcome(decision.outcome))
    if against is not None:
        state, action = against
        move(request, state, action=action, by=by, reason=decision.comment)
        return
    standing = standing_of(request, at=timezone.now())
    if standing.verdict.approved:
        _approve(request, by)
        return
    names = [stage.name for stage in standing.policy.review]
    before = request.stage
    request.stage = names.index(standing.verdict.open_stage) if standing.verdict.open_stage else request.stage
    if request.state == RequestState.READY:
        move(request, RequestState.IN_REVIEW, action="promotion.review_opened", by=by)
    elif request.stage != before:
        request.save(update_fields=["stage", "updated_at"])
        append(action="promotion.stage_opened", subject=request, by=by, facts={"stage": request.stage})


def _approve(request: PromotionRequest, by: Actor) -> None:
    decisions = request.decisions.filter(round=request.round)
    conditional = decisions.filter(outcome=Decision.Outcome.CONDITIONS).exists()
    if conditional:
        move(request, RequestState.APPROVED_WITH_CONDITIONS, action="promotion.approved_with_conditions", by=by)
    else:
        move(request, RequestState.APPROVED, action="promotion.approved", by=by)
