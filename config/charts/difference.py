"""The difference plot: how far a metric moved, in units of the margin that the policy calls material."""

from django.utils.safestring import SafeString

from config.charts.svg import Number, element, number, picture, short

WIDTH, HEIGHT = 208, 20
REACH = 4.5
"""Margins shown to each side of zero; what lies further out is clipped to the edge."""


def place(margins: float) -> float:
    """Return the horizontal position of a difference given in margins."""
    return WIDTH / 2 + max(-REACH, min(REACH, margins)) * (WIDTH / 2 - 6) / REACH


def difference(
    change: Number | None,
    lo: Number | None,
    hi: Number | None,
    margin: Number | None,
    *,
    better: str = "up",
    verdict: str = "",
    label: str = "",
) -> SafeString:
    """Draw ``change`` with its interval; right is better, whichever way ``better`` ("up" or "down") points.

    Returns an empty string if a number is missing. Raises ``ValueError`` if the margin is not above zero
    or ``better`` is another word.
    """
    if better not in {"up", "down"}:
        raise ValueError(f"better must be 'up' or 'down', not {better!r}")
    moved, low, high, unit = number(change), number(lo), number(hi), number(margin)
    if moved is None or low is None or high is None or unit is None:
        return SafeString("")
    if unit <= 0:
        raise ValueError(f"the margin of a difference must be above zero, not {unit}")
    sign = 1 if better == "up" else -1
    start, stop = sorted((sign * low / unit, sign * high / unit))
    a, b = short(place(start)), short(place(stop))
    return picture(
        "delta",
        WIDTH,
        HEIGHT,
        label,
        [
            element("path", class_="viz-ci viz-ci--strong", data_verdict=verdict, d=f"M{a} 10H{b}M{a} 6.5v7M{b} 6.5v7"),
            element("circle", class_="viz-new", data_verdict=verdict, cx=place(sign * moved / unit), cy="10", r="4"),
        ],
    )
