"""The group plot: the rate of each group with its interval, against the line it must not fall below."""

from django.utils.safestring import SafeString

from config.charts.svg import Number, element, number, picture, short

WIDTH, HEIGHT = 288, 24
EDGE = 6
FIGURE_WIDTH = 30
"""Numbers of the axis that would stand closer than this to the line's own number are left out."""


def place(rate: float, start: float, stop: float) -> float:
    """Return the horizontal position of a rate on the axis from ``start`` to ``stop``, clipped to it."""
    return EDGE + (min(max(rate, start), stop) - start) / (stop - start) * (WIDTH - 2 * EDGE)


def group_row(
    rate: Number | None,
    lo: Number | None,
    hi: Number | None,
    line: Number | None,
    *,
    start: Number = 0,
    stop: Number = 1,
    live: Number | None = None,
    verdict: str = "pass",
    label: str = "",
) -> SafeString:
    """Draw one group. ``line`` is the lowest permitted rate; ``live`` the rate of the live version.

    Returns an empty string if the rate or the line is missing. Raises ``ValueError`` if the axis has no length.
    """
    here, floor = number(rate), number(line)
    if here is None or floor is None:
        return SafeString("")
    first, last = _axis(start, stop)
    edge = short(place(floor, first, last))
    marks = [
        element("rect", class_="viz-short", x="0", y="0", width=edge, height=str(HEIGHT)),
        element("path", class_="viz-limit", d=f"M{edge} 0V{HEIGHT}", vector_effect="non-scaling-stroke"),
    ]
    low, high = number(lo), number(hi)
    if low is not None and high is not None:
        a, b = short(place(low, first, last)), short(place(high, first, last))
        marks.append(
            element(
                "path",
                class_="viz-ci viz-ci--strong",
                data_verdict=verdict,
                d=f"M{a} 12H{b}M{a} 8v8M{b} 8v8",
                vector_effect="non-scaling-stroke",
            )
        )
    before = number(live)
    if before is not None:
        marks.append(element("circle", class_="viz-live", cx=place(before, first, last), cy="12", r="3.5"))
    marks.append(element("circle", class_="viz-new", data_verdict=verdict, cx=place(here, first, last), cy="12", r="4"))
    return picture("group", WIDTH, HEIGHT, label, marks)


def group_axis(line: Number | None, *, start: Number = 0, stop: Number = 1, step: Number = 0.1) -> SafeString:
    """Draw the numbers above a column of groups, in per cent, with the line's own number among them."""
    first, last = _axis(start, stop)
    gap = number(step)
    if gap is None or gap <= 0:
        raise ValueError(f"the step of an axis must be above zero, not {step}")
    floor = number(line)
    marks = []
    for position in range(round((last - first) / gap) + 1):
        rate = first + position * gap
        here = place(rate, first, last)
        if floor is None or abs(here - place(floor, first, last)) > FIGURE_WIDTH:
            marks.append(_figure(f"{rate * 100:.0f}\u2009%", here, "viz-text"))
    if floor is not None:
        marks.append(_figure(f"{floor * 100:.1f}", place(floor, first, last), "viz-text viz-text--strong"))
    return picture("group viz-group--axis", WIDTH, HEIGHT, "", marks)


def _figure(text: str, x: float, kind: str) -> SafeString:
    return element("text", [text], class_=kind, x=x, y="18", text_anchor="middle")


def _axis(start: Number, stop: Number) -> tuple[float, float]:
    first, last = number(start), number(stop)
    if first is None or last is None or last <= first:
        raise ValueError(f"an axis must run from a lower to a higher number, not from {start} to {stop}")
    return first, last
