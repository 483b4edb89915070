"""The head of the log as the pages show it: what is signed, by whom, and whether it holds."""

from dataclasses import dataclass

from audit import selectors, tree
from audit.health import log_status, signature_of
from audit.merkle import Frontier
from audit.models import Checkpoint, Entry, Verification
from audit.state import Attestation, attestation, last_reconciliation


@dataclass(frozen=True, slots=True)
class TreeHead:
    """The latest checkpoint after a look at it. ``problem`` says what does not hold, or "".

    ``signed``: the note carries a signature of this installation's key. ``rooted``: the stored tree has the signed root.
    """

    checkpoint: Checkpoint
    key: str
    signed: bool
    rooted: bool
    problem: str = ""

    @property
    def whole(self) -> bool:
        """Whether everything that was looked at holds."""
        return not self.problem

    @property
    def root(self) -> str:
        """The signed root, in hex."""
        return bytes(self.checkpoint.root).hex()


def tree_head() -> TreeHead | None:
    """Check the latest checkpoint as ``log_status`` does, and its root against the stored tree. None: no log."""
    checkpoint = selectors.head()
    if checkpoint is None:
        return None
    key, problem = signature_of(checkpoint)
    signed = not problem
    rooted = False
    try:
        rooted = Frontier.load(checkpoint.size, tree.stored).root() == bytes(checkpoint.root)
        problem = problem or ("" if rooted else "The stored entries do not have the root that was signed.")
    except tree.TreeDamaged as damage:
        problem = problem or f"The stored tree has a gap: {damage}"
    return TreeHead(checkpoint, key, signed, rooted, problem or log_status().problem)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of the log beyond its head: the looks at it, who else vouches for it, and the tables beside it."""

    under_way: Verification | None
    last: Verification | None
    finding: Verification | None
    failed: Verification | None
    attestation: Attestation
    reconciled: Entry | None

    @property
    def percent(self) -> int:
        """How far the look that is under way is."""
        return self.under_way.done * 100 // self.under_way.size if self.under_way and self.under_way.size else 0

    @property
    def seconds(self) -> float:
        """How long the last one took."""
        if self.last is None or self.last.started_at is None or self.last.finished_at is None:
            return 0.0
        return (self.last.finished_at - self.last.started_at).total_seconds()


def standing() -> Standing:
    """Gather it, with six queries and those for the witnesses."""
    last, failed = selectors.last_verification(), selectors.last_failure()
    return Standing(
        under_way=selectors.verification_under_way(),
        last=last,
        finding=selectors.finding(),
        failed=failed if failed and (last is None or failed.pk > last.pk) else None,
        attestation=attestation(),
        reconciled=last_reconciliation(),
    )
