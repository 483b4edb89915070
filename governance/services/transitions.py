"""The one place where a request's state changes: checked against the table, saved, and logged exactly once."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from django.utils import timezone

from audit.actors import Actor
from audit.canonical import Json
from audit.services import append
from config.errors import Conflict
from governance.models import PromotionRequest
from governance.states import REQUEST_FOLLOWS, RequestState
from registry.models import ModelVersion, RegisteredModel

_NOTHING: Final[Mapping[str, Json]] = {}


def locked(request_id: UUID) -> PromotionRequest:
    """Lock model, version and request, in this order, and return the request as it is now.

    Must be called inside a transaction. Raises ``PromotionRequest.DoesNotExist``.
    """
    seen = PromotionRequest.objects.only("model_id", "version_id").get(pk=request_id)
    model = RegisteredModel.objects.locked().get(pk=seen.model_id)
    version = ModelVersion.objects.locked().get(pk=seen.version_id)
    request = PromotionRequest.objects.locked().select_related("policy_version__policy").get(pk=request_id)
    version.model = model
    request.model, request.version = model, version
    return request


def move(
    request: PromotionRequest,
    to: RequestState,
    *,
    action: str,
    by: Actor,
    reason: str = "",
    facts: Mapping[str, Json] = _NOTHING,
) -> None:
    """Save the (locked) request in state ``to``, with whatever else of it was changed, and log it once.

    Raises ``Conflict`` for a step that the table of ``governance.states`` does not have.
    """
    before = RequestState(request.state)
    if to not in REQUEST_FOLLOWS[before]:
        raise Conflict(
            f"{request.ref} is “{before.label.lower()}” and cannot become “{to.label.lower()}”.",
            code="promotion.state",
            extra={"state": before.value},
        )
    request.state = to
    if not REQUEST_FOLLOWS[to]:
        request.closed_at = timezone.now()
    request.save()
    append(action=action, subject=request, by=by, reason=reason, facts=facts, diff={"state": [before.value, to.value]})
