"""What waits for one person: signatures wanted, own requests, permits that end soon, recent decisions.

The number of queries does not depend on the number of requests.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from audit.actors import Actor
from config import as_of
from config.errors import Refusal
from governance import guards
from governance.models import CheckRun, Decision, Permit, PromotionRequest
from governance.policy import Filled, Verdict, fill
from governance.standing import standing_of, with_rows
from governance.states import CheckState, RequestState
from registry.models import ModelVersion, RegisteredModel, User
from registry.reach import APPROVE, AUDIT, CONTRIBUTE, VALIDATE, preload

MOST: Final = 50
ENDING: Final = timedelta(days=30)
SIGNABLE: Final = (RequestState.READY, RequestState.IN_REVIEW)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One open request. ``ready``: the person may sign the approval now."""

    request: PromotionRequest
    verdict: Verdict
    places: tuple[Filled, ...]
    ready: bool


@dataclass(frozen=True, slots=True)
class Inbox:
    """Everything on the first page. ``more``: there are more open requests than are shown.

    ``findings``: checks whose result this person may record.
    """

    waiting: tuple[Waiting, ...]
    findings: tuple[CheckRun, ...]
    own: tuple[Waiting, ...]
    ending: tuple[Permit, ...]
    recent: tuple[Decision, ...]
    more: bool


def inbox_of(user: User, by: Actor) -> Inbox:
    """The person's inbox: ready ones first, then by the day they must be decided, then the oldest."""
    at = as_of.now()
    rows = list(_open(user).order_by(F("decide_by").asc(nulls_last=True), "created_at")[: MOST + 1])
    preload(user, {row.model_id for row in rows})
    shown = [_waiting(row, by, at) for row in rows[:MOST]]
    waiting = [one for one, wanted in shown if wanted]
    return Inbox(
        waiting=tuple(sorted(waiting, key=lambda one: not one.ready)),
        findings=tuple(run for row in rows[:MOST] for run in _to_record(row, by)),
        own=tuple(one for one, _ in shown if one.request.requested_by_id == user.pk),
        ending=tuple(_ending(user, at)),
        recent=tuple(_recent(user)),
        more=len(rows) > MOST,
    )


def waiting_count(user: User) -> int:
    """How many requests stand ready for a signature that this person's role could give, and findings for them to record.

    One query.
    """
    may = RegisteredModel.objects.visible_to(user, APPROVE) | RegisteredModel.objects.visible_to(user, VALIDATE)
    signed = Decision.objects.filter(request=OuterRef("pk"), round=OuterRef("round"), person=user)
    made = Q(registered_by=user) | Q(trained_by=user) | Q(code_author=user)
    twins = ModelVersion.objects.filter(made, manifest_digest=OuterRef("manifest_digest"))
    mine = Q(requested_by=user) | Q(Exists(twins))
    found = PromotionRequest.objects.filter(state__in=SIGNABLE, model__in=may.values("pk"))
    wanted = found.exclude(mine).exclude(Exists(signed)).values("pk")
    checking = PromotionRequest.objects.filter(state=RequestState.CHECKING).exclude(mine)
    return wanted.union(_findings_for(user).filter(request__in=checking).values("pk"), all=True).count()


def _findings_for(user: User) -> QuerySet[CheckRun]:
    """Findings that are awaited of this person's role, as ``guards.check_can_record`` has it, whatever their part in it."""

    def of(permission: str) -> QuerySet[RegisteredModel]:
        return RegisteredModel.objects.visible_to(user, permission).values("pk")  # type: ignore[return-value]

    # Left out, the role is the validator's. What a document does not say is NULL in SQL, so nothing is negated here.
    role = Q(request__model__in=of(VALIDATE)) & ~Q(parameters__has_key="role")
    for name, permission in (("validator", VALIDATE), ("approver", APPROVE), ("auditor", AUDIT)):
        role |= Q(parameters__role=name, request__model__in=of(permission))
    near = Q(request__model__owner=user) | Q(request__model__team__in=user.groups.all())
    near |= Q(request__model__in=of(CONTRIBUTE))
    awaited = CheckRun.objects.filter(role, state=CheckState.AWAITED, round=F("request__round"))
    return awaited.exclude(pk__in=awaited.filter(near, parameters__independent=True).values("pk"))


def _open(user: User) -> QuerySet[PromotionRequest]:
    found: QuerySet[PromotionRequest] = PromotionRequest.objects.open().visible_to(user)
    return with_rows(found)


def _waiting(request: PromotionRequest, by: Actor, at: datetime) -> tuple[Waiting, bool]:
    """The row, and whether a place of the review is this person's to fill, now or once the checks have finished."""
    standing = standing_of(request, at=at)
    try:
        guards.check_may_vote(by, request)
        guards.slot_for(by, request, standing)
        wanted = request.state != RequestState.CHANGES_REQUESTED
    except Refusal:
        wanted = False
    ready = wanted and request.state in SIGNABLE and standing.verdict.ready_for_review
    return Waiting(request, standing.verdict, fill(standing.policy, standing.facts), ready), wanted


def _to_record(request: PromotionRequest, by: Actor) -> Iterator[CheckRun]:
    for run in request.checks.all():
        if run.state == CheckState.AWAITED and not guards.why_not(guards.check_can_record, by, request, run):
            yield run


def _ending(user: User, at: datetime) -> QuerySet[Permit]:
    models = RegisteredModel.objects.visible_to(user).values("pk")
    active = Permit.objects.active().filter(model__in=models, expires_at__lt=at + ENDING)
    return active.select_related("model", "version", "request").order_by("expires_at")[:8]


def _recent(user: User) -> QuerySet[Decision]:
    seen = PromotionRequest.objects.visible_to(user).values("pk")
    found = Decision.objects.filter(request__in=seen).select_related("person", "request__model", "request__version")
    return found.order_by("-signed_at")[:8]
