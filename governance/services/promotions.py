"""Asking for a promotion, and what the asker may do with it afterwards."""

import logging
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from audit.actors import Actor
from audit.services import append
from config.errors import Conflict, Invalid, Refusal
from governance import guards
from governance.models import CheckRun, Comment, PromotionRequest
from governance.selectors.policies import policy_for
from governance.selectors.requests import live_version
from governance.services.checks import cancel_unfinished
from governance.services.planning import check_data, plan
from governance.services.snapshots import finish_checks
from governance.services.transitions import locked, move
from governance.standing import authors_of, person_id
from governance.states import RequestState
from registry.models import ModelVersion, RegisteredModel
from registry.selectors.lineage import is_settled

logger = logging.getLogger(__name__)

LONGEST_TARGET = 80


@transaction.atomic
def request_promotion(*, version: ModelVersion, target: str, intended_use: str, by: Actor) -> PromotionRequest:
    """Ask that ``target`` (``alias:production``, ``stage:Production``) may name this version, and start its checks.

    While the version's lineage is still being read the request is a draft, which ``start_waiting`` starts: what the
    checks are planned from, and what is signed, includes where the version comes from.

    An empty ``intended_use`` means the one on the model's card. Missing card fields do not hinder the request: they are
    shown as not met. Raises ``NotFound``, ``NotAllowed``, ``Conflict`` (not sealed; an open request for the same target)
    and ``Invalid`` naming the field: target not governed, data set missing.
    """
    check_target(target)
    model = RegisteredModel.objects.locked().get(pk=version.model_id)
    version = ModelVersion.objects.locked().get(pk=version.pk)
    version.model = model
    policy = policy_for(model, target)
    guards.check_can_request(by, version, target, policy)
    assert policy is not None  # noqa: S101 - the guard refused None; this tells the type checker
    same = PromotionRequest.objects.open().filter(version=version, target=target).first()
    if same is not None:
        raise Conflict(
            f"{same.ref} already asks for this version and target.",
            code="promotion.already_open",
            remedy="Follow that one, or withdraw it first.",
            extra={"request": same.ref, "id": str(same.pk)},
        )
    card_use = str(model.card.get("intended_use", "")) or model.use_case
    request = PromotionRequest.objects.create(
        number=_next_number(),
        version=version,
        model=model,
        target=target,
        replaces=live_version(model, target),
        manifest_digest=version.manifest_digest,
        policy_version=policy,
        intended_use=guards.text_of(intended_use or card_use, field="intended_use", required=False),
        requested_by=guards.person(by),
    )
    append(
        action="promotion.requested",
        subject=request,
        by=by,
        facts={
            "requested_by": person_id(request.requested_by),
            "authors": authors_of(version),
            "manifest_digest": request.manifest_digest,
            "policy_digest": policy.digest,
            "target": target,
            "replaces": str(request.replaces_id or ""),
        },
    )
    if is_settled(version, at=timezone.now()):
        _start(request, by=by)
    else:
        check_data(request)
    return request


def start_waiting(*, by: Actor) -> int:
    """Start the checks of every draft whose version's lineage has been read by now; return how many were started.

    One that cannot be planned any more (its data set is gone) stays a draft, and is tried again.
    """
    drafts = PromotionRequest.objects.filter(state=RequestState.DRAFT).order_by("pk")
    return sum(_start_if_settled(pk, by=by) for pk in list(drafts.values_list("pk", flat=True)))


def _start_if_settled(pk: UUID, *, by: Actor) -> bool:
    try:
        with transaction.atomic():
            request = locked(pk)
            if request.state != RequestState.DRAFT or not is_settled(request.version, at=timezone.now()):
                return False
            _start(request, by=by)
            return True
    except Refusal as refusal:
        logger.warning("The checks of request %s cannot start: %s", pk, refusal)
        return False


@transaction.atomic
def run_again(*, request: PromotionRequest, by: Actor) -> PromotionRequest:
    """Begin a new round, compared with the present live version; open votes and waivers are void.

    Results on which nothing changed are used again and say so. A request stays under the policy it was opened with: after
    another came into force it has to be asked again. Raises ``NotAllowed``, ``Conflict`` and ``Invalid``.
    """
    request = locked(request.pk)
    guards.check_can_run_again(by, request)
    if policy_for(request.model, request.target) != request.policy_version:
        raise Conflict(
            f"{request.policy_version} is no longer in force for {request.target}.",
            code="policy_changed",
            remedy="Withdraw the request and ask again, under the policy that is.",
        )
    request.replaces = live_version(request.model, request.target)
    request.round += 1
    request.stage = 0
    request.evidence_digest = ""
    _start(request, by=by)
    return request


@transaction.atomic
def withdraw(*, request: PromotionRequest, by: Actor, reason: str = "") -> PromotionRequest:
    """Take the request back, for good. Raises ``NotAllowed`` and ``Conflict``."""
    request = locked(request.pk)
    guards.check_can_withdraw(by, request)
    text = guards.text_of(reason, field="reason", required=False)
    cancel_unfinished(request, why="The request was withdrawn.", by=by)
    move(request, RequestState.WITHDRAWN, action="promotion.withdrawn", by=by, reason=text)
    return request


@transaction.atomic
def comment(*, request: PromotionRequest, text: str, by: Actor) -> Comment:
    """Add a remark to the thread, open or closed. Raises ``NotFound`` and ``Invalid``."""
    guards.check_can_comment(by, request)
    request = PromotionRequest.objects.select_for_update(no_key=True, of=("self",)).get(pk=request.pk)
    made = Comment.objects.create(request=request, author=guards.person(by), text=guards.text_of(text, field="text"))
    append(action="promotion.commented", subject=request, by=by, reason=made.text, facts={"comment": made.pk})
    return made


def check_target(target: str) -> None:
    """Raises ``Invalid`` for what is neither ``alias:<name>`` nor ``stage:<name>``."""
    kind, mark, name = target.partition(":")
    if kind not in {"alias", "stage"} or not mark or not name or len(target) > LONGEST_TARGET or not name.isprintable():
        raise Invalid(
            f"“{target[:LONGEST_TARGET]}” is no target.", code="promotion.target", field="target",
            remedy="Write alias:production or stage:Production.",
        )  # fmt: skip


def _start(request: PromotionRequest, *, by: Actor) -> None:
    """Plan the round and move the (locked) request to checking, or further if every result is known already."""
    runs = plan(request, by=by)
    reused = sum(run.reused_from is not None for run in runs)
    move(
        request,
        RequestState.CHECKING,
        action="promotion.checks_started",
        by=by,
        facts={
            "round": request.round,
            "checks": len(runs),
            "reused": reused,
            "policy_digest": request.policy_version.digest,
        },
    )
    if not CheckRun.objects.unfinished().filter(request=request, round=request.round).exists():
        finish_checks(request, by=by)


def _next_number() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('governance_request_number')")
        return int(cursor.fetchone()[0])
