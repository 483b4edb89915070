"""Offline proofs of inclusion as text: https://c2sp.org/tlog-proof, version 1.

Pure. A proof holds everything but the entry itself and the keys one trusts. Parsing is strict, as in ``audit.notes``.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit import notes
from audit.merkle import HASH_SIZE, verify_inclusion

HEADER: Final = "c2sp.org/tlog-proof@v1"
MEDIA_TYPE: Final = "text/plain; charset=utf-8"
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")
_MOST_HASHES: Final = 63
_LONGEST_EXTRA: Final = 1_000_000


class BadTlogProof(ValueError):
    """Not a proof we accept. The message says why."""


@dataclass(frozen=True, slots=True)
class TlogProof:
    """Leaf ``index`` is in the tree of ``checkpoint`` (a signed note, verbatim). ``extra`` is authenticated by nothing."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes = b""

    def __str__(self) -> str:
        extra = [f"extra {base64.b64encode(self.extra).decode()}"] if self.extra else []
        hashes = [base64.b64encode(one).decode() for one in self.hashes]
        return "\n".join([HEADER, *extra, f"index {self.index}", *hashes, "", self.checkpoint])

    def verify(self, leaf: bytes, origin: str, key: Ed25519PublicKey) -> notes.CheckpointText:
        """Return the checkpoint that log ``origin`` signed with ``key`` and whose tree has leaf hash ``leaf``.

        Raises ``audit.notes.BadNote`` for the checkpoint and ``audit.merkle.BadProof`` for the way to its root.
        """
        head = notes.verify_checkpoint(self.checkpoint, origin, key)
        verify_inclusion(leaf, self.index, head.size, self.hashes, head.root)
        return head


def parse(text: str | bytes) -> TlogProof:
    """Read a proof. Raises ``BadTlogProof``, or ``audit.notes.BadNote`` for its checkpoint; verifies nothing."""
    try:
        whole = text.decode("utf-8") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise BadTlogProof("not UTF-8") from error
    head, blank, checkpoint = whole.partition("\n\n")
    if not blank:
        raise BadTlogProof("no empty line between the proof and the checkpoint")
    lines = head.split("\n")
    if lines.pop(0) != HEADER:
        raise BadTlogProof(f"the first line is not {HEADER}")
    extra = b""
    if lines and lines[0].startswith("extra "):
        extra = _base64(lines.pop(0).removeprefix("extra "), "the extra data")
        if not extra or len(extra) > _LONGEST_EXTRA:
            raise BadTlogProof(f"the extra data is empty or longer than {_LONGEST_EXTRA} bytes")
    index = _INDEX.fullmatch(lines.pop(0)) if lines else None
    if index is None or int(index[1]) >= 2**63:
        raise BadTlogProof("no line with the index as a plain decimal number")
    if len(lines) > _MOST_HASHES:
        raise BadTlogProof(f"more than {_MOST_HASHES} hashes")
    hashes = tuple(_base64(line, "a hash") for line in lines)
    if any(len(one) != HASH_SIZE for one in hashes):
        raise BadTlogProof(f"a hash is not {HASH_SIZE} bytes long")
    notes.parse_checkpoint(notes.parse(checkpoint).text)
    return TlogProof(int(index[1]), hashes, checkpoint, extra)


def _base64(text: str, what: str) -> bytes:
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadTlogProof(f"{what} is not base64") from error
    if base64.b64encode(decoded).decode() != text:
        raise BadTlogProof(f"{what} is not in the one canonical form of base64")
    return decoded
