"""The life of a permit after it was made. What it no longer covers is no longer found under the governed name."""

from typing import Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from audit.actors import SYSTEM, Actor
from audit.services import append
from governance import guards
from governance.models import Permit
from governance.services.transitions import locked
from governance.states import PERMIT_FOLLOWS, PermitState
from registry.models import Alias, ModelVersion
from registry.services import catalog, versions

LIVING: Final = (PermitState.ACTIVE, PermitState.SUSPENDED)
_ACTIONS: Final = {
    PermitState.SUPERSEDED: "permit.superseded",
    PermitState.REVOKED: "permit.revoked",
    PermitState.EXPIRED: "permit.expired",
}


@transaction.atomic
def revoke(*, permit: Permit, reason: str, by: Actor) -> Permit:
    """End the permit for good, and remove the alias (or archive the version) that it allowed.

    Raises ``NotAllowed``, ``Conflict`` and ``Invalid`` (no reason).
    """
    permit = _locked(permit)
    guards.check_can_revoke(by, permit)
    end(permit, PermitState.REVOKED, guards.text_of(reason, field="reason"), by=by)
    _clear_target(permit, by=by)
    return permit


@transaction.atomic
def suspend(*, permit: Permit, reason: str, by: Actor) -> Permit:
    """Take the permit out of force until it is resumed or ends, and the governed name away from its version.

    Its time runs on. Raises ``NotAllowed``, ``Conflict`` and ``Invalid`` (no reason).
    """
    permit = _locked(permit)
    guards.check_can_suspend(by, permit)
    why = guards.text_of(reason, field="reason")
    permit.state, permit.suspended_at, permit.suspended_reason = PermitState.SUSPENDED, timezone.now(), why
    permit.save(update_fields=["state", "suspended_at", "suspended_reason"])
    append(
        action="permit.suspended",
        subject=permit,
        by=by,
        reason=why,
        diff={"state": [PermitState.ACTIVE.value, PermitState.SUSPENDED.value]},
    )
    _clear_target(permit, by=by)
    return permit


@transaction.atomic
def resume(*, permit: Permit, reason: str, by: Actor) -> Permit:
    """Put a suspended permit in force again, and the governed name back where it was.

    Nothing is approved anew: the same people, bytes, policy and end as before. Raises ``NotAllowed`` (only an approver who
    may vote on the request), ``Conflict`` and ``Invalid`` (no reason).
    """
    permit = _locked(permit)
    guards.check_can_resume(by, permit, at=timezone.now())
    why = guards.text_of(reason, field="reason")
    permit.state, permit.suspended_at, permit.suspended_reason = PermitState.ACTIVE, None, ""
    permit.save(update_fields=["state", "suspended_at", "suspended_reason"])
    append(
        action="permit.resumed",
        subject=permit,
        by=by,
        reason=why,
        diff={"state": [PermitState.SUSPENDED.value, PermitState.ACTIVE.value]},
    )
    move_target(permit, by=by)
    return permit


def expire_due() -> int:
    """End every permit whose time is up, each in a transaction of its own. Time only removes. Returns how many."""
    due = Permit.objects.filter(state__in=LIVING, expires_at__lte=timezone.now()).order_by("pk")
    return sum(_expire(permit_id, request_id) for permit_id, request_id in list(due.values_list("pk", "request_id")))


@transaction.atomic
def _expire(permit_id: UUID, request_id: UUID) -> bool:
    locked(request_id)
    permit = Permit.objects.select_for_update(of=("self",)).select_related("model", "version").get(pk=permit_id)
    if permit.state not in LIVING or permit.expires_at > timezone.now():
        return False
    end(permit, PermitState.EXPIRED, "Its time was up.", by=SYSTEM)
    _clear_target(permit, by=SYSTEM)
    return True


def end(permit: Permit, state: PermitState, why: str, *, by: Actor, successor: UUID | None = None) -> None:
    """Save the (locked) permit in a final state, and log it. What becomes of its name is the caller's."""
    before = PermitState(permit.state)
    if state not in PERMIT_FOLLOWS[before]:
        raise ValueError(f"a permit that is {before} cannot become {state}")
    permit.state, permit.ended_at, permit.ended_reason = state, timezone.now(), why
    if successor is not None:
        permit.superseded_by_id = successor  # a deferred key: the row follows in this transaction
    permit.save(update_fields=["state", "ended_at", "ended_reason", "superseded_by"])
    append(action=_ACTIONS[state], subject=permit, by=by, reason=why, diff={"state": [before.value, state.value]})


def move_target(permit: Permit, *, by: Actor) -> None:
    """Let the governed name name the permit's version."""
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


def _locked(permit: Permit) -> Permit:
    """Lock model, version, request and permit, in this order."""
    request = locked(permit.request_id)
    found = Permit.objects.select_for_update(of=("self",)).get(pk=permit.pk)
    found.request, found.model, found.version = request, request.model, request.version
    return found
