"""Permits: issued by the last signature, ended by time or by people. Ending one also takes the governed name away."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone

from audit.actors import SYSTEM, Actor
from audit.keys import permit_key
from audit.services import append
from governance import guards
from governance.models import CheckRun, Decision, Permit, PromotionRequest
from governance.permits import Approval, Check, Quorum, Scope, WaiverNote, sign
from governance.policy import Policy, fill
from governance.services.transitions import locked
from governance.standing import Standing, display_name, person_id
from governance.states import PermitState
from registry.models import Alias, ModelVersion
from registry.services import catalog, versions

LONGEST_LIFE: Final = timedelta(days=365)
_LIVING: Final = (PermitState.ACTIVE, PermitState.SUSPENDED)


def issue(request: PromotionRequest, standing: Standing, *, by: Actor) -> Permit:
    """Sign the permit of the (locked, just approved) request, end the one before it, and move the target.

    Guarantees: the verdict is complete, the permit lives no longer than the policy says nor than any waiver it rests on.
    Must be called in the transaction of the last signature.
    """
    if not standing.verdict.approved:
        raise ValueError(f"{request.ref} lacks something; a permit would be a lie")
    now = timezone.now()
    permit_id = uuid4()
    previous = list(
        Permit.objects.filter(model=request.model, target=request.target, state__in=_LIVING).select_for_update(
            of=("self",)
        )
    )
    scope = _scope(request, standing, str(permit_id), now, supersedes=str(previous[0].pk) if previous else "")
    signed = sign(scope, permit_key())
    for old in previous:
        _end(old, PermitState.SUPERSEDED, f"Superseded by the permit of {request.ref}.", by=by, successor=permit_id)
    permit = Permit.objects.create(
        id=permit_id,
        request=request,
        version=request.version,
        model=request.model,
        target=request.target,
        manifest_digest=request.manifest_digest,
        envelope=signed.envelope,
        key_id=signed.key_id,
        not_before=now,
        expires_at=_moment(scope.expires_at),
    )
    append(
        action="permit.issued",
        subject=permit,
        by=by,
        facts={"request": str(request.pk), "payload_digest": signed.payload_digest, "key_id": signed.key_id},
    )
    _move_target(permit, by=by)
    return permit


@transaction.atomic
def revoke(*, permit: Permit, reason: str, by: Actor) -> Permit:
    """End the permit for good, and remove the alias (or archive the version) that it allowed.

    Fails closed: what the permit no longer covers is no longer found under the governed name. Raises ``NotAllowed``,
    ``Conflict`` and ``Invalid`` (no reason).
    """
    locked(permit.request_id)
    permit = (
        Permit.objects.select_for_update(of=("self",)).select_related("model", "version", "request").get(pk=permit.pk)
    )
    guards.check_can_revoke(by, permit)
    _end(permit, PermitState.REVOKED, guards.text_of(reason, field="reason"), by=by)
    _clear_target(permit, by=by)
    return permit


def expire_due() -> int:
    """End every permit whose time is up, each in a transaction of its own. Time only removes. Returns how many."""
    due = Permit.objects.filter(state__in=_LIVING, expires_at__lte=timezone.now()).order_by("pk")
    return sum(_expire(permit_id, request_id) for permit_id, request_id in list(due.values_list("pk", "request_id")))


@transaction.atomic
def _expire(permit_id: UUID, request_id: UUID) -> bool:
    locked(request_id)
    permit = Permit.objects.select_for_update(of=("self",)).select_related("model", "version").get(pk=permit_id)
    if permit.state not in _LIVING or permit.expires_at > timezone.now():
        return False
    _end(permit, PermitState.EXPIRED, "Its time was up.", by=SYSTEM)
    _clear_target(permit, by=SYSTEM)
    return True


_ACTIONS: Final = {
    PermitState.SUPERSEDED: "permit.superseded",
    PermitState.REVOKED: "permit.revoked",
    PermitState.EXPIRED: "permit.expired",
}


def _end(permit: Permit, state: PermitState, why: str, *, by: Actor, successor: UUID | None = None) -> None:
    before = permit.state
    permit.state, permit.ended_at, permit.ended_reason = state, timezone.now(), why
    if successor is not None:
        permit.superseded_by_id = successor  # a deferred key: the row follows in this transaction
    permit.save(update_fields=["state", "ended_at", "ended_reason", "superseded_by"])
    append(action=_ACTIONS[state], subject=permit, by=by, reason=why, diff={"state": [before, state.value]})


def _move_target(permit: Permit, *, by: Actor) -> None:
    kind, _, name = permit.target.partition(":")
    if kind == "alias":
        catalog.set_alias(model=permit.model, alias=name, number=permit.version.number, by=by)
    else:
        versions.set_stage(version=permit.version, stage=name, archive_existing=True, by=by)


def _clear_target(permit: Permit, *, by: Actor) -> None:
    """Take the governed name from the permit's version, if it still has it."""
    kind, _, name = permit.target.partition(":")
    if kind == "alias":
        if Alias.objects.filter(model=permit.model, name=name, version=permit.version).exists():
            catalog.delete_alias(model=permit.model, alias=name, by=by)
    elif ModelVersion.objects.filter(pk=permit.version_id, stage=name).exists():
        archived = ModelVersion.Stage.ARCHIVED.value
        versions.set_stage(version=permit.version, stage=archived, archive_existing=False, by=by)


def _scope(request: PromotionRequest, standing: Standing, permit_id: str, now: datetime, *, supersedes: str) -> Scope:
    policy, facts = standing.policy, standing.facts
    runs = CheckRun.objects.filter(request=request, round=request.round).order_by("position")
    waived = {node.waiver for node in standing.verdict.root.walk() if node.waiver}
    waivers = [
        WaiverNote(one.id, one.key, one.reason, _micro(one.expires_at)) for one in facts.waivers if one.id in waived
    ]
    approvals = _approvals(request, standing)
    return Scope(
        permit=permit_id,
        request=str(request.pk),
        model=request.model.name,
        version=request.version.number,
        target=request.target,
        manifest_digest=request.manifest_digest,
        intended_use=request.intended_use,
        not_before=_micro(now),
        expires_at=min([_micro(now + _life(policy)), *(one.until for one in waivers)]),
        policy={"name": policy.name, "digest": policy.digest},
        evidence_digest=request.evidence_digest,
        checks=[Check(run.key, run.verdict, run.result_digest) for run in runs],
        quorum=[Quorum(index, slots.role, slots.n) for index, stage in enumerate(policy.review) for slots in stage.all],
        approvals=[_approval(decision) for decision in approvals],
        waivers=waivers,
        conditions=[decision.conditions for decision in approvals if decision.conditions],
        supersedes=supersedes,
    )


def _approvals(request: PromotionRequest, standing: Standing) -> list[Decision]:
    """The decisions that fill the places of the review, in the order of signing."""
    ids = [one.signature.id for one in fill(standing.policy, standing.facts) if one.signature is not None]
    return list(request.decisions.filter(pk__in=ids).select_related("person").order_by("signed_at", "pk"))


def _approval(decision: Decision) -> Approval:
    return Approval(
        person=person_id(decision.person),
        name=display_name(decision.person),
        stage=decision.stage,
        role=decision.role,
        outcome=decision.outcome,
        meaning=decision.meaning,
        record_digest=decision.record_digest,
        entry_id=decision.entry_id,
    )


def _life(policy: Policy) -> timedelta:
    return timedelta(days=policy.valid_days) if policy.valid_days else LONGEST_LIFE


def _micro(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds // 1_000_000, tz=timezone.get_default_timezone()).replace(
        microsecond=microseconds % 1_000_000
    )
