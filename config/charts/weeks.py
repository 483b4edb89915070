"""How much happened in each week: bars over the whole width, with nothing but their heights to read."""

from collections.abc import Sequence
from datetime import date

from django.utils.formats import date_format
from django.utils.safestring import SafeString

from config.charts.svg import element, picture

STEP, WIDTH, HEIGHT = 20, 18, 44


def week_bars(weeks: Sequence[tuple[date, int]], *, what: str = "entries") -> SafeString:
    """Draw one bar for each week, given by its Monday; a week with anything has a bar that can be seen."""
    most = max((count for _, count in weeks), default=0)
    if not most:
        return SafeString("")
    marks = []
    for place, (monday, count) in enumerate(weeks):
        height = max(2.0, count / most * HEIGHT) if count else 0.0
        words = f"Week of {date_format(monday, 'j M Y')}: {count} {what}"
        bar = element("rect", class_="viz-weekbar", x=place * STEP + 1.0, y=HEIGHT - height, width=WIDTH, height=height)
        marks.append(element("g", [element("title", [words]), bar]))
    busiest = max(weeks, key=lambda week: week[1])
    label = (
        f"{what.capitalize()} per week, {date_format(weeks[0][0], 'j M Y')} to {date_format(weeks[-1][0], 'j M Y')}; "
        f"most in the week of {date_format(busiest[0], 'j M Y')}: {busiest[1]}"
    )
    return picture("weeks", len(weeks) * STEP, HEIGHT, label, marks, preserveAspectRatio="none")
