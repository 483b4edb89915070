"""Requests, permits and waiting work, already narrowed to what the person may see."""

import re
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from config import as_of
from config.errors import NotFound
from governance.models import CheckRun, Permit, PermitIssuance, PromotionRequest, WorkerHeartbeat
from governance.standing import with_rows
from governance.states import APPROVED
from registry.models import ModelVersion, RegisteredModel, User

WORKER_SILENCE: Final = timedelta(seconds=15)
_REF = re.compile(r"(?:REQ-)?0*([1-9][0-9]{0,8})", re.IGNORECASE)


def requests_visible_to(
    user: User, *, model: RegisteredModel | None = None, state: str = ""
) -> QuerySet[PromotionRequest]:
    """Requests about models the person may see, newest first, with what a list shows."""
    found = PromotionRequest.objects.visible_to(user).select_related(
        "model", "version__model", "policy_version__policy", "requested_by", "replaces"
    )
    if model is not None:
        found = found.filter(model=model)
    return found.filter(state=state) if state else found


def request_of(user: User, which: str | int | UUID) -> PromotionRequest:
    """The request of that id, number or reference (``REQ-0007``), with all its rows. Raises ``NotFound``."""
    visible = with_rows(PromotionRequest.objects.visible_to(user))
    found: PromotionRequest | None = None
    if isinstance(which, UUID):
        found = visible.filter(pk=which).first()
    elif match := _REF.fullmatch(str(which)):
        found = visible.filter(number=int(match[1])).first()
    else:
        try:
            found = visible.filter(pk=UUID(str(which))).first()
        except ValueError:
            found = None
    if found is None:
        raise NotFound("There is no such request, or you may not see it.", code="promotion.unknown")
    return found


def check_of(user: User, pk: UUID) -> CheckRun:
    """The check of that id, with its request and data, if the person may see the request. Raises ``NotFound``."""
    seen = PromotionRequest.objects.visible_to(user).values("pk")
    found = (
        CheckRun.objects.filter(pk=pk, request__in=seen)
        .select_related(
            "request__model", "request__version", "request__policy_version", "dataset__dataset", "reused_from__request"
        )
        .first()
    )
    if found is None:
        raise NotFound("There is no such check, or you may not see it.", code="check.unknown")
    return found


def newest_request(version: ModelVersion) -> PromotionRequest | None:
    """The newest request for the version, with all its rows, or None."""
    return with_rows(PromotionRequest.objects.filter(version=version)).order_by("-number").first()


def newest_result(version: ModelVersion, use: str) -> CheckRun | None:
    """The newest finished run of a check of the catalogue on the version, with its data set, or None."""
    runs = CheckRun.objects.filter(request__version=version, result__isnull=False).exclude(finished_at=None)
    named = Q(requirement__use=use) | Q(requirement__use__startswith=f"{use}@")
    return runs.filter(named).select_related("dataset__dataset").order_by("-finished_at", "pk").first()


def active_permit(model: RegisteredModel, target: str) -> Permit | None:
    """The permit in force for the target, or None."""
    return Permit.objects.active().filter(model=model, target=target).select_related("version", "request").first()


def issuance_of(request: PromotionRequest) -> PermitIssuance | None:
    """The way of an approved request to its permit; before its follower wrote a row, one that waits. None if not approved.

    Requests of an installation older than the two signers have a permit and no such row.
    """
    if request.state not in APPROVED:
        return None
    found = PermitIssuance.objects.filter(request=request).first()
    if found is not None or Permit.objects.filter(request=request).exists():
        return found
    return PermitIssuance(request=request)


def permit_of_version(version: ModelVersion) -> Permit | None:
    """The newest permit of the version, in whatever state."""
    return Permit.objects.filter(version=version).select_related("request").order_by("-issued_at").first()


def live_version(model: RegisteredModel, target: str) -> ModelVersion | None:
    """The version that the target names now: the alias's, or the newest in the stage."""
    kind, _, name = target.partition(":")
    versions = ModelVersion.objects.filter(model=model, deleted_at=None)
    if kind == "alias":
        return versions.filter(aliases__name=name, aliases__model=model).first()
    return versions.filter(stage=name).order_by("-number").first()


def workers_alive() -> bool:
    """Whether some worker process gave a sign of life within the last fifteen seconds. Of the past nobody knows."""
    return (
        as_of.current() is not None
        or WorkerHeartbeat.objects.filter(seen_at__gt=timezone.now() - WORKER_SILENCE).exists()
    )


def waiting_checks() -> int:
    """How many checks wait or run, over all requests."""
    return CheckRun.objects.unfinished().count()
