"""Pictures of a result drawn as SVG, in the worker, so that pages show them without a script and in the reader's theme.

A specification may come from a plug-in or a script, so it is held against the few forms that ``governance.checks.pictures``
makes (no address, no expression, no transformation), and of the drawing only known elements and attributes are kept. Its
colours become classes (``static/css/components/pictures.css``), because a drawing does not know the page's theme.

A drawing is no evidence: the specification in the result is. One that cannot be drawn leaves the tables, and the log says why.
"""

import json
import logging
import re
from collections.abc import Mapping
from typing import Any, Final
from xml.etree import ElementTree as ET

from governance.checks import CheckResult
from governance.checks.pictures import MOST_MARKS

logger = logging.getLogger(__name__)

VEGA_LITE: Final = "6.4"
WIDTH: Final = 560
_SVG: Final = "{http://www.w3.org/2000/svg}"
# What stands in the drawing for a colour of the theme; nothing else draws with these.
_INK: Final = {
    "#0a0001": "ink", "#0a0002": "ink-2", "#0a0003": "rule", "#0a0004": "mark",
    "#0a0011": "s1", "#0a0012": "s2", "#0a0013": "s3", "#0a0014": "s4", "#0a0015": "s5", "#0a0016": "s6",
}  # fmt: skip
_SERIES: Final = [colour for colour, name in _INK.items() if name.startswith("s")]
_CONFIG: Final = {
    "background": None,
    "view": {"stroke": None, "continuousHeight": 260, "discreteHeight": {"step": 26}},
    "axis": {
        "labelColor": "#0a0002", "titleColor": "#0a0001", "gridColor": "#0a0003", "domainColor": "#0a0003",
        "tickColor": "#0a0003", "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 600, "labelLimit": 220,
    },
    "axisX": {"labelAngle": 0, "labelOverlap": True},
    "axisY": {
        "titleAngle": 0, "titleAlign": "left", "titleAnchor": "end", "titleX": 0, "titleY": -8, "titleBaseline": "bottom",
        "labelPadding": 6,
    },
    "padding": {"left": 28, "right": 12, "top": 8, "bottom": 4},
    "legend": {
        "offset": 30, "labelColor": "#0a0002", "titleColor": "#0a0001", "labelFontSize": 12, "titleFontSize": 12,
        "orient": "top",
    },
    "range": {"category": _SERIES},
    "mark": {"color": "#0a0004"},
    "rule": {"color": "#0a0001", "strokeWidth": 1.5},
    "bar": {"color": "#0a0004", "opacity": 0.65},
    "rect": {"color": "#0a0004"},
    "text": {"color": "#0a0001", "fontSize": 12},
    "point": {"size": 70, "opacity": 1},
}  # fmt: skip
_ELEMENTS: Final = frozenset({"svg", "g", "path", "rect", "line", "circle", "text", "tspan", "defs", "clipPath"})
_ATTRIBUTES: Final = frozenset({
    "viewBox", "d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "dx", "dy", "width", "height", "transform", "fill",
    "stroke", "stroke-width", "stroke-dasharray", "stroke-miterlimit", "stroke-opacity", "fill-opacity", "opacity",
    "text-anchor", "font-size", "font-weight",
})  # fmt: skip
_KEYS: Final = frozenset({
    "$schema", "data", "values", "width", "layer", "mark", "encoding", "type", "field", "title", "sort", "x", "y", "x2", "y2",
    "color", "strokeDash", "opacity", "point", "filled", "text", "scale", "domain", "zero", "range", "axis", "legend", "format",
})  # fmt: skip


class NotDrawable(ValueError):
    """The specification is of no form that is drawn here."""


def drawings_of(result: CheckResult) -> dict[str, str]:
    """The SVG of each picture by its key; what cannot be drawn is left out, and logged."""
    made = {}
    for picture in result.pictures:
        try:
            made[picture.key] = drawn(picture.spec)
        except (NotDrawable, ValueError) as error:
            logger.warning("Picture %s of %s is not drawn: %s", picture.key, result.check, error)
    return made


def drawn(spec: Mapping[str, Any]) -> str:
    """Draw one specification. Raises ``NotDrawable``, and ``ValueError`` for what Vega-Lite refuses."""
    import vl_convert  # noqa: PLC0415 - a browser engine: only for whoever draws

    _check(spec)
    sized = {**json.loads(json.dumps(spec)), "width": WIDTH, "autosize": {"type": "fit-x", "contains": "padding"}}
    return _kept(vl_convert.vegalite_to_svg(sized, vl_version=VEGA_LITE, config=_CONFIG, allowed_base_urls=[]))


def _check(spec: Mapping[str, Any]) -> None:
    layers = spec.get("layer") or [spec]
    rows = [row for one in (spec, *layers) for row in one.get("data", {}).get("values", ())]
    if len(rows) > 2 * MOST_MARKS:
        raise NotDrawable(f"{len(rows)} marks are too many")
    for row in rows:
        if not all(item is None or isinstance(item, str | int | float) for item in row.values()):
            raise NotDrawable("a row holds more than plain values")
    _check_keys({name: value for name, value in spec.items() if name != "data"})
    for one in layers:
        _check_keys({name: value for name, value in one.items() if name != "data"})
        if set(one.get("data", {"values": ()})) != {"values"}:
            raise NotDrawable("data has to be in the specification")


def _check_keys(part: object) -> None:
    if isinstance(part, Mapping):
        if unknown := set(part) - _KEYS:
            raise NotDrawable(f"“{min(unknown)}” is not drawn here")
        for name, value in part.items():
            if name != "data":
                _check_keys(value)
    elif isinstance(part, list):
        for one in part:
            _check_keys(one)


def _kept(svg: str) -> str:
    """The drawing without anything that is not known to be harmless, and with classes for colours."""
    root = ET.fromstring(svg)  # noqa: S314 - of our own renderer: no document type, no entities
    _clean(root)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.set("class", "picture__drawing")
    root.set("aria-hidden", "true")
    ET.register_namespace("", _SVG[1:-1])
    return ET.tostring(root, encoding="unicode")


def _clean(element: ET.Element) -> None:
    classes = []
    for name, value in list(element.attrib.items()):
        del element.attrib[name]
        if name in ("fill", "stroke") and value in _INK:
            classes.append(f"p{name[0]}-{_INK[value]}")
        elif name in ("fill", "stroke") and re.fullmatch(r"#[0-9a-f]{3,6}|black|white", value):
            classes.append(f"p{name[0]}-ink")
        elif name in _ATTRIBUTES and "url(" not in value:
            element.set(name, value)
    if classes:
        element.set("class", " ".join(classes))
    for child in list(element):
        if child.tag.removeprefix(_SVG) in _ELEMENTS:
            _clean(child)
        else:
            element.remove(child)
