"""Who may do what to a permit, and what a permit that is being made stands in the way of."""

from datetime import datetime

from audit.actors import Actor
from config.errors import Conflict, NotAllowed
from governance.guards.requests import check_can_see, check_log_holds, check_may_vote, person
from governance.models import Permit, PromotionRequest
from governance.standing import roles_held
from governance.states import PERMIT_FOLLOWS, PermitState


def check_can_revoke(by: Actor, permit: Permit) -> None:
    """An approver or an administrator of the model, while the permit has not ended."""
    check_can_see(by, permit.model)
    held = roles_held(person(by), permit.model)
    if not held & {"approver", "administrator"}:
        raise NotAllowed(
            "Only an approver or an administrator of the model can revoke a permit.", code="permit.no_role"
        )
    if PermitState.REVOKED not in PERMIT_FOLLOWS[PermitState(permit.state)]:
        raise Conflict(f"This permit is {permit.get_state_display().lower()} already.", code="permit.ended")


def check_can_suspend(by: Actor, permit: Permit) -> None:
    """An approver or an administrator of the model, while the permit is active."""
    check_can_see(by, permit.model)
    if not roles_held(person(by), permit.model) & {"approver", "administrator"}:
        raise NotAllowed(
            "Only an approver or an administrator of the model can suspend a permit.", code="permit.no_role"
        )
    if PermitState.SUSPENDED not in PERMIT_FOLLOWS[PermitState(permit.state)]:
        raise Conflict(f"This permit is {permit.get_state_display().lower()} already.", code="permit.not_active")


def check_can_resume(by: Actor, permit: Permit, *, at: datetime) -> None:
    """An approver with no part in the version, while the permit is suspended and its time is not up.

    An administrator may take a permit out of force, but not put it back: that adds permission, and takes who may sign.
    """
    check_can_see(by, permit.model)
    if "approver" not in roles_held(person(by), permit.model):
        raise NotAllowed("Only an approver of the model can resume a permit.", code="permit.no_role")
    check_may_vote(by, permit.request)
    if PermitState.ACTIVE not in PERMIT_FOLLOWS[PermitState(permit.state)]:
        raise Conflict(
            f"This permit is {permit.get_state_display().lower()}; there is nothing to resume.",
            code="permit.not_suspended",
        )
    if permit.expires_at <= at:
        raise Conflict("The permit's time is up.", code="permit.ended", remedy="Ask for the promotion again.")
    check_log_holds()


def check_none_being_made(request: PromotionRequest) -> None:
    """Nobody signs for a target while another permit for it is being made: what is live is about to change."""
    other = (
        PromotionRequest.objects.being_permitted()
        .filter(model=request.model, target=request.target)
        .exclude(pk=request.pk)
        .first()
    )
    if other is not None:
        raise Conflict(
            f"The permit of {other.ref} is being made, and {request.target} will then name another version.",
            code="promotion.permit_being_made",
            remedy="Wait a moment, then run the checks again: they compare with what is live.",
            extra={"request": other.ref},
        )
