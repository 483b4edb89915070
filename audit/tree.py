"""The Merkle tree as it is stored: subtree hashes from ``Entry.leaf_hash`` and ``Node``, a few hundred rows at most."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from django.db import connection

from audit.merkle import HASH_SIZE, Subtree, fold, node_hash

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
    """Return the hashes at a tile level: of a full tile from the one row over it, which also outlives its entries."""
    found = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT index, children FROM audit_node WHERE level = %s AND index = ANY(%s)",
            [level + TILE_HEIGHT, sorted({index >> TILE_HEIGHT for index in indexes})],
        )
        tiles = {int(tile): bytes(children) for tile, children in cursor.fetchall()}
        for index in indexes:
            place = index % TILE_WIDTH * HASH_SIZE
            if digest := tiles.get(index >> TILE_HEIGHT, b"")[place : place + HASH_SIZE]:
                found[index] = digest
        if missing := [index for index in indexes if index not in found]:
            if level == 0:
                cursor.execute("SELECT index, leaf_hash FROM audit_entry WHERE index = ANY(%s)", [missing])
            else:
                cursor.execute(
                    "SELECT index, hash FROM audit_node WHERE level = %s AND index = ANY(%s)", [level, missing]
                )
            found.update((int(index), bytes(digest)) for index, digest in cursor.fetchall())
    return found


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
