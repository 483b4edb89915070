"""How numbers and times are written. One place, so that a figure reads the same on every page.

Thin spaces group thousands and stand before a unit, the minus is a minus, and nothing shows more digits than
it is worth. Times are UTC unless the settings say otherwise, in 24 hours, with the month in words.
"""

import math
from datetime import datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from config import as_of

THIN = "\u2009"
MINUS = "\u2212"
NOTHING = "\u2013"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SIZES = ("bytes", "kB", "MB", "GB", "TB")
Figure = int | float | Decimal | str | None


def figure(value: Figure, digits: int | None = None) -> str:
    """Write a number: "18 422", "0.784", "-0.0023", "11.6"; whole numbers stay whole.

    Without ``digits`` about three of them count: three places below one, two below ten, one below a hundred.
    Nothing is written as a dash; what is not a finite number is named in words.
    Raises ``ValueError`` for text that is no number.
    """
    if value is None or value == "":
        return NOTHING
    if isinstance(value, int):
        return _grouped(str(value))
    number = float(value)
    if math.isnan(number):
        return "not a number"
    if math.isinf(number):
        return f"{MINUS if number < 0 else ''}infinite"
    places = _places(number) if digits is None else digits
    return _grouped(f"{number:.{places}f}")


def signed(value: Figure, digits: int | None = None) -> str:
    """Write a difference, with its sign: "+0.013"."""
    text = figure(value, digits)
    return f"+{text}" if text[0].isdigit() and float(value or 0) > 0 else text


def percent(value: Figure, digits: int = 1) -> str:
    """Write a share of one as per cent: 0.655 becomes "65.5 %"."""
    if value is None or value == "":
        return NOTHING
    text = figure(float(value) * 100, digits)
    return f"{text}{THIN}%"


def size(count: int | None) -> str:
    """Write a number of bytes: "4.1 MB"."""
    if count is None:
        return NOTHING
    if abs(count) < 1000:
        return f"{count} {'byte' if abs(count) == 1 else 'bytes'}"
    amount = float(count)
    unit = 0
    while abs(amount) >= 999.5 and unit < len(SIZES) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.{1 if abs(amount) < 99.95 else 0}f}{THIN}{SIZES[unit]}"


def duration(span: timedelta | float | None) -> str:
    """Write how long something took: "0.4 s", "12 s", "4 min", "1 h 20 min", "2 d 6 h"."""
    if span is None:
        return NOTHING
    seconds = span.total_seconds() if isinstance(span, timedelta) else float(span)
    if seconds < 10:
        return f"{seconds:.1f}{THIN}s"
    if seconds < 59.5:
        return f"{seconds:.0f}{THIN}s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes}{THIN}min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}{THIN}h" + (f" {minutes}{THIN}min" if minutes else "")
    days, hours = divmod(hours, 24)
    return f"{days}{THIN}d" + (f" {hours}{THIN}h" if hours else "")


def moment(at: datetime, *, seconds: bool = False) -> str:
    """Write a time in full: "12 Mar 2026, 08:55". Raises ``ValueError`` for a time without a zone."""
    local = timezone.localtime(at)
    clock = f"{local:%H:%M:%S}" if seconds else f"{local:%H:%M}"
    return f"{day(at)}, {clock}"


def day(at: datetime) -> str:
    """Write a day: "12 Mar 2026"."""
    local = timezone.localtime(at)
    return f"{local.day} {MONTHS[local.month - 1]} {local.year}"


def relative(at: datetime, now: datetime | None = None) -> str:
    """Write a time as people say it: "just now", "5 min ago", "today, 08:55", "in 1 d 6 h", "10 Mar, 08:02"."""
    local, here = timezone.localtime(at), timezone.localtime(now or as_of.now())
    away = (local - here).total_seconds()
    if abs(away) < 60:
        return "just now" if away <= 0 else "in a moment"
    if away > 0:
        return f"in {duration(away)}" if away < 7 * 86400 else day(at)
    if away > -3600:
        return f"{round(-away / 60)}{THIN}min ago"
    days = (here.date() - local.date()).days
    if days < 2:
        return f"{'today' if days == 0 else 'yesterday'}, {local:%H:%M}"
    if local.year == here.year:
        return f"{local.day} {MONTHS[local.month - 1]}, {local:%H:%M}"
    return day(at)


def _places(number: float) -> int:
    amount = abs(number)
    if amount == 0 or amount >= 1000:
        return 0
    if amount >= 1:
        return 2 if amount < 10 else 1
    return 3 if amount >= 0.01 else min(8, 1 - math.floor(math.log10(amount)))


def _grouped(text: str) -> str:
    """Group thousands with thin spaces and write a real minus; a rounded minus zero is zero."""
    negative = text.startswith("-") and any(mark in "123456789" for mark in text)
    whole, dot, rest = text.lstrip("-").partition(".")
    if len(whole) > 3:
        first = len(whole) % 3
        whole = THIN.join(filter(None, [whole[:first], *(whole[i : i + 3] for i in range(first, len(whole), 3))]))
    return f"{MINUS if negative else ''}{whole}{dot}{rest}"
