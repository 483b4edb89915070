"""The report of one promotion: what was asked, what changed, what was measured, who signed, and what came of it."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from config.figures import figure, size
from governance.documents.cards import card_facts
from governance.documents.display import in_fours
from governance.documents.packs import evidence, groups
from governance.documents.packs.attached import files_of
from governance.documents.packs.common import (
    NOT_PROOF,
    PERMIT_MARKS,
    all_seen,
    ancestry,
    datasets,
    entry_indexes,
    installation,
    lineage,
    log_head,
    name_of,
    permit_facts,
    role_words,
    signature,
    subjects_of,
    target_words,
    trail,
)
from governance.documents.shape import Column, Fact, Facts, Pack, Section, Signatures, Table
from governance.models import Permit, PromotionRequest
from governance.policy import Node, Policy, Verdict, fill
from governance.screens import Change, changes_between
from governance.selectors.decision import live_results
from governance.standing import Standing, standing_of
from governance.states import RequestState
from registry.models import DatasetVersion, User
from registry.selectors.lineage import Graph

NAME: Final = "request"
_APPROVED: Final = (RequestState.APPROVED, RequestState.APPROVED_WITH_CONDITIONS)
_MARKS: Final[Mapping[str, str]] = {
    RequestState.APPROVED: "pass",
    RequestState.APPROVED_WITH_CONDITIONS: "caution",
    RequestState.REJECTED: "fail",
    RequestState.CHECKS_FAILED: "fail",
}


def build(request: PromotionRequest, reader: User) -> Pack:
    """The pack of a request that came from ``selectors.requests.request_of``, at the moment shown or the latest checkpoint.

    The same request at the same moment gives the same pack to all who may see as much. Raises ``Conflict`` for a log without
    a checkpoint.
    """
    graph = ancestry(request.version, reader)
    log = log_head()
    standing = standing_of(request, at=log.at)
    permit = Permit.objects.filter(request=request).select_related("superseded_by").first()
    live = live_results(request)
    decisions = list(request.decisions.order_by("signed_at", "pk").select_related("person"))
    indexes = entry_indexes([one.entry_id for one in decisions], log.size)
    runs = [run for run in request.checks.all() if run.round == request.round]
    tested = {run.dataset_id: run.dataset for run in runs if run.dataset is not None}
    waivers = sorted(request.waivers.all(), key=lambda one: (one.asked_at, str(one.pk)))
    voids = {fact.id: (fact.void, fact.stage) for fact in standing.facts.signatures}
    signed = [
        signature(one, stage=voids[str(one.pk)][1], void=voids[str(one.pk)][0], indexes=indexes) for one in decisions
    ]
    approvals = sum(not one["void"] and one["outcome_key"].startswith("approve") for one in signed)
    subjects = [("governance.promotionrequest", str(request.pk))]
    subjects += [("governance.permit", str(permit.pk))] if permit else []
    sections = [
        _asked(request, standing.policy),
        _changes(request),
        evidence.checks(request, standing.verdict, live),
        groups.groups(runs, standing.verdict),
        groups.drivers(runs, live),
        evidence.waivers(waivers),
        _requirements(standing.verdict),
        Section(
            "signatures",
            "Signatures",
            _signed_words(standing, signed),
            [Signatures("signatures", signed, nothing="Nobody has signed this request.")],
        ),
        _permit(permit, request),
        _sources(graph, list(tested.values())),
        Section(
            "card",
            "Model card",
            "What the model's owners say of it, as it stands at this checkpoint.",
            [Facts("card", card_facts(request.model.card, standing.policy.card))],
        ),
        _thread(request),
        Section(
            "log",
            "Log",
            "Every entry the log has about this request and its permit; each is proved in the bundle.",
            [trail(subjects + subjects_of(request.version), log.size)],
        ),
    ]
    complete = request.state in _APPROVED
    return Pack(
        report=NAME,
        kind="Report of a promotion",
        label=request.ref,
        title=f"Promote {request.model.name} v{request.version.number} to {target_words(request.target)}",
        question=request.model.use_case,
        answer=_answer(request, standing, permit),
        verdict=_MARKS.get(request.state, "queued"),
        seal=2 if complete else min(approvals, 1),
        subject={"type": "governance.promotionrequest", "id": str(request.pk), "ref": request.ref},
        parameters={"request": request.ref},
        log=log,
        head=_head(request),
        sections=sections,
        limits=NOT_PROOF,
        files=files_of(request, permit, lineage=all_seen(graph)),
        installation=installation(),
    )


def _head(request: PromotionRequest) -> list[Fact]:
    return [
        Fact("digest", "Files", request.manifest_digest, "digest"),
        Fact("policy", "Policy", str(request.policy_version)),
        Fact("requested_by", "Asked by", name_of(request.requested_by)),
        Fact("created_at", "Asked", request.created_at, "moment"),
        Fact("closed_at", "Decided", request.closed_at, "moment", why="It is open."),
    ]


def _answer(request: PromotionRequest, standing: Standing, permit: Permit | None) -> str:
    what = f"v{request.version.number}"
    target = target_words(request.target)
    state = RequestState(request.state)
    if state in _APPROVED:
        how = " with conditions" if state is RequestState.APPROVED_WITH_CONDITIONS else ""
        said = f"Approved{how} on {_day(request.closed_at)}."
        if permit is None:
            return f"{said} The permit is not issued yet: {what} may not be called {target}."
        lives = {"active": f"{what} may be called {target} until {_day(permit.expires_at)}."}
        ended = f"The permit is {permit.get_state_display().lower()}: {what} may no longer be called {target}."
        return f"{said} {lives.get(permit.state, ended)}"
    if state is RequestState.REJECTED:
        return f"Rejected on {_day(request.closed_at)}: {what} may not be called {target}."
    if request.closed_at is not None:
        return f"{state.label} on {_day(request.closed_at)}, without a decision: {what} may not be called {target}."
    blocking = standing.verdict.blocking()
    first = blocking[0] if blocking else None
    about = "" if first is None or first.reason.startswith(first.label) else f"{first.label}: "
    why = f" First open: {about}{first.reason}" if first else ""
    return f"Open ({state.label.lower()}): {what} may not be called {target} yet.{why}"


def _day(at: datetime | None) -> str:
    return f"{at.day} {at:%B %Y}" if at else ""


def _asked(request: PromotionRequest, policy: Policy) -> Section:
    version, model = request.version, request.model
    replaces = f"v{request.replaces.number}" if request.replaces else None
    facts = [
        Fact("model", "Model", model.name),
        Fact("version", "Version", f"v{version.number}"),
        Fact("target", "To be called", target_words(request.target)),
        Fact("replaces", "In place of", replaces, why="Nothing was live under this name."),
        Fact("intended_use", "Intended use", request.intended_use),
        Fact("tier", "Risk tier", model.get_tier_display()),
        Fact("owner", "Owner", name_of(model.owner)),
        Fact("registered_by", "Registered by", name_of(version.registered_by)),
        Fact("trained_by", "Trained by", name_of(version.trained_by), why="No run names a person known here."),
        Fact(
            "code_author", "Code written by", name_of(version.code_author), why="No commit names a person known here."
        ),
        Fact("manifest_digest", "Files (manifest)", request.manifest_digest, "digest"),
        Fact("policy", "Policy", f"{policy.title or policy.name} ({request.policy_version})"),
        Fact("policy_digest", "Text of the policy", request.policy_version.digest, "digest"),
        Fact(
            "evidence_digest",
            "Evidence signed on",
            request.evidence_digest,
            "digest",
            why="The checks have not finished.",
        ),
        Fact("round", "Round", request.round, "count"),
        Fact("decide_by", "To be decided by", request.decide_by, "day", why="No date was set."),
    ]
    said = f"{name_of(request.requested_by)} asked on {_day(request.created_at)}."
    return Section("asked", "What was asked", said, [Facts("asked", facts)])


_CHANGES: Final = (
    Column("what", "Of", weight=0.9),
    Column("name", "Name", weight=1.3),
    Column("before", "Live", optional=True, weight=2),
    Column("after", "Proposed", optional=True, weight=2),
)


def _changes(request: PromotionRequest) -> Section:
    if request.replaces is None:
        return Section("changes", "What changes", "Nothing is live under this name: everything is new.")
    rows = [
        {"what": one.what, "name": one.name, "before": _side(one, one.before), "after": _side(one, one.after)}
        for one in changes_between(request.replaces, request.version)
    ]
    said = f"Against v{request.replaces.number}: {len(rows)} differences in files, parameters, metrics, flavours and signature."
    return Section(
        "changes",
        "What changes",
        said if rows else f"Nothing differs from v{request.replaces.number} but the number.",
        [Table("changes", _CHANGES, rows)] if rows else (),
    )


def _side(one: Change, text: str) -> str:
    """One side of a change as people read it: sizes in units, numbers in few digits, of a signature the names."""
    if one.what == "files":
        return size(int(text)) if one.name == "size" else in_fours(text)
    if one.what == "metrics":
        return figure(text) if text else ""
    if one.what == "signature":
        names = _NAMES.findall(text)
        return f"{len(names)}: {', '.join(names)}" if names else text
    return text


_NAMES: Final = re.compile(r"[\"']name[\"']: [\"']([^\"']+)[\"']")
_REQUIREMENTS: Final = (
    Column("part", "Part", weight=0.8),
    Column("requirement", "Requirement", weight=1.6),
    Column("status", "Standing", "verdict"),
    Column("reason", "Why", weight=3.4),
)


def _requirements(verdict: Verdict) -> Section:
    rows = [
        _requirement(branch, node)
        for branch in verdict.root.children
        for node in branch.walk()
        if not node.children and node is not branch
    ]
    open_ones = sum(
        not node.status.good for branch in verdict.root.children for node in branch.walk() if not node.children
    )
    said = f"{open_ones} of {len(rows)} are open." if open_ones else f"All {len(rows)} are met or waived."
    return Section("requirements", "What the policy asks for", said, [Table("requirements", _REQUIREMENTS, rows)])


def _requirement(branch: Node, node: Node) -> dict[str, Any]:
    return {
        "part": branch.label,
        "requirement": node.label,
        "status": evidence.mark(node.status, node.judged),
        "reason": node.reason,
    }


def _signed_words(standing: Standing, signed: list[dict[str, Any]]) -> str:
    places = fill(standing.policy, standing.facts)
    given = sum(place.signature is not None for place in places)
    void = sum(bool(one["void"]) for one in signed)
    wanted = ", ".join(
        f"{slots.n} {role_words(slots.role).lower()}" for stage in standing.policy.review for slots in stage.all
    )
    more = f" {void} earlier signed, before the evidence changed, and do not count." if void else ""
    return f"{given} of {len(places)} places are filled; the policy asks for {wanted}.{more}"


def _permit(permit: Permit | None, request: PromotionRequest) -> Section:
    if permit is None:
        return Section("permit", "Permit", "There is none. Without one, the name cannot be moved to this version.")
    facts = permit_facts(permit)
    if permit.superseded_by is not None:
        facts.append(Fact("superseded_by", "Superseded by", str(permit.superseded_by_id), "code"))
    word = {"pass": "It is in force.", "caution": "It is suspended.", "fail": "It was revoked."}
    said = word.get(PERMIT_MARKS[permit.state], f"It has ended: {permit.get_state_display().lower()}.")
    return Section(
        "permit",
        "Permit",
        f"{said} Issued for {request.ref}, an in-toto statement that verifies offline.",
        [Facts("permit", facts)],
    )


def _sources(graph: Graph, tested: list[DatasetVersion]) -> Section:
    found = len(graph.nodes) - 1 if graph.nodes else 0
    said = f"{found} objects lie upstream of the version." if found else "No lineage was recorded for this version."
    return Section(
        "lineage",
        "Where it comes from",
        said,
        [
            lineage(graph),
            Table(
                "tested",
                (*datasets(()).columns,),
                datasets(sorted(tested, key=str)).rows,
                "Measured on",
                nothing="No check used a data set.",
            ),
        ],
    )


_THREAD: Final = (
    Column("at", "When", "moment", weight=1),
    Column("by", "Who", weight=1),
    Column("text", "Said", weight=4),
)


def _thread(request: PromotionRequest) -> Section:
    rows = [
        {"at": one.created_at, "by": name_of(one.author), "text": one.text}
        for one in request.comments.select_related("author").order_by("created_at", "pk")
    ]
    said = f"{len(rows)} remarks, none of them a vote." if rows else "Nobody remarked on it."
    return Section("thread", "Discussion", said, [Table("thread", _THREAD, rows)] if rows else ())
