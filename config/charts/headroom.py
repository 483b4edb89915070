"""The headroom graph: a bullet graph turned so that every limit stands on one vertical line.

``x = (value - limit) / (ideal - limit)``. Right of the line is room up to the ideal value, left of it is
what is missing, clipped at -40 %. A requirement whose limit is its ideal ("= 0") is a square on the line.
"""

from django.utils.safestring import SafeString

from config.charts.svg import Number, element, number, picture, short

WIDTH, HEIGHT = 176, 20
LEFT, LINE, RIGHT = 4, 52, 172
CLIP = -0.4


def room(value: float, limit: float, ideal: float) -> float | None:
    """Return the share of the way from ``limit`` to ``ideal``, or ``None`` where the two are one."""
    return None if ideal == limit else (value - limit) / (ideal - limit)


def place(share: float) -> float:
    """Return the horizontal position of a share of headroom."""
    if share >= 0:
        return LINE + min(share, 1.0) * (RIGHT - LINE)
    return LINE + max(share, CLIP) * (LINE - LEFT) / -CLIP


def headroom(
    value: Number | None,
    limit: Number | None,
    ideal: Number | None,
    *,
    lo: Number | None = None,
    hi: Number | None = None,
    live: Number | None = None,
    verdict: str = "pass",
    label: str = "",
) -> SafeString:
    """Draw one measured value against its limit; ``lo``..``hi`` is its interval, ``live`` the live version's value.

    Returns an empty string if there is no value, limit or ideal to draw.
    """
    measured, line, best = number(value), number(limit), number(ideal)
    if measured is None or line is None or best is None:
        return SafeString("")
    share = room(measured, line, best)
    if share is None:
        return picture("headroom", WIDTH, HEIGHT, label, [_exact(verdict)])
    tip = place(share)
    marks = [
        element(
            "rect",
            class_="viz-bar",
            data_verdict=verdict,
            x=float(min(LINE, tip)),
            y="7",
            width=float(max(abs(tip - LINE), 1.5)),
            height="6",
        )
    ]
    low, high = number(lo), number(hi)
    if low is not None and high is not None:
        ends = (room(bound, line, best) for bound in (low, high))
        a, b = (short(x) for x in sorted(place(end) for end in ends if end is not None))
        marks.append(element("path", class_="viz-ci", d=f"M{a} 10H{b}M{a} 7.5v5M{b} 7.5v5"))
    before = number(live)
    before_share = None if before is None else room(before, line, best)
    if before_share is not None:
        marks.append(element("circle", class_="viz-live", cx=place(before_share), cy="10", r="3.25"))
    return picture("headroom", WIDTH, HEIGHT, label, marks)


def _exact(verdict: str) -> SafeString:
    if verdict == "fail":
        return element("rect", class_="viz-bar", data_verdict="fail", x="18", y="7", width=str(LINE - 18), height="6")
    return element("rect", class_="viz-exact", data_verdict=verdict, x=str(LINE - 4), y="6", width="8", height="8")
