"""The few pieces of SVG that the charts are put together from. Everything that goes in is escaped."""

import math
from collections.abc import Iterable
from decimal import Decimal

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

Number = int | float | Decimal | str


def number(value: Number | None) -> float | None:
    """Return ``value`` as a finite float, or ``None`` if there is nothing that can be drawn.

    A result that is unknown, infinite or not a number is left out of a chart; it is never drawn as zero.
    Raises ``ValueError`` for text that is no number at all.
    """
    if value is None or value == "":
        return None
    drawn = float(value)
    return drawn if math.isfinite(drawn) else None


def short(value: float, digits: int = 1) -> str:
    """Write a coordinate without needless zeros."""
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def element(name: str, children: Iterable[str] = (), /, **attributes: str | float | None) -> SafeString:
    """Return one element. ``data_verdict`` becomes ``data-verdict``; ``None`` leaves the attribute out.

    Children that are not already safe markup are escaped.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{short(value) if isinstance(value, float) else escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(child if isinstance(child, SafeString) else escape(child) for child in children)
    return mark_safe(f"<{name}{written}>{inner}</{name}>")  # noqa: S308 - every part was escaped above


def picture(kind: str, width: int, height: int, label: str, children: Iterable[str], **more: str | None) -> SafeString:
    """Return the ``<svg>`` around ``children``: an image with words for it, or hidden if it has none."""
    return element(
        "svg",
        children,
        class_=f"viz viz-{kind}",
        viewBox=f"0 0 {width} {height}",
        width=str(width),
        height=str(height),
        role="img" if label else None,
        aria_label=label or None,
        aria_hidden=None if label else "true",
        **more,
    )
