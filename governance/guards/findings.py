"""Who may record a finding: a person with the role that the policy names, with no part in the version; once."""

from audit.actors import Actor
from config.errors import Conflict, NotAllowed
from governance.checks.manual import ManualParams
from governance.guards.requests import check_can_see, check_may_vote, person
from governance.models import CheckRun, PromotionRequest
from governance.standing import is_independent, roles_held
from governance.states import CheckState, RequestState


def check_can_record(by: Actor, request: PromotionRequest, run: CheckRun) -> None:
    """Raise ``NotFound``, ``NotAllowed`` or ``Conflict``, with the way out."""
    check_can_see(by, request.model)
    if run.category != "manual":
        raise Conflict("This check is computed; nobody records its result.", code="finding.computed")
    if run.state == CheckState.FINISHED:
        raise Conflict(
            "This finding has been recorded already.",
            code="finding.recorded",
            remedy="Run the checks again to have it examined once more.",
        )
    if request.state != RequestState.CHECKING or run.round != request.round:
        raise Conflict(
            f"{request.ref} is “{RequestState(request.state).label.lower()}”; nothing waits for this finding.",
            code="finding.not_awaited",
        )
    check_may_vote(by, request)
    params = ManualParams.from_mapping(run.parameters)
    recorder = person(by)
    if params.role not in roles_held(recorder, request.model):
        raise NotAllowed(
            f"Only somebody with the role “{params.role}” of this model can record this finding.",
            code="finding.no_role",
            remedy="Ask one of them.",
        )
    if params.independent and not is_independent(recorder, request.model):
        raise NotAllowed(
            "Only somebody outside the development can record this finding.", code="finding.not_independent"
        )
