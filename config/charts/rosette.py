"""The rosette: a guilloche drawn from a digest. Same bytes, same figure. An aid for the eye, never the proof."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from django.utils.safestring import SafeString

from config.charts.svg import element, short

BYTES = 12
DIGEST = re.compile(rf"(?:[a-z0-9]+:)?([0-9a-fA-F]{{{2 * BYTES},}})")


@dataclass(frozen=True, slots=True)
class Band:
    """One ring of the figure: waves around a circle, several strands of them."""

    radius: float
    depth: float
    lobes: int
    strands: int
    phase: float
    sharp: float = 0.0


@lru_cache(maxsize=512)
def rosette(digest: str, size: int = 56, label: str = "", *, fine: bool = False) -> SafeString:
    """Draw the figure of the first twelve bytes of ``digest`` ("sha256:…" or bare hex); ``fine`` adds strands.

    Raises ``ValueError`` if the text is no digest of at least twelve bytes.
    """
    found = DIGEST.fullmatch(digest)
    if found is None:
        raise ValueError(f"a rosette is drawn from a digest of at least {BYTES} bytes in hex, not from {digest!r}")
    b = bytes.fromhex(found[1][: 2 * BYTES])
    more = 3 if fine else 1
    outer = 2.0 + (b[3] % 4) * 1.25
    middle = 2.2 + (b[6] % 4) * 1.1
    edge = 30.2 - 2 * outer - 1.4
    heart = max(3.4, edge - 2 * middle - 1.2)
    turn, twist = b[0] / 255 * math.tau, b[10] / 255 * math.tau
    bands = (
        Band(30.2 - outer, outer, lobes=6 + b[1] % 16, strands=more * (2 + b[2] % 2), phase=turn),
        Band(edge - middle, middle, 3 + b[4] % 8, more * (1 + b[5] % 3), phase=-turn, sharp=(b[7] % 3) * 0.3),
        Band(heart * 0.62, heart * 0.36, 3 + b[8] % 7, min(more, 2) * (1 + b[9] % 2), twist, (b[11] % 2) * 0.5),
    )
    points, digits = (480, 2) if fine else (168, 1)
    strands = "".join(strand for band in bands for strand in _strands(band, points, digits))
    return element(
        "svg",
        [element("circle", cx="32", cy="32", r="31.4"), element("path", d=strands)],
        class_="rosette rosette--big" if fine else "rosette",
        viewBox="0 0 64 64",
        width=str(size),
        height=str(size),
        role="img" if label else None,
        aria_label=label or None,
        aria_hidden=None if label else "true",
    )


def _strands(band: Band, points: int, digits: int) -> Iterator[str]:
    """Return the closed paths of one ring of interlaced strands."""
    for strand in range(band.strands):
        offset = band.phase + math.tau * strand / band.strands
        line = []
        for point in range(points):
            angle = math.tau * point / points
            wave = math.cos(band.lobes * angle + offset)
            r = band.radius + band.depth * (wave * (1 - band.sharp) + band.sharp * wave**3)
            line.append(f"{short(32 + r * math.cos(angle), digits)} {short(32 + r * math.sin(angle), digits)}")
        yield "M" + "L".join(line) + "Z"
