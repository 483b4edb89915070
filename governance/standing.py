"""Where a request stands: its rows as the facts that the policy is evaluated against. Reads, decides nothing.

Guards, selectors and services all ask here, so that a disabled button, an API answer and a refused signature can never
disagree.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from django.db.models import Prefetch, QuerySet

from governance.models import CheckRun, Decision, PolicyVersion, PromotionRequest, Waiver, WaiverSignature
from governance.policy import (
    CheckFact,
    Conflict,
    Facts,
    Policy,
    SignatureFact,
    Verdict,
    WaiverFact,
    evaluate,
    parse,
)
from governance.policy.facts import CheckState as FactState
from governance.policy.facts import Decision as Vote
from governance.states import CheckState
from registry.models import ModelVersion, RegisteredModel, User
from registry.reach import ADMINISTER, APPROVE, AUDIT, CONTRIBUTE, VALIDATE, holds, teams_of
from registry.roles import Role

_MARK = {
    Role.CONTRIBUTOR.value: CONTRIBUTE,
    Role.VALIDATOR.value: VALIDATE,
    Role.APPROVER.value: APPROVE,
    Role.AUDITOR.value: AUDIT,
    Role.ADMINISTRATOR.value: ADMINISTER,
}
"""The permission that makes somebody a holder of each role (``registry.roles``)."""

_WAITS: dict[CheckState, FactState] = {CheckState.RUNNING: "running", CheckState.AWAITED: "awaited"}
_VOTES: dict[str, Vote] = {
    Decision.Outcome.APPROVE: "approve",
    Decision.Outcome.CONDITIONS: "approve",
    Decision.Outcome.RETURN: "request_changes",
    Decision.Outcome.REJECT: "reject",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """One moment of one request: what the policy asks, what is there, and what follows from both."""

    policy: Policy
    facts: Facts
    verdict: Verdict


def person_id(user: User) -> str:
    """The name of a person in facts, records and permits: that of the ledger's actor."""
    return f"user:{user.pk}"


def display_name(user: User) -> str:
    """What people call this person."""
    return user.display_name or user.get_full_name() or user.get_username()


def policy_of(version: PolicyVersion) -> Policy:
    """The parsed policy. Its text was validated when it was adopted and cannot change."""
    return _parsed(version.digest, version.document)


@lru_cache(maxsize=64)
def _parsed(digest: str, document: str) -> Policy:
    policy = parse(document.encode())
    if policy.digest != digest:
        raise ValueError(f"policy {policy.name}: the stored text does not have the stored digest {digest}")
    return policy


def roles_held(user: User, model: RegisteredModel) -> frozenset[str]:
    """The roles whose permission the person holds on every model or on this one.

    Being a superuser, an administrator or the owner gives no voting role, and a service account holds none.
    """
    if not user.is_active or user.is_service:
        return frozenset()
    return frozenset(role for role, permission in _MARK.items() if holds(user, permission, model.pk))


def is_independent(user: User, model: RegisteredModel) -> bool:
    """Whether the person stands outside the development: not the owner, not of the owning team, no contributor."""
    if user.pk == model.owner_id or "contributor" in roles_held(user, model):
        return False
    return model.team_id is None or model.team_id not in teams_of(user)


def conflicts_of(version: ModelVersion, requested_by_id: int | None) -> tuple[Conflict, ...]:
    """Whose vote cannot count, and why (invariant 3). One person may appear with several reasons.

    The bytes are what is approved, so whoever made the same bytes as another version made these: a copy has the authors of
    what it was copied from.
    """
    found = [(requested_by_id, "asked for this promotion"), *_makers(version, "this version")]
    twins = version.manifest.versions.all() if version.manifest is not None else ()
    for twin in twins:
        if twin.pk != version.pk:
            found += _makers(twin, "another version with the same files")
    return tuple(Conflict(f"user:{pk}", why) for pk, why in found if pk is not None)


def _makers(version: ModelVersion, what: str) -> list[tuple[int | None, str]]:
    return [
        (version.registered_by_id, f"registered {what}"),
        (version.trained_by_id, f"trained {what}"),
        (version.code_author_id, f"wrote the code of {what}"),
    ]


def authors_of(version: ModelVersion) -> list[str]:
    """Everybody who registered, trained or wrote the code of the version, sorted, each once."""
    return sorted({one.person for one in conflicts_of(version, None)})


def with_rows(requests: QuerySet[PromotionRequest]) -> QuerySet[PromotionRequest]:
    """Prefetch everything that ``standing_of`` reads, and what people are shown of it: six queries, however many rows."""
    return requests.select_related(
        "version__model", "version__manifest", "model__owner", "policy_version__policy", "requested_by", "replaces"
    ).prefetch_related(
        Prefetch("version__manifest__versions", ModelVersion.objects.order_by("pk")),
        Prefetch("checks", CheckRun.objects.select_related("dataset__dataset")),
        Prefetch("decisions", Decision.objects.select_related("person")),
        Prefetch("waivers", Waiver.objects.select_related("check_run", "asked_by")),
        Prefetch("waivers__signatures", WaiverSignature.objects.select_related("person")),
    )


def standing_of(request: PromotionRequest, *, at: datetime) -> Standing:
    """Evaluate the request's own policy version on its present rows, at the moment ``at``."""
    policy = policy_of(request.policy_version)
    facts = facts_of(request, policy, at=at)
    return Standing(policy, facts, evaluate(policy, facts))


def facts_of(request: PromotionRequest, policy: Policy, *, at: datetime) -> Facts:
    """Everything that counts for the request, as values."""
    runs = {run.key: run for run in request.checks.all() if run.round == request.round}
    return Facts(
        at=at,
        checks=tuple(check_fact(runs[need.key]) for need in policy.checks if need.key in runs),
        card=frozenset(filled_card(request.model)),
        signatures=tuple(_signature(decision, request, policy) for decision in request.decisions.all()),
        conflicts=conflicts_of(request.version, request.requested_by_id),
        waivers=tuple(_waivers(request.waivers.all(), request, policy)),
    )


def filled_card(model: RegisteredModel) -> dict[str, str]:
    """The card's fields that hold at least one word."""
    return {name: str(text) for name, text in model.card.items() if str(text).strip()}


def check_fact(run: CheckRun) -> CheckFact:
    """One run as a fact. An error is never a result; a time limit is told apart from other errors."""
    if run.state != CheckState.FINISHED:
        return CheckFact(run.key, _WAITS.get(CheckState(run.state), "queued"))
    if run.verdict == CheckRun.Verdict.ERROR or run.result is None:
        return CheckFact(run.key, "timeout" if run.error_code == "timeout" else "error", error=run.summary)
    return CheckFact.from_result(run.key, run.result)


def _signature(decision: Decision, request: PromotionRequest, policy: Policy) -> SignatureFact:
    stages = policy.review
    known = decision.stage < len(stages)
    void = ""
    if decision.round != request.round:
        void = "The evidence changed after it was given."
    elif not known:
        void = "The policy no longer has its stage."
    return SignatureFact(
        id=str(decision.pk),
        person=person_id(decision.person),
        name=display_name(decision.person),
        stage=stages[decision.stage].name if known else "",
        decision=_VOTES[decision.outcome],
        # The role it was signed in, not all that were held: one signature never changes its meaning afterwards.
        roles=frozenset({decision.role}),
        at=decision.signed_at,
        independent=bool(json.loads(decision.record).get("independent", False)),
        void=void,
    )


def _waivers(waivers: Iterable[Waiver], request: PromotionRequest, policy: Policy) -> Iterable[WaiverFact]:
    """Granted waivers of the present round: a new round makes new evidence, which nobody has waived."""
    role = policy.waivers.by.role if policy.waivers else ""
    for waiver in waivers:
        if waiver.granted_at is None or waiver.check_run.round != request.round:
            continue
        signatures = tuple(
            SignatureFact(
                id=str(one.pk),
                person=person_id(one.person),
                name=display_name(one.person),
                stage="",
                decision="approve",
                roles=frozenset({role}),
                at=one.signed_at,
                independent=bool(policy.waivers and policy.waivers.by.independent),
            )
            for one in waiver.signatures.all()
        )
        yield WaiverFact(
            str(waiver.pk), waiver.check_run.key, waiver.reason, waiver.granted_at, waiver.until, signatures
        )
