"""The context of the decision screen. Page and regions are rendered from the same one, so they cannot differ."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, Final

from django.http import HttpRequest
from django.utils import timezone

from audit.actors import Actor
from audit.models import Entry
from audit.selectors import entry_of
from config import as_of
from config.figures import day
from governance import guards
from governance.models import Decision, EvidenceSnapshot, PromotionRequest
from governance.screens import DecisionScreen, decision_screen
from governance.selectors.decision import live_results, origins
from governance.selectors.requests import issuance_of
from governance.services import reviews
from governance.states import UNFINISHED, RequestState
from governance.ui import changes, comparison, evidence, rail, sources
from governance.ui.forms import CommentForm, SignForm, WaiverForm, WaiverSignForm, WithdrawForm
from governance.ui.words import PERMIT_MARKS, STATE_MARKS, counted, role_words, seal_of, signed_words, target_words
from registry.models import User
from registry.reach import AUDIT, holds

APPROVED: Final = (RequestState.APPROVED, RequestState.APPROVED_WITH_CONDITIONS)
SLOW: Final = timedelta(seconds=15)
"""A permit that takes longer than this waits for a process that does not run."""
SIGNABLE: Final = (RequestState.READY, RequestState.IN_REVIEW)


def person(request: HttpRequest) -> User:
    """The signed-in person; every view here demands one."""
    if not isinstance(request.user, User):
        raise TypeError("a page of governance was reached without sign-in")
    return request.user


def context_of(request: HttpRequest, found: PromotionRequest, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Everything that ``governance/request.html`` reads; ``given`` (forms with errors, a conflict) wins."""
    user, by = person(request), Actor.of(request)
    screen = decision_screen(found, by)
    duties = guards.why_not(guards.check_may_vote, by, found)
    live = live_results(found)
    groups = evidence.groups(screen.checks, screen.scoring, live)
    new, old = origins(found.version, found.replaces)
    metrics = comparison.metrics(screen.checks, live, live_name=f"v{found.replaces.number}" if found.replaces else "")
    fairness = comparison.fairness(screen.checks, live)
    making = issuance_of(found) if screen.permit is None else None
    outcomes = _outcomes(screen)
    no_log = guards.why_not(guards.check_log_holds) if outcomes else ""
    if no_log:
        outcomes = []
    context: dict[str, Any] = {
        "section": "inbox",
        "r": found,
        "screen": screen,
        "target": target_words(found.target),
        "name": f"{found.model.name} v{found.version.number}",
        "version_name": f"v{found.version.number}",
        "live_name": f"v{found.replaces.number}" if found.replaces else "",
        "state_mark": STATE_MARKS[found.state],
        "running": found.state in UNFINISHED,
        "groups": groups,
        "counts": _counts(screen),
        "lede": _lede(screen, metrics, fairness),
        "changes": changes.changes(screen, new, old),
        "metrics": metrics,
        "fairness": fairness,
        "drivers": comparison.drivers(screen.checks, live),
        "sources": sources.sources(screen, new),
        "requirements": rail.requirements(screen, duties=_duties_words(found, duties), may_vote=not duties),
        "duties": duties,
        "lines": rail.signature_lines(screen, user, may_vote=not duties),
        "votes": rail.other_votes(screen),
        "events": rail.activity(screen),
        "audit_url": rail.audit_url(screen) if user.is_superuser or holds(user, AUDIT) else "",
        "panel": _panel(screen, outcomes, no_log, signed=_own(screen, user) is not None),
        "outcomes": outcomes,
        "last_signature": sum(place.signature is None for place in screen.places) == 1,
        "statement_role": role_words(next((p.slot.rule.role for p in screen.places if p.signature is None), "")),
        "record": _once(
            lambda: EvidenceSnapshot.objects.filter(digest=found.evidence_digest).defer("document", "lineage").first()
        ),
        "own": _once(lambda: _own(screen, user)),
        "own_entry": _once(lambda: _entry(screen, user)),
        "bar": _bar(screen, groups, outcomes),
        "waivers": _waivers(screen, by),
        "sign_form": _once(lambda: sign_form(found, by, outcomes)),
        "comment_form": CommentForm(),
        "withdraw_form": WithdrawForm(),
        "waiver_form": waiver_form(screen),
        "making": making,
        "making_slow": making is not None and timezone.now() - (found.closed_at or timezone.now()) > SLOW,
        "permit_mark": PERMIT_MARKS[screen.permit.state] if screen.permit else "",
    }
    return context | dict(given or {})


def _duties_words(found: PromotionRequest, duties: str) -> str:
    if found.closed_at is not None:
        return "kept"
    return "you may not sign" if duties else "you may sign"


def _once(make: Callable[[], Any]) -> Callable[[], Any]:
    """A value that costs queries (or, for the signing form, a nonce), made when a template asks for it, and once."""
    return cache(make)


def sign_form(found: PromotionRequest, by: Actor, outcomes: Sequence[str]) -> SignForm:
    """An empty signing form with a fresh nonce."""
    challenge = reviews.new_challenge(request=found, by=by)
    initial = {
        "challenge": challenge.pk,
        "evidence_digest": found.evidence_digest,
        "meaning": Decision.Meaning.APPROVAL,
    }
    return SignForm(initial=initial, outcomes=outcomes)


def waiver_form(screen: DecisionScreen, data: Mapping[str, Any] | None = None) -> WaiverForm | None:
    """The form for the checks that this person may ask a waiver of, or None."""
    checks = [(str(row.run.pk), row.run.title) for row in screen.checks if row.waive.allowed]
    if not checks:
        return None
    rule = screen.policy.waivers
    until = timezone.localdate(as_of.now()) + timedelta(days=(rule.max_days - 1) if rule else 30)
    return WaiverForm(data, checks=checks, initial={"until": until, "check": checks[0][0]})


_WHY_STOPPED: Final = "A check is not met: it must pass in a new round, or be waived, before anybody approves."


def _outcomes(screen: DecisionScreen) -> list[str]:
    """The decisions that this person may sign now."""
    outcome, actions = Decision.Outcome, screen.actions
    found = [outcome.APPROVE.value, outcome.CONDITIONS.value] if actions["sign"].allowed else []
    found += [outcome.RETURN.value] if actions["return"].allowed else []
    return found + ([outcome.REJECT.value] if actions["reject"].allowed else [])


def _panel(screen: DecisionScreen, outcomes: Sequence[str], no_log: str, *, signed: bool) -> dict[str, str]:
    """What stands where one signs: ``kind`` open, locked, signed or done, with title and reason. ``no_log``: why nobody can."""
    state, why = screen.state, screen.actions["sign"].why_not
    if state in APPROVED:
        if screen.permit is None:
            text = "The permit is being made. This page shows it when it is there; you may also leave."
            return {"kind": "done", "title": "Approved", "text": text}
        return {"kind": "done", "title": "Countersigned"}
    if screen.request.closed_at is not None:
        return {"kind": "closed", "title": f"Closed: {state.label.lower()}", "text": why}
    if no_log:
        return {"kind": "locked", "title": "Signing is off", "text": no_log}
    if outcomes:
        return {"kind": "open", "title": "Sign", "text": _WHY_STOPPED if state == RequestState.CHECKS_FAILED else why}
    if state in UNFINISHED:
        text = (
            "You sign a record that can no longer change, so there is nothing to sign yet. This page updates itself; "
            "you can also leave, and the request comes back to your inbox."
        )
        return {"kind": "locked", "title": "Signing opens when all checks are final", "text": text}
    if signed and state in SIGNABLE:
        missing = sum(place.signature is None for place in screen.places)
        text = f"{counted(missing, 'more signature is', 'more signatures are')} needed, from somebody else."
        return {"kind": "signed", "title": "You have signed", "text": text}
    titles = {
        RequestState.CHECKS_FAILED: "Signing is closed until every requirement is met",
        RequestState.CHANGES_REQUESTED: "Returned for changes",
    }
    return {"kind": "locked", "title": titles.get(state, "You cannot sign this"), "text": why}


def _counts(screen: DecisionScreen) -> dict[str, Any]:
    marks = [evidence.check_mark(row) for row in screen.checks]
    return {
        "total": len(marks),
        "good": sum(mark in {"pass", "caution", "waived"} for mark in marks),
        "words": _tally_words(marks),
        "finished": max((run.finished_at for run in _round(screen) if run.finished_at), default=None),
        "done": sum(mark not in {"running", "queued"} for mark in marks),
    }


def _round(screen: DecisionScreen) -> list[Any]:
    return [row.run for row in (*screen.checks, *screen.scoring)]


_TOLD: Final = (
    ("pass", "pass", "passes"), ("caution", "pass with caution", "passes with caution"), ("waived", "are waived", "is waived"),
    ("fail", "are not met", "is not met"), ("error", "could not be judged", "could not be judged"),
    ("running", "are running", "is running"), ("queued", "wait", "waits"),
)  # fmt: skip


def _tally_words(marks: Sequence[str]) -> str:
    said = [f"{n} {one if n == 1 else many}" for mark, many, one in _TOLD if (n := marks.count(mark))]
    return ", ".join(said)


def _lede(screen: DecisionScreen, metrics: comparison.Metrics, fairness: comparison.Fairness) -> dict[str, str]:
    """The answer first: what the checks say, then the two sentences that people ask for next."""
    marks = [evidence.check_mark(row) for row in screen.checks]
    total, good = len(marks), sum(mark in {"pass", "caution", "waived"} for mark in marks)
    if not total:
        first = "The policy asks for no check."
    elif good == total:
        caution = marks.count("caution")
        first = (
            f"All {total} checks pass{f', {caution} with caution' if caution else ''}."
            if total > 1
            else "The one check passes."
        )
    elif {"running", "queued"} & set(marks):
        done = sum(mark not in {"running", "queued"} for mark in marks)
        first = f"{done} of {total} checks are done" + (
            f": {_tally_words([m for m in marks if m not in {'running', 'queued'}])}." if done else "."
        )
    else:
        first = f"{good} of {total} checks pass; {_tally_words([m for m in marks if m in {'fail', 'error'}])}."
    blocking = next((node for node in screen.blocking if not node.key.startswith("review/")), None)
    stopped = blocking is not None and screen.state == RequestState.CHECKS_FAILED
    rest = ["" if stopped else (f"{blocking.label}: {blocking.reason}" if blocking and good == total else "")]
    rest += [metrics.summary if metrics.rows else "", fairness.summary if fairness.tables else ""]
    return {"first": first, "rest": " ".join(one for one in rest if one)}


def _bar(screen: DecisionScreen, groups: Sequence[evidence.Group], outcomes: Sequence[str]) -> dict[str, Any]:
    """The bar at the foot of a phone's screen."""
    marks = {group.verdict for group in groups}
    worst = next(
        (mark for mark in ("fail", "error", "running", "queued", "waived", "caution") if mark in marks), "pass"
    )
    marked = [evidence.check_mark(row) for row in screen.checks]
    return {
        "seal": seal_of(screen.places),
        "signed": signed_words(screen.places),
        "verdict": worst,
        "checks": evidence.tally(marked) if marked else "no checks",
        "action": "Sign" if outcomes else ("Record" if screen.request.closed_at else "Why not"),
        "solid": bool(outcomes),
    }


def _own(screen: DecisionScreen, user: User) -> Decision | None:
    return next(
        (row.decision for row in reversed(screen.signatures) if row.decision.person_id == user.pk and not row.void),
        None,
    )


def _entry(screen: DecisionScreen, user: User) -> Entry | None:
    decision = _own(screen, user)
    return entry_of(decision.entry_id) if decision else None


def _waivers(screen: DecisionScreen, by: Actor) -> list[dict[str, Any]]:
    """Every waiver of the present round, with the figure it is about and whether this person may sign it."""
    rows = {row.run.pk: row for row in screen.checks}
    wanted = screen.policy.waivers
    found = []
    for waiver in screen.waivers:
        row = rows.get(waiver.check_run_id)
        if row is None:
            continue
        leaf = (
            next((leaf for leaf in row.requirement.children if not leaf.judged or leaf.status.value != "met"), None)
            if row.requirement
            else None
        )
        why = guards.why_not(guards.check_can_sign_waiver, by, screen.request, waiver)
        found.append(
            {
                "waiver": waiver,
                "title": row.run.title,
                "leaf": leaf,
                "worst": evidence.worst(leaf.judged) if leaf and leaf.judged else None,
                "signatures": list(waiver.signatures.all()),
                "wanted": wanted.by.n if wanted else 0,
                "until": day(waiver.until),
                "why": why,
                "form": WaiverSignForm(auto_id=f"id_waiver_{waiver.pk}_%s"),
            }
        )
    return found
