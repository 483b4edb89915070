"""Receipts: the proof that one entry is in the signed log, for what may not go on before it is.

A signature or a permit is final when its entry is integrated, some 200 ms after the commit. ``receipt_of`` answers at
once; ``wait_for_receipt`` waits for the sequencer, but never for ever, and never inside a transaction.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from django.db import connection

from audit import proofs, selectors
from audit.merkle import leaf_hash
from audit.models import Checkpoint, Entry
from audit.tlog_proof import TlogProof
from audit.witnessing.configured import Misconfigured
from audit.witnessing.selectors import cosigned_note
from config.errors import Refusal
from config.waiting import until

PATIENCE: Final = 5.0
_EVERY: Final = 0.05


class NotIntegrated(Refusal):
    """The entry has no place in the log yet, or its transaction never committed. Asking again later may help."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "ledger.not_integrated"


@dataclass(frozen=True, slots=True)
class Receipt:
    """Entry ``entry_id`` is leaf ``index`` of the tree of ``size`` entries that ``checkpoint``, a signed note, states."""

    entry_id: str
    index: int
    leaf: str
    size: int
    root: bytes
    hashes: tuple[bytes, ...]
    checkpoint: str

    @property
    def leaf_hash(self) -> bytes:
        """RFC 9162 2.1.1."""
        return leaf_hash(self.leaf.encode())

    def tlog_proof(self, *, extra: bytes = b"") -> str:
        """Return the receipt as a C2SP tlog-proof. ``extra`` travels with it and is authenticated by nothing."""
        return str(TlogProof(self.index, self.hashes, self.checkpoint, extra))


def receipt_of(entry_id: str, *, size: int | None = None) -> Receipt:
    """Prove the entry in the checkpoint of ``size``, or in the latest.

    Raises ``NotIntegrated`` while no checkpoint covers it, or none of that size does.
    """
    entry = selectors.entry_of(entry_id)
    checkpoint = selectors.head()
    if entry is None or checkpoint is None or entry.index >= checkpoint.size:
        raise NotIntegrated(
            "This change is not sealed in the log yet.", remedy="Try again in a second.", extra={"entry_id": entry_id}
        )
    if size is not None and size != checkpoint.size:
        checkpoint = _signed(size, entry)
    return _receipt(entry, checkpoint)


def wait_for_receipt(entry_id: str, *, seconds: float = PATIENCE) -> Receipt:
    """Return the receipt as soon as there is one. Raises ``NotIntegrated`` after ``seconds``.

    Raises ``RuntimeError`` inside a transaction: its own entry would be waited for in vain, since the sequencer takes what
    is committed.
    """
    if connection.in_atomic_block:
        raise RuntimeError("wait_for_receipt inside a transaction would wait for what cannot come")
    until(lambda: _covered(entry_id), seconds=seconds, every=_EVERY)
    return receipt_of(entry_id)


def _covered(entry_id: str) -> bool:
    # An entry is inserted in the transaction that signs the checkpoint over it, so to see it is enough.
    return selectors.entry_of(entry_id) is not None


def _signed(size: int, entry: Entry) -> Checkpoint:
    checkpoint = Checkpoint.objects.filter(size=size).first() if 0 < size < 2**63 else None
    if checkpoint is None or entry.index >= size:
        raise NotIntegrated(
            f"There is no checkpoint of {size} entries that covers entry {entry.index}.", code="ledger.size"
        )
    return checkpoint


def _receipt(entry: Entry, checkpoint: Checkpoint) -> Receipt:
    proof = proofs.inclusion(entry.index, checkpoint.size)
    return Receipt(
        entry_id=str(entry.entry_id),
        index=entry.index,
        leaf=entry.leaf_text,
        size=checkpoint.size,
        root=bytes(checkpoint.root),
        hashes=proof.hashes,
        checkpoint=cosigned(checkpoint),
    )


def cosigned(checkpoint: Checkpoint) -> str:
    """Return the note with the lines of those who cosigned it so far; a policy file that is wrong is no reason to wait."""
    try:
        return cosigned_note(checkpoint.size)
    except Misconfigured:
        return checkpoint.note
