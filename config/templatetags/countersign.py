"""``{% load countersign %}``: the marks, figures, charts and form fields that pages are put together from.

Everything a tag writes is escaped. A verdict, seal or tier that does not exist raises ``ValueError`` and names
what does, so that a mark without a shape never reaches a page. See docs/contributors/interface.md.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django import template
from django.forms import BaseForm, BoundField
from django.utils.html import format_html
from django.utils.safestring import SafeString

from config import figures
from config.charts import bars, difference, groups, headroom, rosette, weeks
from config.charts.graph import NODE_HEIGHT, NODE_WIDTH, Edge, Node, layout

register = template.Library()

VERDICTS: Mapping[str, str] = {
    "pass": "Pass",
    "caution": "Pass with caution",
    "fail": "Fail",
    "waived": "Waived",
    "error": "Did not run",
    "running": "Running",
    "queued": "Waiting",
    "na": "Not required",
    "clock": "Late",
}
"""Each verdict with the word that stands for it where nothing better is known."""
SEALS = frozenset({"0", "1", "2", "x"})
TIERS = frozenset({"1", "2", "3"})
ICON = re.compile(r"[mk]-[a-z]+")

register.filter("figure", figures.figure)
register.filter("signed", figures.signed)
register.filter("percent", figures.percent)
register.filter("size", figures.size)
register.filter("duration", figures.duration)
register.filter("moment", figures.moment)
register.filter("day", figures.day)

register.simple_tag(figures.figure, name="figure")
register.simple_tag(headroom.headroom, name="headroom")
register.simple_tag(difference.difference, name="delta")
register.simple_tag(groups.group_row, name="group_row")
register.simple_tag(groups.group_axis, name="group_axis")
register.simple_tag(bars.importance_bar, name="importance_bar")
register.simple_tag(bars.spark, name="spark")
register.simple_tag(weeks.week_bars, name="week_bars")
register.simple_tag(rosette.rosette, name="rosette")


def _known(value: object, permitted: Iterable[str], what: str) -> str:
    text = str(value)
    if text not in permitted:
        raise ValueError(f"{what} must be one of {', '.join(sorted(permitted))}, not {text!r}")
    return text


def _words(label: str) -> SafeString:
    """Return the attributes of an image with words for it, or of one that only repeats the words beside it."""
    return format_html('role="img" aria-label="{}"', label) if label else SafeString('aria-hidden="true"')


@register.simple_tag
def mark(verdict: str, label: str = "", cls: str = "") -> SafeString:
    """``{% mark verdict label %}``: the outline of a verdict. Give it a label if no words stand beside it."""
    known = _known(verdict, VERDICTS, "a verdict")
    return format_html(
        '<svg class="mark {}" data-verdict="{}" {}><use href="#m-{}"/></svg>', cls, known, _words(label), known
    )


@register.simple_tag
def verdict(value: str, word: str = "") -> SafeString:
    """``{% verdict value word %}``: the mark with its word beside it."""
    known = _known(value, VERDICTS, "a verdict")
    return format_html(
        '<span class="verdict" data-verdict="{}">{}<span>{}</span></span>', known, mark(known), word or VERDICTS[known]
    )


@register.filter
def verdict_word(value: str) -> str:
    """``{{ value|verdict_word }}``: the word for a verdict, for labels."""
    return VERDICTS[_known(value, VERDICTS, "a verdict")]


@register.simple_tag
def icon(name: str, cls: str = "") -> SafeString:
    """``{% icon "k-data" %}``: a sign of the sprite, always beside words."""
    if not ICON.fullmatch(name):
        raise ValueError(f"an icon is named like 'k-data' or 'm-search', not {name!r}")
    return format_html('<svg class="mark {}" aria-hidden="true"><use href="#{}"/></svg>', cls, name)


@register.simple_tag
def seal(state: int | str, label: str = "", cls: str = "") -> SafeString:
    """``{% seal 1 label %}``: 0 unsigned, 1 signed once, 2 countersigned or verified, "x" broken."""
    known = _known(state, SEALS, "a seal")
    return format_html(
        '<svg class="seal {}" data-seal="{}" {}><use href="#seal-{}"/></svg>', cls, known, _words(label), known
    )


@register.simple_tag
def stroke(signed: int, label: str = "") -> SafeString:
    """``{% stroke 1 %}``: one signature, 1 given or 0 awaited."""
    made = 1 if signed else 0
    return format_html('<svg class="seal" data-seal="{}" {}><use href="#stroke-{}"/></svg>', made, _words(label), made)


@register.simple_tag
def tier(number: int | str) -> SafeString:
    """``{% tier 1 %}``: the risk tier, as three pips and in words."""
    return format_html(
        '<span class="tier" data-tier="{}"><span class="tier__pips" aria-hidden="true"><i></i><i></i><i></i></span>'
        "Tier {}</span>",
        _known(number, TIERS, "a tier"),
        number,
    )


@register.simple_tag
def env(name: str) -> SafeString:
    """``{% env "production" %}``: the name of an environment."""
    return format_html('<span class="env" data-env="{}">{}</span>', name, name)


@register.simple_tag
def digest(value: str | None, n: int = 12, *, copy: bool = True, algo: str = "sha256") -> SafeString:
    """``{% digest hex n=16 %}``: the first ``n`` digits in groups of four, the whole in the title and to copy.

    A prefix such as "sha256:" in the value wins over ``algo``.
    """
    if not value:
        return SafeString(figures.NOTHING)
    prefix, _, digits = value.rpartition(":")
    whole = f"{prefix or algo}:{digits}"
    shown = " ".join(digits[i : min(i + 4, n)] for i in range(0, min(n, len(digits)), 4))
    code = format_html('<code class="digest" title="{}">{}{}</code>', whole, shown, "\u2026" if len(digits) > n else "")
    if not copy:
        return code
    return format_html(
        '{}<button class="copy noscript-hidden" type="button" data-copy="{}">{}<span class="sr">Copy the whole digest'
        "</span></button>",
        code,
        whole,
        icon("m-copy"),
    )


@register.simple_tag
def when(at: datetime | None, now: datetime | None = None) -> SafeString:
    """``{% when at %}``: the time as people say it, with the full one in the title."""
    if at is None:
        return SafeString(figures.NOTHING)
    full = f"{figures.moment(at, seconds=True)} {at.tzname() or ''}".rstrip()
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), full, figures.relative(at, now))


@register.simple_tag(name="moment")
def moment_tag(at: datetime | None, *, seconds: bool = False) -> SafeString:
    """``{% moment at %}``: the time in full, for the record."""
    if at is None:
        return SafeString(figures.NOTHING)
    return format_html('<time datetime="{}">{}</time>', at.isoformat(), figures.moment(at, seconds=seconds))


@register.inclusion_tag("components/field.html")
def field(bound: BoundField, *, inline: bool = False, hint: str = "", cls: str = "") -> dict[str, Any]:
    """``{% field form.comment inline=True %}``: label, control, help and errors, tied together for screen readers."""
    choices = bound.widget_type in {"radioselect", "checkboxselectmultiple"}
    attributes: dict[str, str | bool] = (
        {} if choices or bound.widget_type == "checkbox" else {"class": f"input {cls}".strip()}
    )
    return {
        "field": bound,
        "control": bound.as_widget(attrs=attributes),
        "inline": inline,
        "hint": hint,
        "choices": choices,
        "box": bound.widget_type == "checkbox",
    }


@register.inclusion_tag("components/errors.html")
def errors(form: BaseForm) -> dict[str, Any]:
    """``{% errors form %}``: what is wrong with a form as a whole; takes the focus when it is swapped in."""
    return {"errors": form.non_field_errors()}


@register.inclusion_tag("components/lineage_graph.html")
def lineage_graph(nodes: Sequence[Node], edges: Iterable[Edge], title: str, *, key: bool = True) -> dict[str, Any]:
    """``{% lineage_graph nodes edges title %}``: the drawing of ``config.charts.graph.layout``.

    On a phone it gives way to the table, which the page puts below it: ``components/lineage_table.html``.
    """
    drawn = layout(nodes, edges)
    return {
        "graph": drawn,
        "title": title,
        "key": key,
        "node_width": NODE_WIDTH,
        "node_height": NODE_HEIGHT,
        "has_off": any(node.state == "off" for node in nodes),
        "has_steps": any(node.steps is not None for node in nodes),
    }
