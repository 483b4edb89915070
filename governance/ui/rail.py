"""The rail of the decision screen: what the policy asks, who signed, what happened."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse

from config.figures import day
from governance.models import Decision
from governance.policy import Filled, Node, Status
from governance.screens import DecisionScreen, SignatureRow
from governance.standing import display_name, person_id
from governance.states import CheckState, RequestState
from governance.ui.evidence import check_mark, tally
from governance.ui.words import OUTCOME_WORDS, role_words, seal_of, signed_words, target_words
from registry.models import User


def requirements(screen: DecisionScreen, *, duties: str, may_vote: bool) -> list[dict[str, Any]]:
    """Each thing the policy asks, with its mark, and where on the page it is answered."""
    marks = [check_mark(row) for row in screen.checks]
    bad = [mark for mark in ("fail", "error", "running", "queued", "waived", "caution") if mark in marks]
    found: list[dict[str, Any]] = [
        {
            "verdict": bad[0] if bad else "pass",
            "label": "All required checks pass",
            "detail": tally(marks) if marks else "none asked",
            "url": "#s3",
        }
    ]
    for row, mark in zip(screen.checks, marks, strict=True):
        if mark in {"fail", "error", "waived"} and row.requirement is not None:
            found.append(
                {
                    "verdict": mark,
                    "label": row.run.title,
                    "detail": _short(row.requirement),
                    "url": _first(row.requirement),
                }
            )
    card = screen.verdict.card
    if card.children:
        filled = sum(child.status.good for child in card.children)
        found.append(
            {
                "verdict": "pass" if card.status.good else "fail",
                "label": "Model card complete",
                "detail": f"{filled} of {len(card.children)} fields",
                "url": "#s6",
            }
        )
    live = screen.request.replaces
    if live is not None:
        found.append(
            {"verdict": "pass", "label": "Way back named", "detail": f"v{live.number} stays registered", "url": "#s1"}
        )
    found.append(
        {
            "verdict": "pass" if may_vote or screen.request.closed_at else "na",
            "label": "Separation of duties",
            "detail": duties,
            "url": "#duties",
        }
    )
    places = screen.places
    found.append(
        {
            "seal": seal_of(places),
            "label": _signatures(len(places)),
            "detail": signed_words(places),
            "url": "#signatures",
        }
    )
    return found


def _signatures(n: int) -> str:
    return {1: "One signature", 2: "Two signatures", 3: "Three signatures"}.get(n, f"{n} signatures")


def _short(node: Node) -> str:
    return {Status.WAIVED: "waived", Status.CANNOT_TELL: "cannot tell"}.get(node.status, "not met")


def _first(node: Node) -> str:
    """The anchor of the first line in the table of checks that is not met."""
    leaf = next((child for child in node.children if not child.status.good), None)
    return f"#{leaf.anchor if leaf else node.anchor}"


def signature_lines(screen: DecisionScreen, user: User, *, may_vote: bool) -> list[dict[str, Any]]:
    """A line for every place of the review; the first empty one the person could fill is theirs."""
    own, yours = person_id(user), may_vote
    signed = any(place.signature and place.signature.person == own for place in screen.places)
    lines = []
    order = [stage.name for stage in screen.policy.review]
    for place in sorted(screen.places, key=lambda place: (order.index(place.slot.stage), _signed_at(place))):
        role = role_words(place.slot.rule.role)
        role = f"Independent {role.lower()}" if place.slot.rule.independent and "ndependent" not in role else role
        if place.signature is not None:
            lines.append({"state": "signed", "role": role, "name": place.signature.name, "at": place.signature.at})
        elif yours and not signed and screen.actions["sign"].allowed:
            lines.append({"state": "you", "role": role, "name": display_name(user)})
            yours = False
        else:
            lines.append({"state": "open", "role": role, "name": ""})
    return lines


def _signed_at(place: Filled) -> float:
    """Places in the order in which they were filled, empty ones last."""
    return place.signature.at.timestamp() if place.signature else math.inf


def other_votes(screen: DecisionScreen) -> list[SignatureRow]:
    """Votes that fill no place: against the promotion, or void."""
    filling = {place.signature.id for place in screen.places if place.signature}
    return [row for row in screen.signatures if str(row.decision.pk) not in filling]


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the activity. ``signed``: a signature, drawn as a pen stroke."""

    at: datetime
    who: str
    words: str
    text: str = ""
    signed: bool = False


def activity(screen: DecisionScreen) -> list[Event]:
    """What happened on the request, newest first: from its own rows, so that nothing waits for the log."""
    return sorted(_events(screen), key=lambda event: event.at, reverse=True)


def _events(screen: DecisionScreen) -> Iterable[Event]:
    request = screen.request
    yield Event(request.created_at, display_name(request.requested_by), "asked for the promotion", request.intended_use)
    for comment in screen.comments:
        yield Event(comment.created_at, display_name(comment.author), "wrote", comment.text)
    for row in screen.signatures:
        words = f"signed as {role_words(row.decision.role).lower()}: {OUTCOME_WORDS[row.decision.outcome]}"
        text = "\n".join(part for part in (row.decision.comment, _conditions(row.decision), row.void) if part)
        yield Event(row.decision.signed_at, row.name, words, text, signed=True)
    for waiver in screen.waivers:
        yield Event(
            waiver.asked_at,
            display_name(waiver.asked_by),
            f"asked for a waiver of “{waiver.check_run.title}” until {day(waiver.until)}",
            waiver.reason,
        )
        for signature in waiver.signatures.all():
            yield Event(
                signature.signed_at,
                display_name(signature.person),
                f"agreed to the waiver of “{waiver.check_run.title}”",
                signed=True,
            )
    runs = [run for run in request.checks.all() if run.round == request.round]
    ends = [run.finished_at for run in runs if run.finished_at is not None]
    if runs and len(ends) == len(runs) and all(run.state == CheckState.FINISHED for run in runs):
        yield Event(max(ends), "Countersign", f"finished {len(screen.checks)} checks")
    if screen.permit is not None:
        yield Event(
            screen.permit.issued_at, "Countersign", f"issued the permit and moved {target_words(request.target)}"
        )
        if screen.permit.suspended_at is not None:
            yield Event(
                screen.permit.suspended_at, "Countersign", "suspended the permit", screen.permit.suspended_reason
            )
        if screen.permit.ended_at is not None:
            yield Event(
                screen.permit.ended_at,
                "Countersign",
                f"ended the permit: {screen.permit.get_state_display().lower()}",
                screen.permit.ended_reason,
            )
    if request.closed_at is not None and screen.permit is None:
        yield Event(
            request.closed_at, "Countersign", f"closed the request: {RequestState(request.state).label.lower()}"
        )


def _conditions(decision: Decision) -> str:
    return f"Conditions: {decision.conditions}" if decision.conditions else ""


def audit_url(screen: DecisionScreen) -> str:
    """The log's entries about this request."""
    return f"{reverse('ui:audit')}?about=governance.promotionrequest:{screen.request.pk}"
