"""The Merkle tree as it is stored: subtree hashes from ``Entry.leaf_hash`` and ``Node``, a few hundred rows at most."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from django.db import connection

from audit.merkle import Subtree, fold, node_hash

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT


class TreeDamaged(RuntimeError):
    """A row that the tree is made of is missing. ``manage.py audit_verify`` says more."""


def stored(subtrees: Sequence[Subtree]) -> Mapping[Subtree, bytes]:
    """Return the hash of each complete subtree, with one query per tile level. Raises ``TreeDamaged``."""
    wanted: defaultdict[int, set[int]] = defaultdict(set)
    for subtree in subtrees:
        wanted[_base(subtree)].update(_members(subtree))
    known = {level: _read(level, sorted(indexes)) for level, indexes in wanted.items()}
    return {subtree: _root(subtree, known[_base(subtree)]) for subtree in subtrees}


def tile_below(node: Subtree) -> list[bytes]:
    """Return the 256 hashes eight levels below a node of level 8, 16 … Raises ``TreeDamaged``."""
    base = node.level - TILE_HEIGHT
    first = node.index * TILE_WIDTH
    indexes = list(range(first, first + TILE_WIDTH))
    found = _read(base, indexes)
    return [_found(found, base, index) for index in indexes]


def _base(subtree: Subtree) -> int:
    """Return the tile level at or below a subtree's."""
    return subtree.level - subtree.level % TILE_HEIGHT


def _members(subtree: Subtree) -> range:
    """Return the indexes, at the tile level below, of what the subtree is made of."""
    rise = subtree.level % TILE_HEIGHT
    return range(subtree.index << rise, (subtree.index + 1) << rise)


def _read(level: int, indexes: list[int]) -> dict[int, bytes]:
    with connection.cursor() as cursor:
        if level == 0:
            cursor.execute("SELECT index, leaf_hash FROM audit_entry WHERE index = ANY(%s)", [indexes])
        else:
            cursor.execute("SELECT index, hash FROM audit_node WHERE level = %s AND index = ANY(%s)", [level, indexes])
        found = {int(index): bytes(digest) for index, digest in cursor.fetchall()}
        if level == 0 and len(found) < len(indexes):
            found.update(_of_dropped(set(indexes) - set(found)))
        return found


def _of_dropped(indexes: set[int]) -> dict[int, bytes]:
    """Return the leaf hashes of entries whose partition was dropped: the tiles over them are kept."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT leaf, substring(children FROM (leaf %% 256 * 32 + 1)::int FOR 32) FROM unnest(%s::bigint[]) AS leaf
            JOIN audit_node ON level = 8 AND audit_node.index = leaf / 256
            WHERE leaf < (SELECT min(low) FROM audit_partition_bounds('audit_entry'))
            """,
            [sorted(indexes)],
        )
        return {int(index): bytes(digest) for index, digest in cursor.fetchall()}


def _root(subtree: Subtree, known: Mapping[int, bytes]) -> bytes:
    row = [_found(known, _base(subtree), index) for index in _members(subtree)]
    while len(row) > 1:
        row = [node_hash(left, right) for left, right in zip(row[::2], row[1::2], strict=True)]
    return fold(row)


def _found(known: Mapping[int, bytes], level: int, index: int) -> bytes:
    try:
        return known[index]
    except KeyError:
        what = f"entry {index}" if level == 0 else f"tree node {level}/{index}"
        raise TreeDamaged(f"{what} is missing from the ledger") from None
