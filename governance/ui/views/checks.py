"""One check: everything it measured."""

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from config.errors import NotFound
from config.figures import NOTHING, figure
from config.pages import render_page, signed_in
from governance.checks import manifest
from governance.checks.contract import Manifest
from governance.models import CheckRun, PromotionRequest
from governance.services.evidence import result_bytes
from governance.states import CheckState
from governance.ui.evidence import CATEGORIES, interval, number
from governance.ui.screen import person

VERDICT_MARKS: Final[Mapping[str, tuple[str, str]]] = {
    CheckRun.Verdict.PASS: ("pass", "All limits are kept"),
    CheckRun.Verdict.FAIL: ("fail", "A limit is not kept"),
    CheckRun.Verdict.INCONCLUSIVE: ("error", "The sample cannot tell"),
    CheckRun.Verdict.ERROR: ("error", "It did not run to its end"),
    CheckRun.Verdict.NOT_APPLICABLE: ("na", "It does not apply"),
}
_OPERATORS: Final = {"ge": "at least", "le": "at most"}
_BOUNDS: Final = {"value": "", "ci_low": ", low end of the interval", "ci_high": ", high end of the interval"}
MOST_ROWS: Final = 200


def _found(request: HttpRequest, ref: str, pk: UUID) -> CheckRun:
    seen = PromotionRequest.objects.visible_to(person(request))
    run = (
        CheckRun.objects.filter(pk=pk, request__in=seen.values("pk"))
        .select_related("request__model", "request__version", "dataset__dataset", "reused_from__request")
        .first()
    )
    if run is None or run.request.ref != ref.upper():
        raise NotFound("There is no such check, or you may not see it.", code="check.unknown")
    return run


@signed_in
@require_safe
def detail(request: HttpRequest, ref: str, pk: UUID) -> HttpResponse:
    """Figures with intervals, tables, findings, limits, parameters, sandbox, digests."""
    run = _found(request, ref, pk)
    result: Mapping[str, Any] = run.result or {}
    states = {CheckState.QUEUED: ("queued", "It waits for a worker"), CheckState.RUNNING: ("running", "It is running")}
    mark, words = states.get(CheckState(run.state)) or VERDICT_MARKS[run.verdict]
    figures = [_figure(one) for one in result.get("figures", ())]
    labels = {one["key"]: one["label"] for one in result.get("figures", ())}
    context = {
        "section": "inbox",
        "run": run,
        "mark": mark,
        "words": words,
        "category": CATEGORIES.get(run.category, run.category),
        "definition": _definition(run),
        "limits": [_limit(one, labels) for one in run.requirement.get("limits", ())],
        "figures": figures,
        "gaps": any(one["gap"] for one in figures),
        "notes": any(one["note"] for one in figures),
        "tables": [_table(one) for one in result.get("tables", ())],
        "findings": result.get("findings", ()),
        "cautions": result.get("limits", ()),
        "n": result.get("n"),
        "not_applicable": result.get("not_applicable", ""),
        "parameters": sorted({**run.parameters, **result.get("params", {})}.items()),
        "sandbox": _flat(run.sandbox),
        "took": run.finished_at - run.started_at if run.finished_at and run.started_at else None,
    }
    return render_page(request, "governance/check.html", context)


@signed_in
@require_safe
def evidence(request: HttpRequest, ref: str, pk: UUID) -> HttpResponse:
    """The stored result, byte for byte: its SHA-256 is the digest that the signatures cover."""
    run = _found(request, ref, pk)
    if run.state != CheckState.FINISHED:
        raise NotFound("This check has no result yet.", code="check.unfinished")
    name = f'attachment; filename="{run.request.ref}-{run.key}.json"'
    return HttpResponse(result_bytes(run), content_type="application/json", headers={"Content-Disposition": name})


def _definition(run: CheckRun) -> str:
    """Formula and source of the check, as its catalogue entry has them; "" for a scoring job."""
    use = str(run.requirement.get("use", "")).partition("@")[0]
    known: Manifest | None = manifest(use) if use else None
    return known.definition if known else ""


def _limit(one: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    name = labels.get(one["figure"], one["figure"].replace("_", " "))
    return f"{name}{_BOUNDS.get(one['bound'], '')}: {_OPERATORS.get(one['op'], one['op'])} {number(one['value'])}"


def _figure(one: Mapping[str, Any]) -> dict[str, Any]:
    about = one.get("attribute") or ""
    if one.get("group"):
        about = f"{about} = {one['group']}" if about else one["group"]
    return {
        "label": one["label"],
        "about": about,
        "reference": one.get("reference") or "",
        "value": number(one["value"]),
        "interval": interval(one.get("ci_low"), one.get("ci_high")),
        "n": one["n"],
        "gap": figure(one["smallest_gap"]) if one.get("smallest_gap") is not None else "",
        "note": one.get("note", ""),
    }


def _table(one: Mapping[str, Any]) -> dict[str, Any]:
    rows = [[_cell(cell) for cell in row] for row in one["rows"][:MOST_ROWS]]
    return {
        "title": one["title"],
        "columns": [
            {"label": label, "num": bool(rows) and all(row[place]["num"] for row in rows)}
            for place, (_, label) in enumerate(one["columns"])
        ],
        "rows": rows,
        "left_out": max(0, len(one["rows"]) - MOST_ROWS),
    }


def _cell(cell: object) -> dict[str, Any]:
    if isinstance(cell, bool):
        return {"text": "yes" if cell else "", "num": False}
    if isinstance(cell, int | float):
        return {"text": figure(cell), "num": True}
    return {"text": NOTHING if cell is None else str(cell), "num": cell is None}


def _flat(given: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested facts as pairs for the page, in their own order."""
    pairs: list[tuple[str, str]] = []
    for name, value in given.items():
        key = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{prefix}{name}: ")
        elif isinstance(value, list):
            pairs.append((key, ", ".join(str(item) for item in value) or "none"))
        elif isinstance(value, bool):
            pairs.append((key, "yes" if value else "no"))
        else:
            pairs.append((key, value if isinstance(value, str) else json.dumps(value)))
    return pairs
