"""Who may do what to a request: each check passes in silence or raises a ``Refusal`` with reason and remedy.

The same sentence explains a disabled button (``why_not``) and answers the request that was made all the same.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from audit.actors import Actor
from audit.health import log_status
from config import as_of
from config.errors import Conflict, Invalid, NotAllowed, NotFound, Refusal
from governance.models import BrokenGlass, CheckRun, Decision, PolicyVersion, PromotionRequest, Waiver
from governance.policy import may_sign
from governance.standing import Standing, conflicts_of, is_independent, person_id, policy_of, roles_held
from governance.states import REQUEST_FOLLOWS, CheckState, RequestState
from registry.models import ModelVersion, RegisteredModel, User
from registry.reach import ADMINISTER, APPROVE, CONTRIBUTE, VIEW, holds

APPROVALS: Final = (Decision.Outcome.APPROVE, Decision.Outcome.CONDITIONS)
LONGEST_TEXT: Final = 10_000


def why_not(check: Callable[..., object], *args: object) -> str:
    """The reason why ``check(*args)`` refuses, with its remedy, or "" if it does not. Nothing can be done in the past."""
    if as_of.current():
        return as_of.NOTHING_CHANGES
    try:
        check(*args)
    except Refusal as refusal:
        return str(refusal)
    return ""


def person(by: Actor) -> User:
    """The account behind the actor. Raises ``NotAllowed`` when no active account acts."""
    if not isinstance(by.user, User):
        raise NotAllowed("Only a person with an account can do this.", code="actor.no_person")
    if not by.user.is_active:
        raise NotAllowed("This account is switched off.", code="actor.inactive")
    return by.user


def check_can_see(by: Actor, model: RegisteredModel) -> None:
    """Raise ``NotFound`` for whoever may not know of the model."""
    reader = person(by)
    if model.owner_id != reader.pk and not holds(reader, VIEW, model.pk):
        raise NotFound("There is no such request, or you may not see it.", code="promotion.unknown")


def _check_contributes(by: Actor, model: RegisteredModel, what: str) -> None:
    check_can_see(by, model)
    if not holds(person(by), CONTRIBUTE, model.pk):
        raise NotAllowed(
            f"You are no contributor to {model.name}, so you may not {what}.",
            code="promotion.no_contributor",
            remedy="Ask an administrator for the role, or a contributor to do it.",
        )


def _check_follows(request: PromotionRequest, *after: RequestState) -> None:
    if not any(state in REQUEST_FOLLOWS[RequestState(request.state)] for state in after):
        raise Conflict(
            f"{request.ref} is “{RequestState(request.state).label.lower()}”; this is not possible now.",
            code="promotion.state",
            extra={"state": request.state},
        )


# asking


def check_can_request(by: Actor, version: ModelVersion, target: str, policy: PolicyVersion | None) -> None:
    """Contributors, for a sealed version and a target that ``policy`` governs."""
    _check_contributes(by, version.model, "ask for a promotion")
    if version.deleted_at or version.model.deleted_at:
        raise NotFound(f"{version} was deleted.", code="version.deleted")
    if not version.is_sealed:
        raise Conflict(
            f"{version} is not sealed ({version.get_status_display().lower()}).",
            code="version.not_sealed",
            remedy="Wait until its files are sealed, or register it again if that failed.",
        )
    if policy is None:
        raise Invalid(
            f"No policy governs {target} for a model of tier {version.model.tier}, so there is nothing to ask for.",
            code="promotion.not_governed",
            field="target",
            remedy="Choose a governed target, or set the alias directly.",
        )


def check_can_withdraw(by: Actor, request: PromotionRequest) -> None:
    """The person who asked, or an administrator of the model; while it is open."""
    check_can_see(by, request.model)
    if person(by).pk != request.requested_by_id and not holds(person(by), ADMINISTER, request.model_id):
        raise NotAllowed(
            "Only the person who asked can withdraw it.",
            code="promotion.not_yours",
            remedy="Reject or return it instead.",
        )
    _check_follows(request, RequestState.WITHDRAWN)


def check_can_run_again(by: Actor, request: PromotionRequest) -> None:
    """A contributor, while the request is open and no check runs."""
    _check_contributes(by, request.model, "run its checks")
    if request.state == RequestState.CHECKING:
        raise Conflict("Its checks are running.", code="promotion.checking", remedy="Wait until they have finished.")
    if request.state == RequestState.DRAFT:
        raise Conflict(
            f"The lineage of {request.version} is still being read; its checks start by themselves after that.",
            code="promotion.lineage_pending",
            remedy="Wait, a few minutes at most.",
        )
    _check_follows(request, RequestState.CHECKING)


def check_can_comment(by: Actor, request: PromotionRequest) -> None:
    """Everybody who may see the request."""
    check_can_see(by, request.model)


# signing


def check_log_holds() -> None:
    """Raise ``Conflict`` while the log contradicts what was signed before: nobody signs on top of it."""
    status = log_status()
    if status.broken:
        raise Conflict(
            f"Signing is off for everyone: {status.problem}",
            code="signing.log_broken",
            remedy="An auditor must look: manage.py audit_verify names what was changed.",
        )


def check_can_sign(by: Actor, request: PromotionRequest, standing: Standing, outcome: str) -> None:
    """May this person sign ``outcome`` now? Segregation of duties, roles, places left, and what comes before."""
    check_can_see(by, request.model)
    check_may_vote(by, request)
    if outcome in APPROVALS:
        _check_follows(request, RequestState.APPROVED)
    else:
        rejects = outcome == Decision.Outcome.REJECT
        _check_follows(request, RequestState.REJECTED if rejects else RequestState.CHANGES_REQUESTED)
        if request.state == RequestState.CHECKING:
            raise Conflict(
                "Its checks are running.", code="promotion.checking", remedy="Wait until they have finished."
            )
    if outcome in APPROVALS and not standing.verdict.ready_for_review:
        blocking = next(iter(standing.verdict.blocking()), None)
        raise Conflict(
            f"Not everything before the review is met: {blocking.label}: {blocking.reason}"
            if blocking
            else "It is not ready.",
            code="promotion.not_ready",
            remedy=blocking.remedy if blocking else "Run the checks again.",
        )
    slot_for(by, request, standing)


def check_may_vote(by: Actor, request: PromotionRequest) -> None:
    """Raises ``NotAllowed`` for everybody whose vote can never count on this request, whatever its state."""
    signer = person(by)
    if signer.is_service:
        raise NotAllowed("A service account never signs.", code="signing.service_account", remedy="A person must sign.")
    own = person_id(signer)
    for conflict in conflicts_of(request.version, request.requested_by_id):
        if conflict.person == own:
            raise NotAllowed(
                f"You {conflict.because}, so your vote cannot count on it.",
                code="signing.conflict_of_interest",
                remedy="Someone who had no part in it must sign.",
            )


def slot_for(by: Actor, request: PromotionRequest, standing: Standing) -> tuple[int, str, bool]:
    """The place this person's signature would fill: index of the stage, role, and whether they are independent.

    Of several roles that are wanted, the first in alphabetical order that fits. Raises ``NotAllowed`` with the reason.
    """
    signer = person(by)
    held = roles_held(signer, request.model)
    independent = is_independent(signer, request.model)
    own, policy, facts = person_id(signer), standing.policy, standing.facts
    for role in sorted(held):
        answer = may_sign(policy, facts, person=own, roles=frozenset({role}), independent=independent)
        if answer.stage is not None:
            index = next(number for number, stage in enumerate(policy.review) if stage.name == answer.stage)
            return index, role, independent
    answer = may_sign(policy, facts, person=own, roles=held, independent=independent)
    raise NotAllowed(answer.reason or "There is no place for your signature.", code="signing.no_place")


# waivers


def check_can_ask_waiver(by: Actor, request: PromotionRequest, run: CheckRun) -> None:
    """A contributor, validator or approver, for a finished check of the present round that did not pass."""
    check_can_see(by, request.model)
    signer = person(by)
    if not roles_held(signer, request.model) & {"contributor", "validator", "approver"}:
        raise NotAllowed(
            "Only a contributor, a validator or an approver of the model can ask for a waiver.", code="waiver.no_role"
        )
    _check_waivable(request, run)


def _check_waivable(request: PromotionRequest, run: CheckRun) -> None:
    if policy_of(request.policy_version).waivers is None:
        raise Conflict("The policy allows no waivers.", code="waiver.not_allowed", remedy="Correct the model instead.")
    if request.state != RequestState.CHECKS_FAILED:
        raise Conflict(f"{request.ref} is not stopped by its checks; there is nothing to waive.", code="waiver.state")
    if run.request_id != request.pk or run.round != request.round:
        raise Conflict(
            "This check belongs to an earlier round.", code="waiver.old_round", remedy="Waive the new result."
        )
    if run.state != CheckState.FINISHED:
        raise Conflict("This check has not finished.", code="waiver.unfinished", remedy="Wait for its result.")


def check_can_sign_waiver(by: Actor, request: PromotionRequest, waiver: Waiver) -> None:
    """One of the people the policy names, with no part in the version, who did not ask for the waiver; once."""
    check_can_see(by, request.model)
    check_may_vote(by, request)
    signer = person(by)
    _check_waivable(request, waiver.check_run)
    rule = policy_of(request.policy_version).waivers
    if waiver.granted_at is not None:
        raise Conflict("This waiver is granted already.", code="waiver.granted")
    if signer.pk == waiver.asked_by_id:
        raise NotAllowed("You asked for this waiver, so others must sign it.", code="waiver.yours")
    if any(one.person_id == signer.pk for one in waiver.signatures.all()):
        raise Conflict("You have signed this waiver already.", code="waiver.signed")
    if rule is None or rule.by.role not in roles_held(signer, request.model):
        raise NotAllowed(f"Only the role “{rule.by.role if rule else ''}” can sign it.", code="waiver.no_role")
    if rule.by.independent and not is_independent(signer, request.model):
        raise NotAllowed("Only somebody outside the development can sign it.", code="waiver.not_independent")


def check_waiver_until(request: PromotionRequest, until: datetime, at: datetime) -> None:
    """The waiver ends in the future and within the policy's longest."""
    rule = policy_of(request.policy_version).waivers
    if until <= at:
        raise Invalid("The waiver must end in the future.", code="waiver.until", field="until")
    if rule is not None and (until - at).total_seconds() > rule.max_days * 86400:
        raise Invalid(
            f"The policy allows at most {rule.max_days} days.", code="waiver.until", field="until",
            remedy="Choose an earlier day.",
        )  # fmt: skip


def check_can_export(by: Actor, request: PromotionRequest) -> None:
    """Everybody who may see the request."""
    check_can_see(by, request.model)


def text_of(value: str, *, field: str, required: bool = True) -> str:
    """The text without outer white space. Raises ``Invalid`` naming ``field``: empty, too long, or not storable."""
    text = value.strip()
    label = field.replace("_", " ")
    if required and not text:
        raise Invalid(f"Write the {label}.", code="text.empty", field=field)
    if len(text) > LONGEST_TEXT:
        raise Invalid(f"The {label} is longer than {LONGEST_TEXT} characters.", code="text.long", field=field)
    if "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise Invalid(f"The {label} holds a character that cannot be stored.", code="text.character", field=field)
    return text


def check_can_report(by: Actor) -> User:
    """The service account of a gate, which tells what it let in. Returns the account."""
    account = person(by)
    if not account.is_service:
        raise NotAllowed(
            "Only a gate's service account reports what was let in.",
            code="gate.no_service",
            remedy="Make a service account for the gate, and a token with the scope to write.",
        )
    return account


def check_can_review_broken_glass(by: Actor, broken: BrokenGlass) -> User:
    """An approver of the model, or of all models for one that we do not know; once. Returns the account."""
    reviewer = person(by)
    if not holds(reviewer, APPROVE, broken.version.model_id if broken.version else None):
        raise NotAllowed("Only an approver of the model can review this.", code="glass.no_role")
    if broken.reviewed_at:
        raise Conflict("This has been reviewed already.", code="glass.reviewed")
    return reviewer
