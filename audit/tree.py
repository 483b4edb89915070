"""The Merkle tree as it is stored: subtree hashes from ``Entry.leaf_hash`` and ``Node``, a few hundred rows at most."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from audit.merkle import HASH_SIZE, Subtree, fold, node_hash
from config import statements

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT


class TreeDamaged(RuntimeError):
    """A row that the tree is made of is missing. ``manage.py audit_verify`` says more."""


def stored(subtrees: Sequence[Subtree]) -> Mapping[Subtree, bytes]:
    """Return the hash of each complete subtree, with three queries at most. Raises ``TreeDamaged``."""
    wanted: defaultdict[int, set[int]] = defaultdict(set)
    for subtree in subtrees:
        wanted[_base(subtree)].update(_members(subtree))
    known = _read(wanted)
    return {subtree: _root(subtree, known[_base(subtree)]) for subtree in subtrees}


def tile_below(node: Subtree) -> list[bytes]:
    """Return the 256 hashes eight levels below a node of level 8, 16 … Raises ``TreeDamaged``."""
    base = node.level - TILE_HEIGHT
    first = node.index * TILE_WIDTH
    indexes = list(range(first, first + TILE_WIDTH))
    found = _read({base: set(indexes)})[base]
    return [_found(found, base, index) for index in indexes]


def _base(subtree: Subtree) -> int:
    """Return the tile level at or below a subtree's."""
    return subtree.level - subtree.level % TILE_HEIGHT


def _members(subtree: Subtree) -> range:
    """Return the indexes, at the tile level below, of what the subtree is made of."""
    rise = subtree.level % TILE_HEIGHT
    return range(subtree.index << rise, (subtree.index + 1) << rise)


def _read(wanted: Mapping[int, AbstractSet[int]]) -> dict[int, dict[int, bytes]]:
    """Return the hashes at tile levels: of a full tile from the one row over it, which also outlives its entries."""
    over = {(level + TILE_HEIGHT, index // TILE_WIDTH) for level, indexes in wanted.items() for index in indexes}
    tiles = {
        (level - TILE_HEIGHT, index): bytes(children)
        for level, index, children in statements.rows(
            _TILES, [[level for level, _ in over], [index for _, index in over]]
        )
    }
    found: dict[int, dict[int, bytes]] = {level: {} for level in wanted}
    leaves: list[int] = []
    nodes: list[tuple[int, int]] = []
    for level, indexes in wanted.items():
        for index in indexes:
            if tile := tiles.get((level, index // TILE_WIDTH)):
                place = index % TILE_WIDTH * HASH_SIZE
                found[level][index] = tile[place : place + HASH_SIZE]
            elif level:
                nodes.append((level, index))
            else:
                leaves.append(index)
    if leaves:
        found[0].update((index, bytes(digest)) for index, digest in statements.rows(_LEAVES, [leaves]))
    if nodes:
        rows = statements.rows(_NODES, [[level for level, _ in nodes], [index for _, index in nodes]])
        for level, index, digest in rows:
            found[level][index] = bytes(digest)
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
