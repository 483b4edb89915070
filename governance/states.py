"""The state tables, as data. ``docs/reference/states.md`` is printed from them; tests walk every edge.

Pure: no ORM rows, no clock. ``FOLLOWS`` says which state may come after which, and by which verb.
"""

from typing import Final

from django.db.models import TextChoices


class RequestState(TextChoices):
    """A promotion request, DESIGN section 3."""

    DRAFT = "draft", "Draft"
    CHECKING = "checking", "Checks running"
    CHECKS_FAILED = "checks_failed", "Stopped by checks"
    READY = "ready", "Ready for review"
    IN_REVIEW = "in_review", "In review"
    CHANGES_REQUESTED = "changes_requested", "Changes requested"
    APPROVED = "approved", "Approved"
    APPROVED_WITH_CONDITIONS = "approved_with_conditions", "Approved with conditions"
    REJECTED = "rejected", "Rejected"
    WITHDRAWN = "withdrawn", "Withdrawn"
    LAPSED = "lapsed", "Lapsed"


class PermitState(TextChoices):
    """A permit's life."""

    ACTIVE = "active", "Active"
    SUSPENDED = "suspended", "Suspended"
    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Revoked"
    SUPERSEDED = "superseded", "Superseded"


class IssuanceState(TextChoices):
    """An approved request on its way to a permit."""

    WAITING = "waiting", "Waiting"
    PREPARED = "prepared", "Signed by the issuer"
    REFUSED = "refused", "Refused, tried again"
    ISSUED = "issued", "Issued"
    ABANDONED = "abandoned", "Given up"


class CheckState(TextChoices):
    """A check run as a job."""

    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    AWAITED = "awaited", "Waits for a person"
    FINISHED = "finished", "Finished"


_R = RequestState
REQUEST_FOLLOWS: Final[dict[RequestState, dict[RequestState, str]]] = {
    _R.DRAFT: {_R.CHECKING: "submit", _R.WITHDRAWN: "withdraw"},
    _R.CHECKING: {
        _R.CHECKS_FAILED: "finish checks",
        _R.READY: "finish checks",
        _R.CHANGES_REQUESTED: "return",
        _R.WITHDRAWN: "withdraw",
        _R.LAPSED: "lapse",
    },
    _R.CHECKS_FAILED: {
        _R.CHECKING: "run again",
        _R.READY: "grant waiver",
        _R.CHANGES_REQUESTED: "return",
        _R.REJECTED: "reject",
        _R.WITHDRAWN: "withdraw",
        _R.LAPSED: "lapse",
    },
    _R.READY: {
        _R.IN_REVIEW: "sign",
        _R.CHECKING: "run again",
        _R.APPROVED: "sign",
        _R.APPROVED_WITH_CONDITIONS: "sign",
        _R.CHANGES_REQUESTED: "return",
        _R.REJECTED: "reject",
        _R.WITHDRAWN: "withdraw",
        _R.LAPSED: "lapse",
    },
    _R.IN_REVIEW: {
        _R.APPROVED: "sign",
        _R.APPROVED_WITH_CONDITIONS: "sign",
        _R.CHECKING: "run again",
        _R.CHANGES_REQUESTED: "return",
        _R.REJECTED: "reject",
        _R.WITHDRAWN: "withdraw",
        _R.LAPSED: "lapse",
    },
    _R.CHANGES_REQUESTED: {_R.CHECKING: "run again", _R.WITHDRAWN: "withdraw", _R.LAPSED: "lapse"},
    _R.APPROVED: {},
    _R.APPROVED_WITH_CONDITIONS: {},
    _R.REJECTED: {},
    _R.WITHDRAWN: {},
    _R.LAPSED: {},
}
"""Which state may follow which, and the verb that does it. A state without followers is terminal."""

_P = PermitState
PERMIT_FOLLOWS: Final[dict[PermitState, dict[PermitState, str]]] = {
    _P.ACTIVE: {
        _P.SUSPENDED: "suspend",
        _P.EXPIRED: "expire",
        _P.REVOKED: "revoke",
        _P.SUPERSEDED: "supersede",
    },
    _P.SUSPENDED: {
        _P.ACTIVE: "resume",
        _P.EXPIRED: "expire",
        _P.REVOKED: "revoke",
        _P.SUPERSEDED: "supersede",
    },
    _P.EXPIRED: {},
    _P.REVOKED: {},
    _P.SUPERSEDED: {},
}

_I = IssuanceState
ISSUANCE_FOLLOWS: Final[dict[IssuanceState, dict[IssuanceState, str]]] = {
    _I.WAITING: {_I.PREPARED: "sign as issuer", _I.REFUSED: "refuse", _I.ABANDONED: "give up"},
    _I.PREPARED: {
        _I.ISSUED: "countersign",
        _I.PREPARED: "sign as issuer",
        _I.REFUSED: "refuse",
        _I.ABANDONED: "give up",
    },
    _I.REFUSED: {_I.PREPARED: "sign as issuer", _I.REFUSED: "refuse", _I.ABANDONED: "give up"},
    _I.ISSUED: {},
    _I.ABANDONED: {},
}
"""Refused is for what can be put right: a key, the trust root, the log. Given up is when the approval holds no more."""

_C = CheckState
CHECK_FOLLOWS: Final[dict[CheckState, dict[CheckState, str]]] = {
    _C.QUEUED: {_C.RUNNING: "claim", _C.FINISHED: "give up"},
    _C.RUNNING: {_C.FINISHED: "finish", _C.QUEUED: "lose lease"},
    _C.AWAITED: {_C.FINISHED: "record finding"},
    _C.FINISHED: {},
}

APPROVED: Final = (RequestState.APPROVED, RequestState.APPROVED_WITH_CONDITIONS)
UNFINISHED: Final = (RequestState.DRAFT, RequestState.CHECKING)
"""Nobody has anything to do yet: the checks wait for the version's lineage, or run."""
OPEN_REQUEST_STATES: Final = [state.value for state, after in REQUEST_FOLLOWS.items() if after]
TERMINAL_REQUEST_STATES: Final = [state.value for state, after in REQUEST_FOLLOWS.items() if not after]


def printed() -> str:
    """The page docs/reference/states.md: one diagram and one table per kind of thing."""
    head = (
        "# States\n\nPrinted from `governance/states.py` by `manage.py print_states`; do not edit by hand. A state without a way "
        "out is final: neither a service nor, for requests and permits, a statement in SQL leaves it.\n"
    )
    parts = [head]
    request = {str(state): {str(to): verb for to, verb in after.items()} for state, after in REQUEST_FOLLOWS.items()}
    permit = {str(state): {str(to): verb for to, verb in after.items()} for state, after in PERMIT_FOLLOWS.items()}
    issuance = {str(state): {str(to): verb for to, verb in after.items()} for state, after in ISSUANCE_FOLLOWS.items()}
    check = {str(state): {str(to): verb for to, verb in after.items()} for state, after in CHECK_FOLLOWS.items()}
    parts.append(_section("A promotion request", RequestState, request))
    parts.append(_section("The issuing of a permit, after the last signature", IssuanceState, issuance))
    parts.append(_section("A permit", PermitState, permit))
    parts.append(_section("A check run", CheckState, check))
    return "\n".join(parts)


def _section(title: str, kind: type[TextChoices], follows: dict[str, dict[str, str]]) -> str:
    first = next(iter(follows))
    lines = [f"## {title}\n", "```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    for state, after in follows.items():
        lines += [f"    {state} --> {to}: {verb}" for to, verb in after.items()]
        if not after:
            lines.append(f"    {state} --> [*]")
    lines += ["```\n", "| State | Shown as | May become |", "|---|---|---|"]
    for state, after in follows.items():
        ways = ", ".join(f"`{to}` ({verb})" for to, verb in after.items()) or "nothing: final"
        lines.append(f"| `{state}` | {kind(state).label} | {ways} |")
    return "\n".join(lines) + "\n"
