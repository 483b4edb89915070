"""Whether the log may be trusted now, from its last signed head and the guard file: cheap enough to ask on every page.

It looks at the head only. That every entry is what was signed is the work of ``manage.py audit_verify``.
"""

from dataclasses import dataclass
from datetime import datetime

from audit import keys, notes, selectors
from audit.guard import Guard, Head, Refused
from audit.models import Checkpoint, Verification
from audit.witnessing.selectors import head_and_contradiction


@dataclass(frozen=True, slots=True)
class LogStatus:
    """What is known of the log. ``state``: ``whole``, ``broken`` or ``unknown``; ``problem`` says what does not hold."""

    state: str
    at: datetime | None = None
    words: str = ""
    problem: str = ""

    @property
    def broken(self) -> bool:
        """Whether it contradicts what was signed. Nothing may be signed on top of such a log."""
        return self.state == "broken"


def log_status() -> LogStatus:
    """Compare the latest checkpoint with this installation's key and with what the guard file remembers.

    And with what the last verification found, and what a witness proves. Three queries at most, no walk through the tree.
    """
    # In this order: the sequencer writes the file after it commits, so that the log is never behind the file.
    try:
        remembered = Guard.default().read()
    except Refused as refusal:
        return _broken(None, f"{refusal}.")
    checkpoint, contradiction = head_and_contradiction()
    if checkpoint is None:
        return _broken(None, _gone(remembered, 0)) if remembered and remembered.size else LogStatus("unknown")
    problem = (
        signature_of(checkpoint)[1] or (_contradicts(checkpoint, remembered) if remembered else "") or contradiction
    )
    if not problem and (finding := selectors.finding()) is not None:
        problem = _found(finding)
    return _broken(checkpoint.at, problem) if problem else LogStatus("whole", checkpoint.at)


def _broken(at: datetime | None, problem: str) -> LogStatus:
    return LogStatus("broken", at, "The log does not verify", problem)


def _found(finding: Verification) -> str:
    first = finding.problems[0] if finding.problems else {"where": "the log", "what": "does not hold"}
    more = f", and {finding.broken - 1} more" if finding.broken > 1 else ""
    return f"The last verification found: {first['where']}: {first['what']}{more}."


def _gone(remembered: Head, size: int) -> str:
    return f"The log has {size} entries, but {remembered.size} were signed before: it was cut, or is another database."


def _contradicts(checkpoint: Checkpoint, remembered: Head) -> str:
    """What the log says against the guard file, or "". A crash may leave the file behind the log, never ahead of it."""
    if checkpoint.size < remembered.size:
        return _gone(remembered, checkpoint.size)
    same = checkpoint if checkpoint.size == remembered.size else Checkpoint.objects.filter(size=remembered.size).first()
    if same is None or bytes(same.root) != remembered.root:
        return f"The first {remembered.size} entries are not those that were signed before: the log was rewritten."
    return ""


def signature_of(checkpoint: Checkpoint) -> tuple[str, str]:
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
