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


class CheckState(TextChoices):
    """A check run as a job."""

    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
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

_C = CheckState
CHECK_FOLLOWS: Final[dict[CheckState, dict[CheckState, str]]] = {
    _C.QUEUED: {_C.RUNNING: "claim", _C.FINISHED: "give up"},
    _C.RUNNING: {_C.FINISHED: "finish", _C.QUEUED: "lose lease"},
    _C.FINISHED: {},
}

OPEN_REQUEST_STATES: Final = [state.value for state, after in REQUEST_FOLLOWS.items() if after]
TERMINAL_REQUEST_STATES: Final = [state.value for state, after in REQUEST_FOLLOWS.items() if not after]
