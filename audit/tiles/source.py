"""The bytes of tiles and bundles, from the stored log."""

from django.db import connection

from audit.merkle import HASH_SIZE
from audit.models import Entry
from audit.tiles.layout import WIDTH, Tile, bundle


class Missing(LookupError):
    """The log has no such tile: it is not that long yet, or the texts were dropped with their partition."""


def read(tile: Tile, size: int) -> bytes:
    """Return the tile or bundle as of a log of ``size`` entries.

    Raises ``Missing``, and ``audit.tiles.layout.TooLong`` for a bundle that an entry is too long for.
    """
    if tile.first + tile.width > size >> 8 * (tile.level or 0):
        raise Missing(f"a log of {size} entries has no tile/{tile.path}")
    return _entries(tile) if tile.level is None else _hashes(tile, tile.level)


def _entries(tile: Tile) -> bytes:
    found = Entry.objects.filter(index__gte=tile.first, index__lt=tile.first + tile.width).order_by("index")
    leaves = [entry.leaf_text.encode() for entry in found.only("canon", "stream_n", "stream_previous")]
    if len(leaves) != tile.width:
        raise Missing(f"entries {tile.first} to {tile.first + tile.width - 1} are not all there")
    return bundle(leaves)


def _hashes(tile: Tile, level: int) -> bytes:
    with connection.cursor() as cursor:
        # A full tile is the row over it, which also stays when entries are dropped.
        cursor.execute("SELECT children FROM audit_node WHERE level = %s AND index = %s", [8 * level + 8, tile.index])
        whole = cursor.fetchone()
        if whole is None and level:
            cursor.execute(
                "SELECT string_agg(hash, ''::bytea ORDER BY index) FROM audit_node"
                " WHERE level = %s AND index >= %s AND index < %s",
                [8 * level, tile.first, tile.first + tile.width],
            )
            whole = cursor.fetchone()
        elif whole is None:
            cursor.execute(
                "SELECT string_agg(leaf_hash, ''::bytea ORDER BY index) FROM audit_entry WHERE index >= %s AND index < %s",
                [tile.first, tile.first + tile.width],
            )
            whole = cursor.fetchone()
    content = bytes(whole[0] or b"") if whole else b""
    if len(content) not in {WIDTH * HASH_SIZE, tile.width * HASH_SIZE}:
        raise Missing(f"the tree has a gap at tile/{tile.path}: run `manage.py audit_verify`")
    return content[: tile.width * HASH_SIZE]
