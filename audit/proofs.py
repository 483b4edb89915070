"""Proofs from the stored tree, in the form an outsider checks them with ``audit.merkle`` or any RFC 9162 code."""

from dataclasses import dataclass

from audit import tree
from audit.merkle import Frontier, consistency_ranges, inclusion_ranges, prove
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
    """Prove entry ``index`` in the tree of ``size`` leaves; a few hundred rows are read, however large the log is.

    Raises ``Invalid`` for a size the log has not reached or an index outside it.
    """
    _check_size(size, "size")
    if not 0 <= index < size:
        raise Invalid(f"There is no entry {index} in a log of {size}.", code="ledger.index", field="index")
    hashes = prove(inclusion_ranges(index, size), tree.stored)
    return Inclusion(index, size, tuple(hashes), root(size))


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
