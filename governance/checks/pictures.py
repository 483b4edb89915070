"""Pictures of a result as Vega-Lite specifications: aggregates with their intervals, never rows of the data set.

Each function makes one form. A specification carries its data, names no address and no colour: the renderer gives it the
theme of the page. Source of the grammar: Satyanarayan et al., Vega-Lite (IEEE TVCG 2017), https://vega.github.io/vega-lite/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from governance.checks.results import Cell, Picture

SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
MOST_MARKS: Final = 500
"""More than that nobody reads, and a stored result is read with every page."""

Row = Mapping[str, Cell]
Axis = Literal["quantitative", "nominal", "ordinal"]


def _made(key: str, title: str, alt: str, rows: Sequence[Row], **grammar: Any) -> Picture:
    if len(rows) > MOST_MARKS:
        raise ValueError(f"picture {key}: {len(rows)} marks; the limit is {MOST_MARKS}")
    spec = {"$schema": SCHEMA, "data": {"values": [dict(row) for row in rows]}, "width": "container", **grammar}
    return Picture(key, title, alt, spec)


def _field(name: str, kind: Axis, title: str, **more: Any) -> dict[str, Any]:
    return {"field": name, "type": kind, "title": title, **more}


def ranges(
    key: str, title: str, alt: str, rows: Sequence[Row], *, value: str, by: str = "", line: float | None = None
) -> Picture:
    """Points with intervals, one line each: rows of ``name``, ``value``, ``low``, ``high`` (the ends may be None).

    ``value`` names what is measured, ``by`` what the names are; ``line`` marks a value of reference, such as a limit.
    """
    y = _field("name", "nominal", by, sort=None)
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "rule"}, "encoding": {"x": _field("low", "quantitative", value), "x2": {"field": "high"}, "y": y}},
        {"mark": {"type": "point", "filled": True}, "encoding": {"x": _field("value", "quantitative", value), "y": y}},
    ]  # fmt: skip
    if line is not None:
        layers.append({"data": {"values": [{"at": line}]}, "mark": {"type": "rule", "strokeDash": [4, 3]},
                       "encoding": {"x": _field("at", "quantitative", value)}})  # fmt: skip
    return _made(key, title, alt, rows, layer=layers)


def bars(key: str, title: str, alt: str, rows: Sequence[Row], *, value: str, by: str = "") -> Picture:
    """Bars from zero, one line each: rows of ``name`` and ``value``; with ``low`` and ``high`` also their intervals."""
    y = _field("name", "nominal", by, sort=None)
    layers: list[dict[str, Any]] = [{"mark": "bar", "encoding": {"x": _field("value", "quantitative", value), "y": y}}]
    if any("low" in row for row in rows):
        layers.append(
            {"mark": "rule", "encoding": {"x": _field("low", "quantitative", value), "x2": {"field": "high"}, "y": y}}
        )
    return _made(key, title, alt, rows, layer=layers)


def curve(
    key: str, title: str, alt: str, rows: Sequence[Row], *, x: str, y: str, series: str = "", diagonal: bool = False
) -> Picture:
    """Lines over ``x``: rows of ``x``, ``y``, with a band if they have ``low`` and ``high``, one line per ``series``.

    ``diagonal`` adds the line from 0,0 to 1,1, as under ROC and calibration curves.
    """
    across, up = _field("x", "quantitative", x), _field("y", "quantitative", y)
    kind: dict[str, Any] = (
        {"color": _field("series", "nominal", series), "strokeDash": _field("series", "nominal", series)}
        if series
        else {}
    )
    layers: list[dict[str, Any]] = []
    if any("low" in row for row in rows):
        band = {"x": across, "y": _field("low", "quantitative", y), "y2": {"field": "high"}}
        layers.append(
            {
                "mark": {"type": "area", "opacity": 0.2},
                "encoding": {**band, **({"color": {**kind["color"], "legend": None}} if kind else {})},
            }
        )
    layers.append({"mark": {"type": "line", "point": len(rows) <= 40}, "encoding": {"x": across, "y": up, **kind}})
    if diagonal:
        layers.append({"data": {"values": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]}, "mark": {"type": "line", "strokeDash": [4, 3]},
                       "encoding": {"x": across, "y": up}})  # fmt: skip
    return _made(key, title, alt, rows, layer=layers)


def grid(key: str, title: str, alt: str, rows: Sequence[Row], *, x: str, y: str, value: str) -> Picture:
    """A table of shades with its numbers, as of a confusion matrix: rows of ``x``, ``y`` and ``value``."""
    place = {"x": _field("x", "nominal", x, sort=None), "y": _field("y", "nominal", y, sort=None)}
    layers: list[dict[str, Any]] = [
        {
            "mark": "rect",
            "encoding": {
                **place,
                "opacity": _field("value", "quantitative", value, scale={"range": [0.05, 0.55]}, legend=None),
            },
        },
        {"mark": {"type": "text"}, "encoding": {**place, "text": {"field": "value", "type": "quantitative"}}},
    ]
    return _made(key, title, alt, rows, layer=layers)
