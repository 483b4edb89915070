"""Pictures are drawn without a script, in colours of the theme, and nothing that could act comes into a page."""

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from governance.checks import CheckResult, Picture
from governance.checks.pictures import bars, curve, grid, ranges
from governance.engine.drawing import NotDrawable, drawings_of, drawn

NASTY = '<script>alert(1)</script>" onload="x'
FORMS = (
    ranges("a", "A", "a", [{"name": NASTY, "value": 0.5, "low": 0.4, "high": 0.6}], value="Rate", line=0.8),
    ranges("b", "B", "b", [{"name": "few", "value": 0.5, "low": None, "high": None}], value="Rate"),
    bars("c", "C", "c", [{"name": "x", "value": 2.0, "low": 1.0, "high": 3.0}], value="Loss", by="Input"),
    curve(
        "d",
        "D",
        "d",
        [{"x": 0, "y": 0.1, "series": NASTY}, {"x": 1, "y": 0.9, "series": "b"}],
        x="X",
        y="Y",
        diagonal=True,
        series="Version",
    ),
    curve("e", "E", "e", [{"x": 0, "y": 0.1, "low": 0.0, "high": 0.2}], x="X", y="Y"),
    grid("f", "F", "f", [{"x": "p", "y": "t", "value": 3}], x="Predicted", y="True", value="Rows"),
)


@pytest.mark.parametrize("picture", FORMS, ids=lambda one: one.key)
def test_a_drawing_holds_marks_and_words_and_nothing_else(picture: Picture) -> None:
    root = ET.fromstring(drawn(picture.spec))  # noqa: S314
    names = {part.tag.rpartition("}")[2] for part in root.iter()}
    attributes = {name for part in root.iter() for name in part.attrib}
    assert names <= {"svg", "g", "path", "rect", "line", "circle", "text", "tspan", "defs", "clipPath"}
    assert not {one for one in attributes if one.startswith("on") or "href" in one or one in ("style", "id")}
    colours = {part.get(name) for part in root.iter() for name in ("fill", "stroke")} - {None, "none", "transparent"}
    assert colours == set(), "every colour is a class of the theme"
    assert any("pf-" in part.get("class", "") for part in root.iter())


def test_words_of_the_data_are_words_in_the_drawing() -> None:
    root = ET.fromstring(drawn(FORMS[0].spec))  # noqa: S314
    assert NASTY in {"".join(part.itertext()) for part in root.iter() if part.tag.endswith("text")}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"data": {"url": "file:///etc/passwd"}}, "data"),
        ({"transform": [{"calculate": "1", "as": "x"}]}, "transform"),
        ({"params": [{"name": "p"}]}, "params"),
        ({"mark": {"type": "point", "href": "javascript:alert(1)"}}, "href"),
        ({"mark": {"type": "image", "url": "x"}}, "url"),
        ({"encoding": {"x": {"field": "name", "condition": {"test": "1"}}}}, "condition"),
        ({"data": {"values": [{"name": {"a": 1}}]}}, "plain values"),
        ({"data": {"values": [{"name": 1}] * 2000}}, "too many"),
    ],
)
def test_a_form_that_is_not_ours_is_not_drawn(change: dict[str, Any], problem: str) -> None:
    spec = {"data": {"values": [{"name": 1}]}, "mark": "point", "encoding": {"x": {"field": "name", "type": "nominal"}}}
    with pytest.raises(NotDrawable, match=problem):
        drawn({**spec, **change})


def test_one_that_cannot_be_drawn_costs_no_result(caplog: pytest.LogCaptureFixture) -> None:
    bad = Picture("bad", "Bad", "bad", {"data": {"url": "http://x"}, "mark": "bar"})
    result = CheckResult("a.check", 1, {}, 3, pictures=(bad, FORMS[2]))
    assert list(drawings_of(result)) == ["c"]
    assert "Picture bad of a.check is not drawn" in caplog.text
