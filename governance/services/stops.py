"""What people do about a check that runs too long or ended with an error: stop it, or have errors tried again."""

from uuid import UUID

from django.db import transaction

from audit.actors import Actor
from config.errors import NotFound
from governance import guards
from governance.models import CheckRun, PromotionRequest
from governance.services import checks, promotions
from governance.services.checks import Outcome


@transaction.atomic
def cancel(*, run_id: UUID, by: Actor, reason: str = "") -> CheckRun:
    """End a check that waits or runs as an error; what needs it ends with it, and its sandbox is ended within seconds.

    Raises ``NotFound``, ``NotAllowed``, ``Conflict`` and ``Invalid``.
    """
    text = guards.text_of(reason, field="reason", required=False)
    found = checks.locked(run_id)
    if found is None:
        raise NotFound("There is no such check, or you may not see it.", code="check.unknown")
    request, run = found
    guards.check_can_cancel(by, run)
    summary = f"It was cancelled: {text}" if text else "It was cancelled before it had a result."
    checks.end(request, run, Outcome(CheckRun.Verdict.ERROR, summary, error_code="cancelled"), by=by)
    return run


@transaction.atomic
def retry_errors(*, request: PromotionRequest, by: Actor) -> PromotionRequest:
    """Begin a round in which what ended with an error is run again; results on which nothing changed are used again.

    Raises ``NotAllowed``, ``Conflict`` and ``Invalid``: also when nothing ended so, or has too often.
    """
    guards.check_can_retry(by, request)
    return promotions.run_again(request=request, by=by)
