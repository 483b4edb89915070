"""What the pages and the REST API show of a request: one typed value per screen, with reasons for what is not possible.

Built from ``standing`` and ``guards``, so a button is disabled exactly when the service behind it would refuse, with the
same sentence.

    screen = decision_screen(request_of(user, "REQ-0007"), Actor.of(http_request))
    screen.actions["sign"].allowed, screen.actions["sign"].why_not
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from audit.actors import Actor
from config import as_of
from governance import guards
from governance.models import CheckRun, Comment, Decision, Permit, PromotionRequest, Waiver
from governance.policy import Filled, Judged, Node, Policy, Verdict, fill
from governance.selectors.requests import active_permit, workers_alive
from governance.standing import Standing, display_name, standing_of
from governance.states import CheckState, RequestState
from registry.models import ModelVersion


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person could do here. ``why_not`` is the sentence for the disabled button, or ""."""

    name: str
    label: str
    why_not: str

    @property
    def allowed(self) -> bool:
        """Whether it is possible now."""
        return not self.why_not


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One check of the present round. ``requirement`` is the policy's node, None for a scoring job.

    ``judged``: every figure that a limit holds, with headroom and reason, in the policy's order. ``result`` is the stored
    ``CheckResult`` as JSON (figures, tables, findings, limits), None until finished or after an error.
    """

    run: CheckRun
    requirement: Node | None
    judged: tuple[Judged, ...]
    waiver: Waiver | None
    waive: Action

    @property
    def result(self) -> Mapping[str, object] | None:
        """The stored result."""
        result: Mapping[str, object] | None = self.run.result
        return result

    @property
    def percent(self) -> int:
        """Progress, 0 to 100."""
        if self.run.state == CheckState.FINISHED:
            return 100
        return 100 * self.run.progress_done // self.run.progress_total if self.run.progress_total else 0

    @property
    def reused(self) -> bool:
        """The result was computed before, for the same model, data, parameters and code of the check."""
        return self.run.reused_from_id is not None


@dataclass(frozen=True, slots=True)
class SignatureRow:
    """One signed decision. ``void`` says why it no longer counts, or ""."""

    decision: Decision
    name: str
    stage: str
    void: str


@dataclass(frozen=True, slots=True)
class Change:
    """One difference to the live version. ``before`` or ``after`` is "" where it does not exist."""

    what: str
    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the checks of the present round are."""

    finished: int
    total: int
    running: tuple[str, ...]
    workers_alive: bool
    awaited: tuple[CheckRun, ...] = ()

    @property
    def done(self) -> bool:
        """Nothing waits or runs."""
        return self.finished == self.total

    @property
    def people(self) -> bool:
        """All that is left is for people to record."""
        return bool(self.awaited) and self.finished + len(self.awaited) == self.total


@dataclass(frozen=True, slots=True)
class DecisionScreen:
    """Everything on the page of one request.

    ``actions``: ``sign`` (approve, with or without conditions), ``return``, ``reject``, ``withdraw``, ``run_again``,
    ``comment``, ``revoke``, ``export``. ``evidence_digest`` and ``policy_digest`` go into the signing form as seen.
    """

    request: PromotionRequest
    policy: Policy
    verdict: Verdict
    progress: Progress
    checks: tuple[CheckRow, ...]
    scoring: tuple[CheckRow, ...]
    places: tuple[Filled, ...]
    signatures: tuple[SignatureRow, ...]
    waivers: tuple[Waiver, ...]
    comments: tuple[Comment, ...]
    changes: tuple[Change, ...]
    permit: Permit | None
    live_permit: Permit | None
    actions: Mapping[str, Action]
    evidence_digest: str
    policy_digest: str

    @property
    def requirements(self) -> tuple[Node, ...]:
        """The three branches of the policy: checks, card, review."""
        return self.verdict.root.children

    @property
    def blocking(self) -> tuple[Node, ...]:
        """The leaves that stand in the way, in the policy's order."""
        return self.verdict.blocking()

    @property
    def state(self) -> RequestState:
        """The request's state."""
        return RequestState(self.request.state)

    @property
    def etag(self) -> str:
        """Changes whenever the request, a check of it or a vote on it does."""
        seen = [self.request.updated_at.isoformat(), len(self.signatures), len(self.comments), len(self.waivers)]
        seen += [f"{run.state}{run.attempt}{run.progress_done}" for run in self.request.checks.all()]
        return hashlib.sha256(repr(seen).encode()).hexdigest()[:32]


def decision_screen(request: PromotionRequest, by: Actor) -> DecisionScreen:
    """The screen of a request that came from ``selectors.requests.request_of`` (its rows are prefetched)."""
    standing = standing_of(request, at=as_of.now())
    rows = tuple(_check_rows(request, standing, by))
    voids = {fact.id: fact.void for fact in standing.facts.signatures}
    stages = {fact.id: fact.stage for fact in standing.facts.signatures}
    permit = Permit.objects.filter(request=request).first()
    return DecisionScreen(
        request=request,
        policy=standing.policy,
        verdict=standing.verdict,
        progress=_progress(request, alive=workers_alive()),
        checks=tuple(row for row in rows if row.requirement is not None),
        scoring=tuple(row for row in rows if row.requirement is None),
        places=fill(standing.policy, standing.facts),
        signatures=tuple(
            SignatureRow(one, display_name(one.person), stages[str(one.pk)], voids[str(one.pk)])
            for one in request.decisions.all()
        ),
        waivers=tuple(request.waivers.all()),
        comments=tuple(request.comments.select_related("author")),
        changes=changes_between(request.replaces, request.version),
        permit=permit,
        live_permit=active_permit(request.model, request.target),
        actions=actions_of(request, standing, permit, by),
        evidence_digest=request.evidence_digest,
        policy_digest=standing.policy.digest,
    )


def actions_of(request: PromotionRequest, standing: Standing, permit: Permit | None, by: Actor) -> dict[str, Action]:
    """Every action on the request, with the reason against it if there is one."""
    outcome, why = Decision.Outcome, guards.why_not
    found = [
        Action("sign", "Sign the approval", why(guards.check_can_sign, by, request, standing, outcome.APPROVE)),
        Action("return", "Return for changes", why(guards.check_can_sign, by, request, standing, outcome.RETURN)),
        Action("reject", "Reject", why(guards.check_can_sign, by, request, standing, outcome.REJECT)),
        Action("withdraw", "Withdraw", why(guards.check_can_withdraw, by, request)),
        Action("run_again", "Run the checks again", why(guards.check_can_run_again, by, request)),
        Action("comment", "Comment", why(guards.check_can_comment, by, request)),
        Action("export", "Download the evidence", why(guards.check_can_export, by, request)),
        Action(
            "revoke",
            "Revoke the permit",
            why(guards.check_can_revoke, by, permit) if permit else "There is no permit yet.",
        ),
    ]
    return {action.name: action for action in found}


def changes_between(before: ModelVersion | None, after: ModelVersion) -> tuple[Change, ...]:
    """What differs between two versions: files, parameters, metrics, flavours, signature. First promotions have none."""
    if before is None or before.pk == after.pk:
        return ()
    found = [Change("files", "digest", before.manifest_digest, after.manifest_digest)]
    found += [Change("files", "size", str(before.size_bytes), str(after.size_bytes))]
    found += _differences("parameters", before.parameters, after.parameters)
    found += _differences("metrics", before.metrics, after.metrics)
    found += [Change("model", "flavours", ", ".join(before.flavours), ", ".join(after.flavours))]
    found += _differences("signature", before.signature, after.signature)
    return tuple(change for change in found if change.before != change.after)


def _differences(what: str, before: Mapping[str, object], after: Mapping[str, object]) -> Iterable[Change]:
    for name in sorted({*before, *after}):
        yield Change(what, name, str(before.get(name, "")), str(after.get(name, "")))


def _check_rows(request: PromotionRequest, standing: Standing, by: Actor) -> Iterable[CheckRow]:
    nodes = {node.key.removeprefix("checks/"): node for node in standing.verdict.checks.children}
    waivers = {waiver.check_run_id: waiver for waiver in request.waivers.all()}
    for run in request.checks.all():
        if run.round != request.round:
            continue
        node = nodes.get(run.key)
        judged = tuple(one for leaf in (node.children if node else ()) for one in leaf.judged)
        why = (
            "It is met." if node and node.status.good else guards.why_not(guards.check_can_ask_waiver, by, request, run)
        )
        if node is None:
            why = "A scoring job is no requirement."
        elif run.pk in waivers:
            why = "There is a waiver already."
        yield CheckRow(run, node, judged, waivers.get(run.pk), Action("waive", "Ask for a waiver", why))


def _progress(request: PromotionRequest, *, alive: bool) -> Progress:
    runs = [run for run in request.checks.all() if run.round == request.round]
    return Progress(
        finished=sum(run.state == CheckState.FINISHED for run in runs),
        total=len(runs),
        running=tuple(run.title for run in runs if run.state == CheckState.RUNNING),
        workers_alive=alive,
        awaited=tuple(run for run in runs if run.state == CheckState.AWAITED),
    )
