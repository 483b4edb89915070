"""The Merkle tree as it is stored: subtree hashes from ``Entry.leaf_hash`` and ``Node``, a few hundred rows at most."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from audit.merkle import HASH_SIZE, Subtree, node_hash
from config import statements

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT


class TreeDamaged(RuntimeError):
    """A row that the tree is made of is missing. ``manage.py audit_verify`` says more."""


def stored(subtrees: Sequence[Subtree]) -> Mapping[Subtree, bytes]:
    """Return the hash of each complete subtree, with three queries at most. Raises ``TreeDamaged``."""
    if not subtrees:
        return {}
    tiles = _tiles({_tile(subtree) for subtree in subtrees})
    loose: defaultdict[int, list[int]] = defaultdict(list)
    for subtree in subtrees:
        if _tile(subtree) not in tiles:
            loose[_base(subtree)] += _members(subtree)
    alone = _alone(loose)
    hashes = {}
    for subtree in subtrees:
        members = _members(subtree)
        if tile := tiles.get(_tile(subtree)):
            begin = members.start % TILE_WIDTH * HASH_SIZE
            row = tile[begin : begin + len(members) * HASH_SIZE]
        else:
            row = b"".join(_found(alone, _base(subtree), index) for index in members)
        hashes[subtree] = _root(row)
    return hashes


def tile_below(node: Subtree) -> list[bytes]:
    """Return the 256 hashes eight levels below a node of level 8, 16 … Raises ``TreeDamaged``."""
    first = node.index * TILE_WIDTH
    below = [Subtree(node.level - TILE_HEIGHT, index) for index in range(first, first + TILE_WIDTH)]
    found = stored(below)
    return [found[subtree] for subtree in below]


def _base(subtree: Subtree) -> int:
    """Return the tile level at or below a subtree's."""
    return subtree.level - subtree.level % TILE_HEIGHT


def _members(subtree: Subtree) -> range:
    """Return the indexes, at the tile level below, of what the subtree is made of."""
    rise = subtree.level % TILE_HEIGHT
    return range(subtree.index << rise, (subtree.index + 1) << rise)


def _tile(subtree: Subtree) -> tuple[int, int]:
    """Return level and index of the node over the one tile that all of a subtree's members are in."""
    return _base(subtree) + TILE_HEIGHT, _members(subtree).start // TILE_WIDTH


def _root(row: bytes) -> bytes:
    """Return the root over a power of two of neighbouring hashes."""
    while len(row) > HASH_SIZE:
        row = b"".join(
            node_hash(row[place : place + HASH_SIZE], row[place + HASH_SIZE : place + 2 * HASH_SIZE])
            for place in range(0, len(row), 2 * HASH_SIZE)
        )
    return row


def _tiles(wanted: AbstractSet[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """Return the hashes of those tiles that are full, each from the one row over it, which also outlives its entries."""
    rows = statements.rows(_TILES, [[level for level, _ in wanted], [index for _, index in wanted]])
    return {(level, index): bytes(children) for level, index, children in rows if children}


def _alone(wanted: Mapping[int, Sequence[int]]) -> dict[tuple[int, int], bytes]:
    """Return hashes of tiles that are not full, from a row each."""
    found: dict[tuple[int, int], bytes] = {}
    if leaves := wanted.get(0):
        found.update(((0, index), bytes(digest)) for index, digest in statements.rows(_LEAVES, [leaves]))
    if nodes := [(level, index) for level, indexes in wanted.items() for index in indexes if level]:
        rows = statements.rows(_NODES, [[level for level, _ in nodes], [index for _, index in nodes]])
        found.update(((level, index), bytes(digest)) for level, index, digest in rows)
    return found


_TILES: Final = """
    SELECT level, index, children FROM audit_node
    JOIN unnest(%s::int[], %s::bigint[]) AS wanted (level, index) USING (level, index)
"""
_NODES: Final = """
    SELECT level, index, hash FROM audit_node
    JOIN unnest(%s::int[], %s::bigint[]) AS wanted (level, index) USING (level, index)
"""
_LEAVES: Final = "SELECT index, leaf_hash FROM audit_entry WHERE index = ANY(%s)"


def _found(known: Mapping[tuple[int, int], bytes], level: int, index: int) -> bytes:
    try:
        return known[level, index]
    except KeyError:
        what = f"entry {index}" if level == 0 else f"tree node {level}/{index}"
        raise TreeDamaged(f"{what} is missing from the ledger") from None
