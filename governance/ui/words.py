"""Sentences and marks of a request that several pages share."""

from collections.abc import Mapping, Sequence
from typing import Final

from governance.models import Decision, PromotionRequest
from governance.policy import Filled, Node
from governance.states import CheckState, PermitState, RequestState
from registry.roles import LABELS, Role

_NUMBERS: Final = (
    "No",
    "One",
    "Two",
    "Three",
    "Four",
    "Five",
    "Six",
    "Seven",
    "Eight",
    "Nine",
    "Ten",
    "Eleven",
    "Twelve",
)
_R = RequestState
STATE_MARKS: Final[Mapping[str, str]] = {
    _R.DRAFT: "queued",
    _R.CHECKING: "running",
    _R.CHECKS_FAILED: "fail",
    _R.READY: "queued",
    _R.IN_REVIEW: "queued",
    _R.CHANGES_REQUESTED: "caution",
    _R.APPROVED: "pass",
    _R.APPROVED_WITH_CONDITIONS: "caution",
    _R.REJECTED: "fail",
    _R.WITHDRAWN: "na",
    _R.LAPSED: "na",
}
OUTCOME_MARKS: Final[Mapping[str, str]] = {
    Decision.Outcome.APPROVE: "pass",
    Decision.Outcome.CONDITIONS: "caution",
    Decision.Outcome.RETURN: "caution",
    Decision.Outcome.REJECT: "fail",
}
OUTCOME_WORDS: Final[Mapping[str, str]] = {
    Decision.Outcome.APPROVE: "approved",
    Decision.Outcome.CONDITIONS: "approved with conditions",
    Decision.Outcome.RETURN: "returned for changes",
    Decision.Outcome.REJECT: "rejected",
}
PERMIT_MARKS: Final[Mapping[str, str]] = {
    PermitState.ACTIVE: "pass",
    PermitState.SUSPENDED: "caution",
    PermitState.EXPIRED: "clock",
    PermitState.REVOKED: "fail",
    PermitState.SUPERSEDED: "na",
}


def target_words(target: str) -> str:
    """``alias:production`` is "production", ``stage:Production`` "stage Production"."""
    kind, _, name = target.partition(":")
    return name if kind == "alias" else f"{kind} {name}"


def role_words(role: str) -> str:
    """What people call the holder of a role."""
    return LABELS[Role(role)] if role in set(Role) else role


def counted(n: int, noun: str, plural: str = "") -> str:
    """A number with its noun, as a word where it is small: “One request”, “20 requests”."""
    word = _NUMBERS[n] if n < len(_NUMBERS) else str(n)
    return f"{word} {noun if n == 1 else plural or f'{noun}s'}"


def seal_of(places: Sequence[Filled]) -> int:
    """The seal for so many signatures: 0 none, 2 complete, 1 between."""
    given = sum(place.signature is not None for place in places)
    if places and given == len(places):
        return 2
    return 1 if given else 0


def signed_words(places: Sequence[Filled]) -> str:
    """How many of the places are filled, such as “1 of 2”."""
    return f"{sum(place.signature is not None for place in places)} of {len(places)}"


def stands(request: PromotionRequest, blocking: Sequence[Node]) -> str:
    """In one sentence, what an open request waits for."""
    state = RequestState(request.state)
    if state is _R.DRAFT:
        return f"The lineage of v{request.version.number} is being read. Its checks start by themselves after that."
    if state is _R.CHECKING:
        left = [run for run in request.checks.all() if run.round == request.round and run.state != CheckState.FINISHED]
        if left and all(run.state == CheckState.AWAITED for run in left):
            return f"It waits for a person's finding: {', '.join(run.title for run in left)}."
        return "Its checks are running."
    if state is _R.CHANGES_REQUESTED:
        return "It was returned for changes. Correct the model and run the checks again, or withdraw it."
    before = [node for node in blocking if not node.key.startswith("review/")]
    if before:
        first = before[0]
        more = f" And {len(before) - 1} more." if len(before) > 1 else ""
        about = "" if first.reason.startswith(first.label) else f"{first.label}: "
        return f"{about}{first.reason} {first.remedy}".strip() + more
    return blocking[0].reason if blocking else state.label
