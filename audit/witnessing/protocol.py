"""The bodies of https://c2sp.org/tlog-witness, for the side that asks and the side that answers.

Pure. Read at the specification's state of July 2026, in which a head of the same size with another root is answered 422
(older witnesses: 409 with that size).
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from audit.merkle import HASH_SIZE

MOST_PROOF_LINES: Final = 63
LONGEST_REQUEST: Final = 256 * 1024
SIZE_TYPE: Final = "text/x.tlog.size"
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")


class Malformed(ValueError):
    """A body that is not what the protocol asks for. The message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """An ``add-checkpoint`` request: what the witness should have seen last, the proof from there, and the new head."""

    old: int
    proof: tuple[bytes, ...]
    note: str

    def encode(self) -> bytes:
        """Return the body."""
        lines = [f"old {self.old}", *(base64.b64encode(one).decode() for one in self.proof), ""]
        return ("\n".join(lines) + "\n" + self.note).encode()


def parse_request(body: bytes) -> AddCheckpoint:
    """Read the body of an ``add-checkpoint`` request, up to the note, which is not looked at. Raises ``Malformed``."""
    head, blank, note = body.partition(b"\n\n")
    if not blank:
        raise Malformed("no empty line before the checkpoint")
    try:
        first, *rest = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise Malformed("a line before the checkpoint is not ASCII") from error
    word, space, number = first.partition(" ")
    if word != "old" or not space or not _NUMBER.fullmatch(number) or int(number) >= 2**63:
        raise Malformed("the first line must be 'old', a space and a plain decimal number")
    if len(rest) > MOST_PROOF_LINES:
        raise Malformed(f"more than {MOST_PROOF_LINES} lines of proof")
    try:
        text = note.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("the checkpoint is not UTF-8") from error
    return AddCheckpoint(int(number), tuple(_hash(line) for line in rest), text)


def _hash(line: str) -> bytes:
    try:
        decoded = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("a line of the proof is not base64") from error
    if len(decoded) != HASH_SIZE or base64.b64encode(decoded).decode() != line:
        raise Malformed("a line of the proof is no hash of 32 bytes in canonical base64")
    return decoded


def parse_size(body: bytes) -> int:
    """Read the answer 409: the size the witness has, and a newline. Raises ``Malformed``."""
    text = body.decode("ascii", "replace")
    if not text.endswith("\n") or not _NUMBER.fullmatch(text[:-1]) or int(text) >= 2**63:
        raise Malformed("the answer 409 holds no size")
    return int(text)


def origin_hash(origin: str) -> str:
    """How a log is named in the address of its latest cosigned checkpoint."""
    return hashlib.sha256(origin.encode()).hexdigest()


def with_lines(note: str, lines: Sequence[str]) -> str:
    """Return a note with more signature lines, each of which ends in a newline."""
    return note + "".join(lines)
