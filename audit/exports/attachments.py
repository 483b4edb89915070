"""What else is known of a checkpoint and of the people in an extract: cosignatures, time stamps, disclosures.

What an installation does not have is left out, and the verifier says that it is not there.
"""

from collections.abc import Iterator, Sequence

from audit.exports.extract import Interval
from audit.models import Checkpoint


def note(checkpoint: Checkpoint) -> str:
    """Return the signed note of the checkpoint, with every cosignature that is known."""
    return checkpoint.note


def members(checkpoint: Checkpoint, wanted: Sequence[Interval]) -> Iterator[tuple[str, bytes]]:
    """Yield the members that belong to the checkpoint and to the entries."""
    yield from ()
