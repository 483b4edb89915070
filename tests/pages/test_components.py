"""The parts that pages are put together from: marks, figures, charts, fields, the graph, the stylesheet."""

import math
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.template import Context, Template
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from config import figures
from config.charts.bars import importance_bar, spark
from config.charts.difference import difference
from config.charts.graph import NODE_HEIGHT, Edge, Node, layout
from config.charts.groups import group_axis, group_row
from config.charts.headroom import LINE, headroom
from config.charts.rosette import rosette
from config.templatetags.countersign import VERDICTS

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SHEETS = sorted((ROOT / "static/css").rglob("*.css"))
HOSTILE = "<script>alert('&')</script>"
DIGEST = "0123456789abcdef" * 4


def rendered(source: str, **context: Any) -> str:
    return Template("{% load countersign %}" + source).render(Context(context))


def attribute(markup: str, element: str, name: str) -> float:
    found = re.search(rf'<{element} [^>]*?\b{name}="([-\d.]+)"', markup)
    assert found, f"no {name} on a {element} in {markup}"
    return float(found[1])


# --- marks


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_has_an_outline_of_its_own_in_the_sprite(verdict: str) -> None:
    assert f'href="#m-{verdict}"' in rendered("{% mark verdict %}", verdict=verdict)
    assert f'<symbol id="m-{verdict}"' in render_to_string("components/sprite.html")


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ('{% mark "green" %}', "caution"),
        ("{% seal 3 %}", "0, 1, 2, x"),
        ("{% tier 4 %}", "1, 2, 3"),
        ("{% icon \"k-data' onload='x\" %}", "k-data"),
    ],
)
def test_a_sign_that_does_not_exist_is_refused_and_the_answer_names_what_does(source: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        rendered(source)


def test_a_mark_is_an_image_with_words_or_hidden() -> None:
    assert 'role="img" aria-label="Not met"' in rendered('{% mark "fail" "Not met" %}')
    assert 'aria-hidden="true"' in rendered('{% mark "fail" %}')


@pytest.mark.parametrize(
    "source",
    [
        '{% mark "fail" text %}',
        '{% verdict "fail" text %}',
        "{% seal 1 text %}",
        "{% env text %}",
        "{% digest text n=99 %}",
        "{% headroom 1 0 2 label=text %}",
        "{% spark values label=text %}",
        "{% lineage_graph nodes edges text %}",
        '{% include "components/banner.html" with verdict="fail" title=text text=text url=text action=text only %}',
        '{% include "components/empty.html" with title=text text=text only %}',
        '{% include "components/codebox.html" with code=text only %}',
        '{% include "components/thread.html" with entries=entries only %}',
    ],
)
def test_what_comes_from_outside_is_escaped(source: str) -> None:
    entry = {"who": HOSTILE, "words": HOSTILE, "at": datetime(2026, 3, 12, tzinfo=UTC), "text": HOSTILE}
    nodes = [Node("a", HOSTILE, HOSTILE, label=HOSTILE, href=f'"{HOSTILE}', flag=HOSTILE)]
    html = rendered(source, text=HOSTILE, values=[1, 2], entries=[entry], nodes=nodes, edges=[])
    assert "<script" not in html
    assert "&lt;script" in html


def test_a_digest_is_cut_into_groups_of_four_and_copied_whole() -> None:
    html = rendered("{% digest value n=10 %}", value=f"sha256:{DIGEST}")
    assert ">0123 4567 89…</code>" in html
    assert f'data-copy="sha256:{DIGEST}"' in html
    assert "<button" not in rendered("{% digest value copy=False %}", value=DIGEST)
    assert rendered("{% digest value %}", value=None) == "\u2013"


def test_a_rosette_is_the_same_for_the_same_bytes_and_another_for_others() -> None:
    assert rosette(DIGEST) == rosette(f"sha256:{DIGEST}")
    assert rosette(DIGEST) != rosette("1" + DIGEST[1:])


@pytest.mark.parametrize("text", ["", "credit-default", "abcd", "zz" * 32])
def test_a_rosette_is_drawn_from_a_digest_only(text: str) -> None:
    with pytest.raises(ValueError, match="digest of at least 12 bytes"):
        rosette(text)


# --- figures and times


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "\u2013"),
        (0, "0"),
        (18422, "18\u2009422"),
        (-1234567, "\u22121\u2009234\u2009567"),
        (0.784, "0.784"),
        (Decimal("0.0023"), "0.0023"),
        (-0.0000041, "\u22120.0000041"),
        (11.63, "11.6"),
        (8.2, "8.20"),
        (1234.5, "1\u2009234"),
        (float("nan"), "not a number"),
        (-math.inf, "\u2212infinite"),
    ],
)
def test_a_figure_shows_what_it_is_worth(value: Any, written: str) -> None:
    assert figures.figure(value) == written


def test_a_difference_carries_its_sign() -> None:
    assert figures.signed(0.013) == "+0.013"
    assert figures.signed(-0.013) == "\u22120.013"
    assert figures.signed(0) == "0"
    assert figures.figure(-0.0001, 2) == "0.00"


def test_shares_sizes_and_spans() -> None:
    assert figures.percent(0.655) == "65.5\u2009%"
    assert figures.size(1) == "1 byte"
    assert figures.size(4_100_000) == "4.1\u2009MB"
    assert figures.size(999_960) == "1.0\u2009MB"
    assert figures.duration(timedelta(hours=30)) == "1\u2009d 6\u2009h"
    assert figures.duration(59.7) == "1\u2009min"


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(minutes=5), "5\u2009min ago"),
        (timedelta(hours=3), "today, 09:00"),
        (timedelta(hours=20), "yesterday, 16:00"),
        (timedelta(days=2), "10 Mar, 12:00"),
        (timedelta(days=400), "5 Feb 2025"),
        (-timedelta(hours=30), "in 1\u2009d 6\u2009h"),
    ],
)
def test_a_time_is_said_as_people_say_it(ago: timedelta, words: str) -> None:
    now = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)
    assert figures.relative(now - ago, now) == words


def test_a_time_keeps_its_full_form_beside_the_words() -> None:
    at = datetime(2026, 3, 12, 8, 55, 3, tzinfo=UTC)
    html = rendered("{% when at now %}", at=at, now=at + timedelta(minutes=5))
    assert 'datetime="2026-03-12T08:55:03+00:00"' in html
    assert 'title="12 Mar 2026, 08:55:03 UTC"' in html


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        figures.moment(datetime(2026, 3, 12))  # noqa: DTZ001 - that is the point


# --- charts


@pytest.mark.parametrize("missing", [None, "", float("nan"), float("inf")])
def test_what_is_not_known_is_not_drawn(missing: Any) -> None:
    assert headroom(missing, 1, 2) == ""
    assert difference(missing, 0, 1, 1) == ""
    assert group_row(missing, 0, 1, 0.5) == ""
    assert importance_bar(missing, 1) == ""


@pytest.mark.parametrize(("limit", "ideal", "better", "worse"), [(0.8, 1, 0.9, 0.7), (0.2, 0, 0.1, 0.3)])
def test_headroom_is_right_of_the_line_and_shortfall_left_whichever_way_is_better(
    limit: float, ideal: float, better: float, worse: float
) -> None:
    assert attribute(headroom(better, limit, ideal), "rect", "x") == LINE
    assert attribute(headroom(worse, limit, ideal, verdict="fail"), "rect", "x") < LINE


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(0.01, 0.99))
def test_a_headroom_bar_stays_inside_its_picture(value: float, limit: float) -> None:
    drawn = headroom(value, limit, 1)
    start = attribute(drawn, "rect", "x")
    assert start >= 0
    assert start + attribute(drawn, "rect", "width") <= 176


def test_an_exact_requirement_is_a_square_on_the_line() -> None:
    assert "viz-exact" in headroom(0, 0, 0)
    assert 'data-verdict="fail"' in headroom(2, 0, 0, verdict="fail")


def test_a_difference_is_drawn_with_better_on_the_right() -> None:
    up = attribute(difference(0.01, 0, 0.02, 0.01), "circle", "cx")
    down = attribute(difference(0.01, 0, 0.02, 0.01, better="down"), "circle", "cx")
    assert down < 104 < up


def test_a_margin_of_nothing_and_an_unknown_direction_are_refused() -> None:
    with pytest.raises(ValueError, match="margin"):
        difference(1, 0, 2, 0)
    with pytest.raises(ValueError, match="better"):
        difference(1, 0, 2, 1, better="sideways")


def test_an_axis_needs_a_length_and_names_its_line() -> None:
    assert ">61.1<" in group_axis(0.611, start=0.5, stop=0.9)
    with pytest.raises(ValueError, match="axis"):
        group_row(0.5, 0.4, 0.6, 0.5, start=1, stop=1)


def test_a_history_of_one_value_is_no_history() -> None:
    assert 'data-state="none"' in spark([0.4])
    assert "viz-line" in spark([0.4, None, 0.5], limit=0.6)
    with pytest.raises(ValueError, match="state"):
        spark([1, 2], state="fine")


# --- the lineage graph


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Node], list[Edge]]:
    """Directed graphs, some with cycles, loops and parallel edges."""
    names = [f"n{index}" for index in range(draw(st.integers(1, 12)))]
    pairs = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=24))
    return [Node(name, name) for name in names], [Edge(*pair) for pair in pairs]


@given(graphs())
def test_no_two_nodes_overlap_and_every_one_is_inside(graph: tuple[list[Node], list[Edge]]) -> None:
    drawn = layout(*graph)
    assert sorted(placed.node.id for placed in drawn.nodes) == sorted(node.id for node in graph[0])
    for placed in drawn.nodes:
        assert placed.y >= 0
        assert placed.y + NODE_HEIGHT <= drawn.height
        below = [other.y - placed.y for other in drawn.nodes if other.x == placed.x and other.y > placed.y]
        assert all(gap >= NODE_HEIGHT for gap in below)
    assert len({(placed.x, placed.y) for placed in drawn.nodes}) == len(drawn.nodes)
    assert layout(*graph) == drawn


@given(graphs())
def test_every_edge_of_an_acyclic_graph_leads_to_the_right(graph: tuple[list[Node], list[Edge]]) -> None:
    nodes, edges = graph
    forward = [edge for edge in edges if int(edge.source[1:]) < int(edge.target[1:])]
    x_of = {placed.node.id: placed.x for placed in layout(nodes, forward).nodes}
    assert all(x_of[edge.source] < x_of[edge.target] for edge in forward)


def test_a_source_stands_next_to_what_it_feeds() -> None:
    nodes = [Node(name, name) for name in ("raw", "train", "code", "run")]
    edges = [Edge("raw", "train"), Edge("train", "run"), Edge("code", "run")]
    x_of = {placed.node.id: placed.x for placed in layout(nodes, edges).nodes}
    assert x_of["code"] == x_of["train"] > x_of["raw"]


def test_an_edge_to_nowhere_and_a_name_used_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="'b'"):
        layout([Node("a", "a")], [Edge("a", "b")])
    with pytest.raises(ValueError, match="share an id"):
        layout([Node("a", "a"), Node("a", "b")], [])


def test_an_empty_graph_is_drawn_empty() -> None:
    assert layout([], []).nodes == ()


# --- forms


class Decision(forms.Form):
    comment = forms.CharField(help_text="Becomes part of the record.", widget=forms.Textarea)
    decision = forms.ChoiceField(choices=[("approve", "Approve"), ("reject", "Reject")], widget=forms.RadioSelect)

    def clean(self) -> None:
        raise forms.ValidationError(HOSTILE)


def test_the_error_of_a_field_stands_beside_it_and_is_read_with_it() -> None:
    html = rendered("{% field form.comment %}", form=Decision({}))
    assert '<label class="field__label" for="id_comment">' in html
    assert 'aria-invalid="true"' in html
    assert 'aria-describedby="id_comment_helptext id_comment_error"' in html
    assert 'id="id_comment_error"' in html
    assert 'id="id_comment_helptext"' in html
    assert "This field is required." in html


def test_a_choice_is_a_group_with_a_name() -> None:
    html = rendered("{% field form.decision %}", form=Decision())
    assert "<fieldset" in html
    assert '<legend class="field__label">Decision</legend>' in html


def test_what_is_wrong_with_the_whole_form_is_an_alert() -> None:
    html = rendered("{% errors form %}", form=Decision({}))
    assert 'role="alert"' in html
    assert "<script" not in html
    assert rendered("{% errors form %}", form=Decision()).strip() == ""


# --- pages


@pytest.mark.django_db
def test_the_page_of_marks_needs_no_account(client: Client) -> None:
    page = client.get("/marks/")
    assert page.status_code == 200
    assert page.content.decode().count("<h1") == 1


@pytest.mark.parametrize("name", ["500", "503"])
def test_the_page_for_a_broken_server_needs_neither_request_nor_database(name: str) -> None:
    assert f">{name}<" in render_to_string(f"errors/{name}.html")


@pytest.mark.parametrize("name", ["400", "403", "404", "409", "csrf"])
def test_a_refusal_is_a_page_for_a_browser_and_a_banner_for_htmx(name: str) -> None:
    request = RequestFactory().get("/")
    context: dict[str, Any] = {"detail": HOSTILE, "request": request, "user": None}
    request.htmx = False  # type: ignore[attr-defined]
    page = render_to_string(f"errors/{name}.html", context)
    request.htmx = True  # type: ignore[attr-defined]
    region = render_to_string(f"errors/{name}.html", context)
    assert "<html" in page
    assert "<html" not in region
    assert 'role="alert"' in region
    assert "<script>" not in page + region


# --- what the content security policy and the sprite ask of every template


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_inline_style_script_or_handler(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"\sstyle\s*=", text)
    assert not re.search(r"<style\b", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"\s(?:on[a-z]+|hx-on[:\w-]*)\s*=\s*[\"']", text)
    assert "|safe" not in text


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_an_icon_named_in_a_template_is_in_the_sprite(path: Path) -> None:
    sprite = set(re.findall(r'<symbol id="([\w-]+)"', (ROOT / "templates/components/sprite.html").read_text()))
    named = set(re.findall(r'\{% icon "([\w-]+)"', path.read_text())) | set(
        re.findall(r'href="#((?:m|k|seal|stroke)-\w+)"', path.read_text())
    )
    assert named <= sprite


# --- the stylesheet


def test_every_sheet_is_linked_once_and_the_order_of_layers_comes_first() -> None:
    linked = re.findall(r'"css/([\w/-]+\.css)"', (ROOT / "templates/components/styles.html").read_text())
    assert sorted(linked) == [str(path.relative_to(ROOT / "static/css")) for path in SHEETS]
    assert linked[0] == "reset.css"
    assert (ROOT / "static/css/reset.css").read_text().count("@layer reset, tokens, base,") == 1


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.stem)
def test_every_rule_stands_in_a_layer(path: Path) -> None:
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    depth, outside = 0, ""
    for letter in text:
        depth += (letter == "{") - (letter == "}")
        outside += letter if depth == 0 and letter != "}" else ""
    assert depth == 0
    assert re.fullmatch(r"(?:\s*@layer [\w, ]+;?)+\s*", outside)


def tokens() -> dict[str, tuple[str, str]]:
    text = (ROOT / "static/css/tokens.css").read_text()
    found = re.findall(r"--([\w-]+):\s*light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", text)
    first: dict[str, tuple[str, str]] = {"on-solid": ("#ffffff", "#ffffff")}
    for name, light, dark in found:
        first.setdefault(name, (light, dark))
    return first


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("ink", "grounds", "least"),
    [
        ("ink", "sheet desk press caution-wash fail-wash pen-wash ins-wash del-wash", 7),
        ("ink-2", "sheet desk press caution-wash fail-wash pen-wash pass-wash hover", 4.5),
        ("ink-3", "sheet desk press hover", 4.5),
        ("pen", "sheet desk press pen-wash hover", 4.5),
        ("on-solid", "pen-solid pen-solid-2", 4.5),
        ("pass", "sheet desk pass-wash hover", 4.5),
        ("caution", "sheet desk caution-wash hover", 4.5),
        ("fail", "sheet desk fail-wash hover", 4.5),
        ("edge", "sheet desk press", 3),
        ("plot", "sheet desk band", 3),
        ("focus", "sheet desk pen-wash", 3),
    ],
)
def test_colours_have_the_contrast_that_wcag_asks_for_in_light_and_dark(ink: str, grounds: str, least: float) -> None:
    colours = tokens()
    for ground in grounds.split():
        for front, back in zip(colours[ink], colours[ground], strict=True):
            lighter, darker = sorted((luminance(front), luminance(back)), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= least, f"{ink} on {ground}"
