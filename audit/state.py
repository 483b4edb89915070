"""What others, and our own jobs, last said of the log: for the page and the API."""

from dataclasses import dataclass
from typing import Final

from audit import selectors
from audit.models import Entry
from audit.witnessing import selectors as witnessing
from audit.witnessing.configured import Misconfigured

RECONCILED: Final = ("ledger.reconciled",)
"""What the comparison of the tables with the log writes."""


@dataclass(frozen=True, slots=True)
class Attestation:
    """Who vouches for the head. ``words`` is empty where nobody is asked to; ``reached`` says whether they are enough."""

    words: str = ""
    reached: bool = True


def attestation() -> Attestation:
    """Say who cosigned the latest checkpoint, and whether the policy asks for more."""
    head = selectors.head()
    if head is None:
        return Attestation()
    try:
        quorum = witnessing.quorum(head.size)
    except Misconfigured as error:
        return Attestation(f"The witness policy cannot be read: {error}", reached=False)
    names = ", ".join(one.witness for one in quorum.cosigned)
    if not quorum.words and not names:
        return Attestation()
    return Attestation(f"cosigned by {names}" if names else "not cosigned yet", quorum.reached)


def last_reconciliation() -> Entry | None:
    """Return the entry of the last comparison of the tables with the log, or None."""
    return selectors.last_with(RECONCILED)
