"""Names and forms of the files of a tiled log (https://c2sp.org/tlog-tiles). Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 256
LONGEST_ENTRY: Final = 2**16 - 1
CHECKPOINT: Final = "checkpoint"
HIGHEST_LEVEL: Final = 7
"""Eight levels of tiles hold 2**64 entries."""
_PATH: Final = re.compile(
    r"(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


class TooLong(ValueError):
    """An entry does not fit into a bundle, which has two bytes for its length."""


@dataclass(frozen=True, slots=True)
class Tile:
    """The first ``width`` hashes of tile ``index`` at ``level``; without a level, as many entries."""

    level: int | None
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Where it stands below ``tile/``."""
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        parts = [digits[place : place + 3] for place in range(0, len(digits), 3)]
        kind = "entries" if self.level is None else str(self.level)
        name = "/".join([kind, *(f"x{part}" for part in parts[:-1]), parts[-1]])
        return name if self.width == WIDTH else f"{name}.p/{self.width}"

    @property
    def first(self) -> int:
        """The first hash at its level, or the first entry."""
        return self.index * WIDTH


def parse(path: str) -> Tile | None:
    """Read what stands below ``tile/``; None for what is no name of a tile."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    level = None if found["level"] == "entries" else int(found["level"])
    width = int(found["width"]) if found["width"] else WIDTH
    if (level or 0) > HIGHEST_LEVEL or not 0 < width <= WIDTH or (found["width"] and width == WIDTH):
        return None
    tile = Tile(level, int(found["index"].replace("/", "").replace("x", "")), width)
    # One name for one tile: no zeroes in front that do not belong there.
    return tile if tile.path == path and tile.index < 2**48 else None


def of_size(size: int, *, after: int = 0) -> Iterator[Tile]:
    """Yield the tiles and bundles of a log of ``size`` entries that one of ``after`` entries does not have."""
    for level in (None, *range(HIGHEST_LEVEL + 1)):
        rise = 8 * (level or 0)
        hashes, before = size >> rise, after >> rise
        if not hashes:
            return
        for index in range(before // WIDTH, hashes // WIDTH):
            yield Tile(level, index)
        if hashes % WIDTH and hashes != before:
            yield Tile(level, hashes // WIDTH, hashes % WIDTH)


def bundle(leaves: Iterable[bytes]) -> bytes:
    """Return entries one after the other, each behind its length. Raises ``TooLong``."""
    parts = []
    for leaf in leaves:
        if len(leaf) > LONGEST_ENTRY:
            raise TooLong(f"an entry of {len(leaf)} bytes does not fit into a bundle, whose limit is {LONGEST_ENTRY}")
        parts += [len(leaf).to_bytes(2, "big"), leaf]
    return b"".join(parts)
