"""The head of the log as the pages show it: what is signed, by whom, and whether it holds."""

from dataclasses import dataclass
from datetime import datetime

from audit import keys, notes, selectors, tree
from audit.merkle import Frontier
from audit.models import Checkpoint


@dataclass(frozen=True, slots=True)
class LogStatus:
    """What the masthead says. ``state``: ``whole``, ``broken`` or ``unknown``; ``words`` where there is more to say."""

    state: str
    at: datetime | None = None
    words: str = ""


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
        return self.signed and self.rooted

    @property
    def root(self) -> str:
        """The signed root, in hex."""
        return bytes(self.checkpoint.root).hex()


def log_status() -> LogStatus:
    """Check the signature of the latest checkpoint. One query, no walk through the tree."""
    checkpoint = selectors.head()
    if checkpoint is None:
        return LogStatus("unknown")
    _, problem = _signature(checkpoint)
    if problem:
        return LogStatus("broken", checkpoint.at, "The log does not verify")
    return LogStatus("whole", checkpoint.at)


def tree_head() -> TreeHead | None:
    """Check the latest checkpoint's signature, and its root against the stored tree: a few hundred rows. None: no log."""
    checkpoint = selectors.head()
    if checkpoint is None:
        return None
    key, problem = _signature(checkpoint)
    signed = not problem
    rooted = False
    try:
        rooted = Frontier.load(checkpoint.size, tree.stored).root() == bytes(checkpoint.root)
        problem = problem or ("" if rooted else "The stored entries do not have the root that was signed.")
    except tree.TreeDamaged as damage:
        problem = problem or f"The stored tree has a gap: {damage}"
    return TreeHead(checkpoint, key, signed, rooted, problem)


def _signature(checkpoint: Checkpoint) -> tuple[str, str]:
    """The fingerprint of this installation's key, and what is wrong with its signature ("" if nothing is)."""
    try:
        key = keys.ledger_public_key()
    except keys.KeyProblem:
        return "", "The public key of this installation cannot be read, so the signature was not checked."
    try:
        said = notes.verify_checkpoint(checkpoint.note, keys.origin(key), key)
    except notes.BadNote as bad:
        return keys.fingerprint(key), f"The signed checkpoint does not hold: {bad}."
    if (said.size, said.root) != (checkpoint.size, bytes(checkpoint.root)):
        return keys.fingerprint(key), "The signed checkpoint says something else than the row it is kept in."
    return keys.fingerprint(key), ""
