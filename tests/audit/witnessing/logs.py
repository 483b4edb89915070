"""A log in memory, for witnesses to look at: leaves, heads signed with its key, and proofs."""

import base64
from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import notes
from audit.merkle import Frontier, Subtree, consistency_ranges, leaf_hash, prove
from audit.notes import CheckpointText
from audit.witnessing.cosignatures import LOG_ED25519, Verifier
from audit.witnessing.protocol import AddCheckpoint


class MemoryLog:
    """Append leaves, ask for signed heads and for requests to a witness."""

    def __init__(self, name: str = "example.com/log", key: Ed25519PrivateKey | None = None) -> None:
        self.name = name
        self.key = key or Ed25519PrivateKey.generate()
        self.leaves: list[bytes] = []

    @property
    def verifier(self) -> Verifier:
        return Verifier(self.name, LOG_ED25519, self.key.public_key())

    def grow(self, count: int, word: str = "entry") -> None:
        for _ in range(count):
            self.leaves.append(leaf_hash(f"{word} {len(self.leaves)}".encode()))

    def fork(self, size: int) -> "MemoryLog":
        """Another history under the same name and key, the same up to ``size``."""
        other = MemoryLog(self.name, self.key)
        other.leaves = self.leaves[:size]
        other.grow(len(self.leaves) - size, "forged")
        return other

    def _hash(self, begin: int, end: int) -> bytes:
        edge = Frontier()
        for leaf in self.leaves[begin:end]:
            list(edge.append(leaf))
        return edge.root()

    def _lookup(self, subtrees: Sequence[Subtree]) -> Mapping[Subtree, bytes]:
        return {one: self._hash(one.index << one.level, (one.index + 1) << one.level) for one in subtrees}

    def root(self, size: int | None = None) -> bytes:
        return self._hash(0, len(self.leaves) if size is None else size)

    def proof(self, old: int, new: int) -> tuple[bytes, ...]:
        return tuple(prove(consistency_ranges(old, new), self._lookup))

    def text(self, size: int | None = None) -> str:
        size = len(self.leaves) if size is None else size
        return str(CheckpointText(self.name, size, self.root(size)))

    def note(self, size: int | None = None) -> str:
        return notes.sign(self.text(size), self.name, self.key)

    def request(self, old: int, size: int | None = None) -> bytes:
        size = len(self.leaves) if size is None else size
        return AddCheckpoint(old, self.proof(old, size) if old else (), self.note(size)).encode()


def forged_line(name: str, key_id: bytes, size: int = 64) -> str:
    """A signature line that says it is of a key and is not."""
    return f"— {name} {base64.b64encode(key_id + bytes(size)).decode()}\n"
