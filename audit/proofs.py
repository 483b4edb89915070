"""Proofs from the stored tree, in the form an outsider checks them with ``audit.merkle`` or any RFC 9162 code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from audit import tree
from audit.merkle import Frontier, Subtree, consistency_ranges, covering, fold, inclusion_ranges, prove
from config import statements
from config.errors import Invalid, NotFound


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Leaf ``index`` is in the tree of ``size`` leaves: hash the leaf up along ``hashes`` and meet ``root``."""

    index: int
    size: int
    hashes: tuple[bytes, ...]
    root: bytes


@dataclass(frozen=True, slots=True)
class Consistency:
    """The tree of ``old`` leaves is the beginning of the tree of ``new``."""

    old: int
    new: int
    hashes: tuple[bytes, ...]
    old_root: bytes
    new_root: bytes


def inclusion(index: int, size: int) -> Inclusion:
    """Prove entry ``index`` in the tree of ``size`` leaves.

    A few hundred rows are read, however large the log is; most of them are the tree's right edge, which is kept for the
    next proof in a tree of this size and root. Raises ``Invalid`` for a size the log has not reached or an index outside
    it, ``audit.tree.TreeDamaged`` where the stored tree does not lead to the signed root.
    """
    _check_size(size, "size")
    if not 0 <= index < size:
        raise Invalid(f"There is no entry {index} in a log of {size}.", code="ledger.index", field="index")
    top = root(size)
    edge = _edge(size, top)

    def found(subtrees: Sequence[Subtree]) -> Mapping[Subtree, bytes]:
        return {**tree.stored([one for one in subtrees if one not in edge]), **edge}

    return Inclusion(index, size, tuple(prove(inclusion_ranges(index, size), found)), top)


@lru_cache(maxsize=64)
def _edge(size: int, top: bytes) -> Mapping[Subtree, bytes]:
    """The complete subtrees that a tree of this size and root is the fold of."""
    subtrees = covering(0, size)
    found = tree.stored(subtrees)
    if fold([found[one] for one in subtrees]) != top:
        raise tree.TreeDamaged(f"the stored tree does not lead to the root that was signed for {size} entries")
    return found


def consistency(old: int, new: int) -> Consistency:
    """Prove that the log of ``old`` entries is the beginning of the log of ``new``. Raises ``Invalid``."""
    _check_size(new, "to")
    if not 0 <= old <= new:
        raise Invalid(f"from={old} must be between 0 and to={new}.", code="ledger.size", field="from")
    hashes = prove(consistency_ranges(old, new), tree.stored)
    return Consistency(old, new, tuple(hashes), root(old), root(new))


def root(size: int) -> bytes:
    """Return the root over the first ``size`` stored entries. The caller has checked that there are so many."""
    signed = statements.row("SELECT root FROM audit_checkpoint WHERE size = %s", [size])
    return bytes(signed[0]) if signed else Frontier.load(size, tree.stored).root()


def _check_size(size: int, field: str) -> None:
    (newest,) = statements.one("SELECT max(size) FROM audit_checkpoint")
    if newest is None:
        raise NotFound("The log has no checkpoint yet.", code="ledger.empty")
    if not 0 < size <= newest:
        raise Invalid(
            f"{field}={size} is not within 1 and {newest}, the size of the log.", code="ledger.size", field=field
        )
