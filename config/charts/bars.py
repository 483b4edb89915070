"""Importance bars and sparklines: the two small charts that stand inside table rows."""

from collections.abc import Sequence

from django.utils.safestring import SafeString

from config.charts.svg import Number, element, number, picture, short

BAR_WIDTH, BAR_HEIGHT = 420, 16
SPARK_WIDTH, SPARK_HEIGHT = 96, 22
STATES = frozenset({"ok", "watch", "fail", "none"})


def importance_bar(
    value: Number | None, largest: Number | None, *, live: Number | None = None, label: str = ""
) -> SafeString:
    """Draw one importance against the ``largest`` of its table; a tick marks the live version's value."""
    here, top = number(value), number(largest)
    if here is None or top is None or top <= 0:
        return SafeString("")
    reach = BAR_WIDTH - 8

    def place(amount: float) -> float:
        return min(max(amount, 0.0), top) / top * reach

    marks = [element("rect", class_="viz-bar viz-bar--new", x="0", y="3", width=place(here), height="10")]
    before = number(live)
    if before is not None:
        marks.append(element("path", class_="viz-tick", d=f"M{short(place(before))} 0V{BAR_HEIGHT}"))
    return picture("shap", BAR_WIDTH, BAR_HEIGHT, label, marks, preserveAspectRatio="xMinYMid")


def spark(
    values: Sequence[Number | None], *, limit: Number | None = None, state: str = "ok", label: str = ""
) -> SafeString:
    """Draw a short history with its limit; the last point carries the state.

    Values that are missing are left out. With fewer than two values only a dotted line is drawn.
    Raises ``ValueError`` for a state that is not "ok", "watch", "fail" or "none".
    """
    if state not in STATES:
        raise ValueError(f"state must be one of {', '.join(sorted(STATES))}, not {state!r}")
    points = [(index, drawn) for index, value in enumerate(values) if (drawn := number(value)) is not None]
    line = number(limit)
    if len(points) < 2:
        dotted = element("path", class_="viz-sparklimit", d=f"M2 11H{SPARK_WIDTH - 3}")
        return picture("spark", SPARK_WIDTH, SPARK_HEIGHT, label or "no history", [dotted], data_state="none")
    heights = [drawn for _, drawn in points] + ([] if line is None else [line])
    low, high = min(heights), max(heights)
    span = (high - low) or 1.0

    def across(index: int) -> str:
        return short(2 + index * (SPARK_WIDTH - 8) / (len(values) - 1))

    def up(drawn: float) -> str:
        return short(SPARK_HEIGHT - 3 - (drawn - low) / span * (SPARK_HEIGHT - 6))

    marks = []
    if line is not None:
        marks.append(element("path", class_="viz-sparklimit", d=f"M2 {up(line)}H{SPARK_WIDTH - 3}"))
    marks.append(element("path", class_="viz-line", d="M" + "L".join(f"{across(i)} {up(v)}" for i, v in points)))
    x, y = across(points[-1][0]), up(points[-1][1])
    if state == "fail":
        corner_x, corner_y = short(float(x) - 2.6), short(float(y) - 2.6)
        marks.append(element("rect", class_="viz-end", x=corner_x, y=corner_y, width="5.2", height="5.2"))
    else:
        marks.append(element("circle", class_="viz-end", cx=x, cy=y, r="2.2"))
    return picture("spark", SPARK_WIDTH, SPARK_HEIGHT, label, marks, data_state=state)
