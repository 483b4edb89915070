"""The head of the log as the pages show it: what is signed, by whom, and whether it holds."""

from dataclasses import dataclass

from audit import selectors, tree
from audit.health import log_status, signature_of
from audit.merkle import Frontier
from audit.models import Checkpoint


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
