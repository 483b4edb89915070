"""Merkle trees of RFC 9162 section 2.1 (the same as RFC 6962): hashes, the growing edge, and both kinds of proof.

Pure. A tree of ``size`` leaves is the fold of complete subtrees, largest first; ``Subtree(level, index)`` is the
complete one over leaves ``index * 2**level`` up to ``(index + 1) * 2**level``. Proofs are computed from subtree hashes
that a ``Lookup`` finds, in memory or in a table.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


@dataclass(frozen=True, slots=True)
class Subtree:
    """A complete, aligned subtree."""

    level: int
    index: int


Lookup = Callable[[Sequence[Subtree]], Mapping[Subtree, bytes]]


class BadProof(ValueError):
    """A proof that does not prove. The message says what does not fit."""


def leaf_hash(leaf: bytes) -> bytes:
    """RFC 9162 2.1.1: SHA-256 of 0x00 and the leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 9162 2.1.1: SHA-256 of 0x01 and both children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root over hashes of neighbouring complete subtrees, given largest (leftmost) first."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def covering(begin: int, end: int) -> list[Subtree]:
    """Return the complete subtrees that make up leaves ``begin`` to ``end``, left to right.

    ``begin`` must be a multiple of the largest power of two below ``end - begin``, as it is everywhere in a tree.
    """
    subtrees = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        subtrees.append(Subtree(level, begin >> level))
        begin += 1 << level
    return subtrees


class Frontier:
    """The growing right edge of a tree: enough to append leaves and to state the root."""

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self._hashes = list(hashes)
        if len(self._hashes) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} edge hashes, not {len(self._hashes)}")

    @classmethod
    def load(cls, size: int, lookup: Lookup) -> "Frontier":
        """Return the edge of the tree of the first ``size`` leaves."""
        subtrees = covering(0, size)
        found = lookup(subtrees)
        return cls(size, [found[subtree] for subtree in subtrees])

    def append(self, leaf: bytes) -> Iterator[tuple[Subtree, bytes]]:
        """Add a leaf hash; yield every inner subtree it completes, smallest first. Consume it to the end."""
        carry, level, position = leaf, 0, self.size
        while position & 1:
            carry = node_hash(self._hashes.pop(), carry)
            level, position = level + 1, position >> 1
            yield Subtree(level, position), carry
        self._hashes.append(carry)
        self.size += 1

    def extend(self, level: int, root: bytes) -> None:
        """Add a complete subtree of ``2**level`` leaves by its root. Raises ``ValueError`` unless it begins where one may."""
        if self.size & ((1 << level) - 1):
            raise ValueError(f"no subtree of level {level} begins at leaf {self.size}")
        carry, position = root, self.size >> level
        while position & 1:
            carry, position = node_hash(self._hashes.pop(), carry), position >> 1
        self._hashes.append(carry)
        self.size += 1 << level

    def root(self) -> bytes:
        """Return the root of the tree."""
        return fold(self._hashes)

    def copy(self) -> "Frontier":
        """Return an edge that can grow on its own."""
        return Frontier(self.size, self._hashes)


def _split(size: int) -> int:
    """Return the largest power of two below ``size``."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Return the leaf ranges whose hashes prove leaf ``index`` in a tree of ``size`` (RFC 9162 2.1.3.1), lowest first.

    Raises ``ValueError`` for an index outside the tree.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    ranges: list[tuple[int, int]] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    return ranges[::-1]


def consistency_ranges(old: int, new: int) -> list[tuple[int, int]]:
    """Return the leaf ranges whose hashes prove that ``old`` is the beginning of ``new`` (RFC 9162 2.1.4.1).

    Raises ``ValueError`` unless ``0 <= old <= new``.
    """
    if not 0 <= old <= new:
        raise ValueError(f"no tree of {new} leaves begins with one of {old}")
    if old in {0, new}:
        return []
    ranges: list[tuple[int, int]] = []
    begin, end, whole = 0, new, True
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin, whole = middle, False
    if not whole:
        ranges.append((begin, end))
    return ranges[::-1]


def prove(ranges: Sequence[tuple[int, int]], lookup: Lookup) -> list[bytes]:
    """Return the hash of each range, with one call of ``lookup`` for all the subtrees they are made of."""
    parts = [covering(begin, end) for begin, end in ranges]
    found = lookup([subtree for part in parts for subtree in part])
    return [fold([found[subtree] for subtree in part]) for part in parts]


def _climb(node: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each hash of a proof and whether it stands to the left, on the way from ``node`` up to the root.

    Raises ``BadProof`` for a proof that is too long or too short for its place in the tree.
    """
    for sibling in proof:
        if last == 0:
            raise BadProof("the proof is too long")
        on_the_left = bool(node & 1) or node == last
        yield sibling, on_the_left
        if on_the_left:
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        node, last = node >> 1, last >> 1
    if last:
        raise BadProof("the proof is too short")


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """RFC 9162 2.1.3.2. Raises ``BadProof`` unless leaf hash ``leaf`` is at ``index`` of the tree with this root."""
    if not 0 <= index < size:
        raise BadProof(f"leaf {index} cannot be in a tree of {size}")
    running = leaf
    for sibling, on_the_left in _climb(index, size - 1, proof):
        running = node_hash(sibling, running) if on_the_left else node_hash(running, sibling)
    if running != root:
        raise BadProof(f"leaf {index} with this proof gives another root")


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """RFC 9162 2.1.4.2. Raises ``BadProof`` unless the tree ``old`` is the beginning of the tree ``new``."""
    if not 0 <= old <= new:
        raise BadProof(f"a tree of {new} leaves cannot begin with one of {old}")
    if old in {0, new}:
        _verify_trivial(old, new, proof, old_root, new_root)
        return
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        raise BadProof("the proof is empty")
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_running = new_running = path[0]
    for sibling, on_the_left in _climb(node, last, path[1:]):
        if on_the_left:
            old_running, new_running = node_hash(sibling, old_running), node_hash(sibling, new_running)
        else:
            new_running = node_hash(new_running, sibling)
    if old_running != old_root:
        raise BadProof(f"the proof does not lead to the root of size {old}")
    if new_running != new_root:
        raise BadProof(f"the proof does not lead to the root of size {new}")


def _verify_trivial(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Nothing grew from nothing, or nothing grew at all."""
    if proof:
        raise BadProof("the proof should be empty")
    if old == 0 and old_root != EMPTY_ROOT:
        raise BadProof("the old root is not that of an empty tree")
    if old == new and old_root != new_root:
        raise BadProof("two roots for one size")
