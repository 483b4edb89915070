"""``evaluate(policy, facts) -> Verdict``: pure, total and deterministic. Silence is never consent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from governance.policy.document import CheckRequirement, Limit, Policy, WaiverRule
from governance.policy.facts import CheckFact, Facts, FigureFact, SignatureFact, WaiverFact
from governance.policy.judgement import Judged, Judgement, judge_limits
from governance.policy.signatures import Filled, conflict_of, counting, fill, open_stage
from governance.policy.verdict import Node, Status, Verdict, combined

_UNFINISHED: Mapping[str, tuple[Status, str, str]] = {
    "not_run": (Status.PENDING, "It has not run.", "Start the checks."),
    "queued": (Status.PENDING, "It waits for a worker.", ""),
    "running": (Status.PENDING, "It is running.", ""),
    "awaited": (
        Status.PENDING,
        "It waits for a person's finding.",
        "Ask somebody with the role it names to record it.",
    ),
    "error": (Status.CANNOT_TELL, "It ended with an error: {}", "Correct the cause and run the check again."),
    "timeout": (Status.CANNOT_TELL, "It was stopped at its time limit. {}", "Run it again, or raise its limit."),
    "cancelled": (Status.CANNOT_TELL, "It was cancelled. {}", "Run the check again."),
    "not_applicable": (Status.CANNOT_TELL, "It does not apply to this model: {}", "Use a policy that accepts that."),
}
_SHOWN = 300
_FINDINGS: Mapping[str, tuple[Status, str]] = {
    "pass": (Status.MET, ""),
    "fail": (Status.NOT_MET, "Correct the model and register a new version, or ask for a waiver."),
    "inconclusive": (Status.CANNOT_TELL, "Run the checks again and have it examined once more, or ask for a waiver."),
}
_SAFE = (Judgement.PASS, Judgement.CAUTION)


def evaluate(policy: Policy, facts: Facts) -> Verdict:
    """Judge everything the policy asks for.

    Guarantees: equal arguments give equal verdicts; a check is met only if a fresh, finished run has every figure
    a limit asks for and each keeps it (or passes with caution), or if it says why it does not apply and the policy
    accepts that in as many words.
    """
    checks = _branch("checks", "Checks", [_check(policy, need, facts) for need in policy.checks])
    card = _branch("card", "Model card", [_field(name, facts) for name in policy.card])
    filled = fill(policy, facts)
    ready = checks.status.good and card.status.good
    stages = [_stage(policy, number, filled, facts, ready=ready) for number in range(len(policy.review))]
    review = _branch("review", "Review", stages)
    root = _branch("policy", policy.title or policy.name, [checks, card, review])
    return Verdict(root, checks, card, review, open_stage(filled) if ready else None)


def _branch(key: str, label: str, children: Sequence[Node]) -> Node:
    status = combined(children)
    open_ones = sum(not child.status.good for child in children)
    reason = f"{open_ones} of {len(children)} open." if open_ones else "Nothing is open."
    return Node(key, label, status, reason, anchor=_anchor(key), children=tuple(children))


def _anchor(key: str) -> str:
    return "req-" + "".join(char if char.isalnum() else "-" for char in key)


# checks


def _check(policy: Policy, need: CheckRequirement, facts: Facts) -> Node:
    key = f"checks/{need.key}"
    runs = [fact for fact in facts.checks if fact.key == need.key]
    fact = runs[0] if len(runs) == 1 else None
    if len(runs) > 1:
        node = Node(key, need.key, Status.CANNOT_TELL, "There are two current results for it.", "Run the check again.")
    elif fact is not None and accepted_as_not_applicable(need, fact):
        reason = f"It does not apply to this model, which the policy accepts: {fact.error}"
        node = Node(key, need.key, Status.MET, reason, anchor=_anchor(key))
    elif fact is None or fact.state != "done" or fact.stale:
        node = _unfinished(key, need, fact)
    elif need.is_manual:
        node = _found(key, need, fact)
    else:
        return _measured(policy, key, need, fact, facts)
    waiver = _waiver(policy.waivers, need.key, facts)
    return _with_waiver(node, waiver)


def accepted_as_not_applicable(need: CheckRequirement, fact: CheckFact) -> bool:
    """Whether a fresh result says why it does not apply, and the policy takes that for an answer."""
    return need.not_applicable == "accept" and fact.state == "not_applicable" and not fact.stale and bool(fact.error)


def _unfinished(key: str, need: CheckRequirement, fact: CheckFact | None) -> Node:
    if fact is not None and fact.stale and fact.state == "done":
        reason = "Its result is for another version of model, data, policy or check."
        return Node(key, need.key, Status.PENDING, reason, "Run the check again.", _anchor(key))
    status, reason, remedy = _UNFINISHED[fact.state if fact else "not_run"]
    return Node(key, need.key, status, reason.format(fact.error if fact else "").strip(), remedy, _anchor(key))


def _found(key: str, need: CheckRequirement, fact: CheckFact) -> Node:
    """A person's finding: met only if it says so in as many letters."""
    said, remedy = _FINDINGS.get(fact.finding, (Status.CANNOT_TELL, "Run the checks again and have it recorded."))
    words = fact.words if len(fact.words) <= _SHOWN else f"{fact.words[: _SHOWN - 1]}…"
    return Node(key, need.key, said, words or "Nothing was recorded.", remedy, _anchor(key))


def _measured(policy: Policy, key: str, need: CheckRequirement, fact: CheckFact, facts: Facts) -> Node:
    leaves = tuple(
        _limit(policy=policy, parent=key, need=need, limit=limit, judged=judged, facts=facts)
        for limit, judged in zip(need.limits, _judged(need, fact.figures), strict=True)
    )
    whole = _waiver(policy.waivers, need.key, facts)
    if not leaves:
        nothing = unmeasured(fact.figures)
        if nothing:
            remedy = _REMEDY[Judgement.INSUFFICIENT]
            return _with_waiver(Node(key, need.key, Status.CANNOT_TELL, nothing, remedy, _anchor(key)), whole)
        return Node(key, need.key, Status.MET, "It ran; the policy sets no limit on it.", anchor=_anchor(key))
    status = combined(leaves)
    worst = next((leaf for leaf in leaves if leaf.status == status), leaves[0])
    reason = (
        worst.reason
        if not status.good
        else ("Its limit is kept." if len(leaves) == 1 else f"All {len(leaves)} limits are kept.")
    )
    if status is Status.WAIVED:
        reason = worst.reason
    node = Node(key, need.key, status, reason, worst.remedy, _anchor(key), leaves)
    return _with_waiver(node, whole)


def _judged(need: CheckRequirement, figures: Sequence[FigureFact]) -> tuple[tuple[Judged, ...], ...]:
    """For each limit the figures it is held against, judged as one family."""
    families = [(limit, [figure for figure in figures if figure.key == limit.figure]) for limit in need.limits]
    return judge_limits(families, insufficient_data=need.insufficient_data)


def _limit(
    *, policy: Policy, parent: str, need: CheckRequirement, limit: Limit, judged: tuple[Judged, ...], facts: Facts
) -> Node:
    key = f"{parent}/{limit.figure}"
    if not judged:
        reason = f"The check gave no figure “{limit.figure}”."
        node = Node(
            key, limit.figure, Status.CANNOT_TELL, reason, "Correct the figure's name in the policy.", _anchor(key)
        )
        return _with_waiver(node, _waiver(policy.waivers, f"{need.key}/{limit.figure}", facts))
    worst = _worst(judged)
    good = worst.judgement in _SAFE
    tell = Status.CANNOT_TELL if worst.judgement is Judgement.INSUFFICIENT else Status.NOT_MET
    node = Node(
        key,
        judged[0].figure.label,
        Status.MET if good else tell,
        worst.reason,
        "" if good else _REMEDY[worst.judgement],
        _anchor(key),
        judged=judged,
    )
    return _with_waiver(node, _waiver(policy.waivers, f"{need.key}/{limit.figure}", facts))


_REMEDY = {
    Judgement.FAIL: "Correct the model and register a new version, or ask for a waiver.",
    Judgement.INCONCLUSIVE: "Test on more rows, or let a person decide with a written reason (a waiver).",
    Judgement.INSUFFICIENT: "Test on more rows of this group, or ask for a waiver.",
}
_RANK = [Judgement.FAIL, Judgement.INCONCLUSIVE, Judgement.INSUFFICIENT, Judgement.CAUTION, Judgement.PASS]


def _worst(judged: Sequence[Judged]) -> Judged:
    def place(one: Judged) -> tuple[int, float, str]:
        return _RANK.index(one.judgement), one.headroom if one.headroom is not None else 0.0, one.figure.about

    return min(judged, key=place)


def judge_check(need: CheckRequirement, figures: Sequence[FigureFact]) -> Judgement:
    """The worst judgement over all limits of one requirement; a figure that is not there is insufficient."""
    families = _judged(need, figures)
    found = [_worst(judged).judgement if judged else Judgement.INSUFFICIENT for judged in families]
    if not need.limits:
        found = [Judgement.INSUFFICIENT if unmeasured(figures) else Judgement.PASS]
    return min(found, key=_RANK.index)


def unmeasured(figures: Sequence[FigureFact]) -> str:
    """Why nothing was shown where a policy sets no limit: no figure of the check's first key has a value. "" if one has."""
    first = [figure for figure in figures if figure.key == figures[0].key]
    if not first or any(figure.value is not None for figure in first):
        return ""
    return next((figure.note for figure in first if figure.note), "") or f"“{first[0].label}” could not be measured."


# waivers


def _waiver(rule: WaiverRule | None, key: str, facts: Facts) -> WaiverFact | None:
    """The waiver in force for that key: allowed by the policy, in time, not too long, signed by enough people."""
    if rule is None:
        return None
    for waiver in sorted(facts.waivers, key=lambda w: (w.expires_at, w.id)):
        life = waiver.expires_at - waiver.granted_at
        in_time = waiver.granted_at <= facts.at < waiver.expires_at and life <= timedelta(days=rule.max_days)
        if waiver.key == key and in_time and len(_waivers_people(rule, waiver, facts)) >= rule.by.n:
            return waiver
    return None


def _waivers_people(rule: WaiverRule, waiver: WaiverFact, facts: Facts) -> set[str]:
    def able(signature: SignatureFact) -> bool:
        return (
            signature.decision == "approve"
            and not signature.void
            and rule.by.role in signature.roles
            and (signature.independent or not rule.by.independent)
            and conflict_of(facts, signature.person) is None
        )

    return {signature.person for signature in waiver.signatures if able(signature)}


def _with_waiver(node: Node, waiver: WaiverFact | None) -> Node:
    anchor = node.anchor or _anchor(node.key)
    if waiver is None or node.status is Status.MET:
        return Node(node.key, node.label, node.status, node.reason, node.remedy, anchor, node.children, node.judged)
    reason = f"Waived until {waiver.expires_at.date().isoformat()}: {waiver.reason} ({node.reason})"
    return Node(node.key, node.label, Status.WAIVED, reason, "", anchor, node.children, node.judged, waiver.id)


# card and review


def _field(name: str, facts: Facts) -> Node:
    key = f"card/{name}"
    label = name.replace("_", " ").capitalize()
    if name in facts.card:
        return Node(key, label, Status.MET, "It is filled in.", anchor=_anchor(key))
    return Node(key, label, Status.NOT_MET, "It is empty.", f"Fill in “{label}” on the model card.", _anchor(key))


def _stage(policy: Policy, number: int, filled: Sequence[Filled], facts: Facts, *, ready: bool) -> Node:
    stage = policy.review[number]
    key = f"review/{stage.name}"
    label = stage.name.replace("-", " ").capitalize()
    against = [s for d in ("reject", "request_changes") for s in counting(facts, d) if s.stage == stage.name]
    roles = {slots.role for slots in stage.all}
    against = [s for s in against if roles & s.roles]
    if against:
        what = "rejected it" if against[0].decision == "reject" else "asked for changes"
        return Node(
            key,
            label,
            Status.NOT_MET,
            f"{against[0].name} {what}.",
            "Register a new version and ask again.",
            _anchor(key),
        )
    own = [f for f in filled if f.slot.stage == stage.name]
    before = {s.name for s in policy.review[:number]}
    blocked = not ready or any(f.signature is None for f in filled if f.slot.stage in before)
    leaves = tuple(_slot(key, index, one, blocked=blocked) for index, one in enumerate(own))
    have = sum(one.signature is not None for one in own)
    return Node(key, label, combined(leaves), f"{have} of {len(own)} signatures.", anchor=_anchor(key), children=leaves)


def _slot(parent: str, index: int, one: Filled, *, blocked: bool) -> Node:
    key = f"{parent}/{index + 1}"
    label = one.slot.words[one.slot.words.index(" ") + 1 :].capitalize()
    if one.signature is not None:
        return Node(key, label, Status.MET, f"Signed by {one.signature.name}.", anchor=_anchor(key))
    remedy = "First, what comes before must be met." if blocked else f"Ask {one.slot.words} of this model to sign."
    return Node(key, label, Status.PENDING, f"Waits for {one.slot.words}.", remedy, _anchor(key))
