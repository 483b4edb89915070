"""One check: everything it measured."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_POST, require_safe

from audit.actors import Actor
from config.errors import NotFound
from config.figures import NOTHING, figure
from config.pages import render_page, signed_in
from governance import guards
from governance.categories import CATEGORIES
from governance.checks import CheckError, Manifest, manifest
from governance.checks.manual import ManualParams
from governance.checks.parameters import shown
from governance.models import CheckRun
from governance.progress import progress_of
from governance.selectors.requests import check_of, request_of
from governance.services import stops
from governance.services.evidence import result_bytes
from governance.standing import display_name
from governance.states import CheckState
from governance.ui.evidence import interval, number
from governance.ui.finding_form import FindingForm
from governance.ui.forms import WithdrawForm
from governance.ui.screen import person
from registry.models import User
from registry.storage import blobs

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


def found_check(request: HttpRequest, ref: str, pk: UUID) -> CheckRun:
    """The check of that request, if the person may see it. Raises ``NotFound``."""
    run = check_of(person(request), pk)
    if run.request.ref != ref.upper():
        raise NotFound("There is no such check, or you may not see it.", code="check.unknown")
    return run


@signed_in
@require_safe
def detail(request: HttpRequest, ref: str, pk: UUID) -> HttpResponse:
    """Figures with intervals, tables, findings, limits, parameters, sandbox, digests."""
    return check_page(request, found_check(request, ref, pk))


def check_page(
    request: HttpRequest, run: CheckRun, *, form: FindingForm | None = None, status: int = HTTPStatus.OK
) -> HttpResponse:
    """The page of one check; ``form`` is that of a finding that could not be recorded."""
    result: Mapping[str, Any] = run.result or {}
    states = {
        CheckState.QUEUED: ("queued", "It waits for a worker"),
        CheckState.RUNNING: ("running", "It is running"),
        CheckState.AWAITED: ("queued", "It waits for a person's finding"),
    }
    mark, words = states.get(CheckState(run.state)) or _verdict(run)
    figures = [_figure(one) for one in result.get("figures", ())]
    known = _manifest(run)
    labels = {one.key: one.label for one in known.figures} if known else {}
    labels |= {one["key"]: one["label"] for one in result.get("figures", ())}
    context = {
        "section": "inbox",
        "run": run,
        "mark": mark,
        "words": words,
        "category": CATEGORIES.get(run.category, run.category),
        "definition": known.definition if known else "",
        "known": known.key if known else "",
        "limits": [_limit(one, labels) for one in run.requirement.get("limits", ())],
        "figures": figures,
        "gaps": any(one["gap"] for one in figures),
        "notes": any(one["note"] for one in figures),
        "pictures": _pictures(run),
        "tables": [_table(one) for one in result.get("tables", ())],
        "findings": result.get("findings", ()),
        "cautions": result.get("limits", ()),
        "n": result.get("n"),
        "not_applicable": result.get("not_applicable", ""),
        "parameters": _parameters(run, result),
        "sandbox": _flat(run.sandbox),
        "provenance": _flat(run.provenance),
        "script": str(run.parameters.get("script", "")) if run.category == "script" else "",
        "finding": _finding(request, run, form) if run.category == "manual" else None,
        "progress": progress_of(run) if run.state in (CheckState.QUEUED, CheckState.RUNNING) else None,
        "waiting": run.state == CheckState.QUEUED and not run.progress_total,
        "may_cancel": not guards.why_not(guards.check_can_cancel, Actor.of(request), run),
        "may_retry": run.verdict == CheckRun.Verdict.ERROR
        and run.round == run.request.round
        and not guards.why_not(guards.check_can_retry, Actor.of(request), run.request),
        "took": run.finished_at - run.started_at if run.finished_at and run.started_at else None,
    }
    response = render_page(request, "governance/check.html", context, status=status)
    if getattr(request, "htmx", False) and context["progress"] is None:
        response["HX-Refresh"] = "true"  # the page that asked how far the check is shows the result now
    return response


def _verdict(run: CheckRun) -> tuple[str, str]:
    if run.category == "manual" and run.result is not None:
        return VERDICT_MARKS[run.verdict][0], f"Found: {run.get_verdict_display().lower()}"
    return VERDICT_MARKS[run.verdict]


def _parameters(run: CheckRun, result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """All in force, but for texts that have a place of their own on the page."""
    elsewhere = {"script": {"script"}, "manual": {"title", "instructions"}}.get(run.category, set())
    given = {**run.parameters, **result.get("params", {})}
    return sorted((name, shown(value)) for name, value in given.items() if name not in elsewhere)


def _finding(request: HttpRequest, run: CheckRun, form: FindingForm | None) -> dict[str, Any]:
    params = ManualParams.from_mapping(run.parameters)
    return {
        "instructions": params.instructions,
        "by": _recorder(run),
        "files": (run.result or {}).get("files", ()),
        "why_not": guards.why_not(guards.check_can_record, Actor.of(request), run.request, run),
        "form": form or FindingForm(params=params),
    }


@signed_in
@require_POST
def cancel(request: HttpRequest, ref: str, pk: UUID) -> HttpResponse:
    """End a check before it has a result."""
    run = found_check(request, ref, pk)
    form = WithdrawForm(request.POST)
    stops.cancel(run_id=run.pk, by=Actor.of(request), reason=str(form["reason"].value() or ""))
    messages.success(request, "The check is cancelled.")
    return HttpResponseRedirect(reverse("ui:check", args=[run.request.ref, run.pk]), status=HTTPStatus.SEE_OTHER)


@signed_in
@require_POST
def retry_errors(request: HttpRequest, ref: str) -> HttpResponse:
    """Begin a round in which what ended with an error is run again."""
    found = request_of(person(request), ref)
    stops.retry_errors(request=found, by=Actor.of(request))
    messages.success(request, "What ended with an error runs again. Votes of the round before no longer count.")
    return HttpResponseRedirect(reverse("ui:request", args=[found.ref]), status=HTTPStatus.SEE_OTHER)


@signed_in
@require_safe
def evidence(request: HttpRequest, ref: str, pk: UUID) -> HttpResponse:
    """The stored result, byte for byte: its SHA-256 is the digest that the signatures cover."""
    run = found_check(request, ref, pk)
    if run.state != CheckState.FINISHED:
        raise NotFound("This check has no result yet.", code="check.unfinished")
    name = f'attachment; filename="{run.request.ref}-{run.key}.json"'
    return HttpResponse(result_bytes(run), content_type="application/json", headers={"Content-Disposition": name})


def _manifest(run: CheckRun) -> Manifest | None:
    """What the catalogue says of the check; None for a scoring job, and of a plug-in that is not here any more."""
    use = str(run.requirement.get("use", ""))
    try:
        return manifest(use) if use else None
    except CheckError:
        return None


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


def _recorder(run: CheckRun) -> str:
    """The name of who recorded the finding, as it is today; "" before that and for an account that is gone."""
    kind, _, pk = run.owner.partition(":")
    found = User.objects.filter(pk=pk).first() if kind == "user" and pk.isdecimal() else None
    return display_name(found) if found else ""


def _pictures(run: CheckRun) -> list[dict[str, str]]:
    """Title, description and drawing of each picture; without a drawing, the description stands alone."""
    found = []
    for one in (run.result or {}).get("pictures", ()):
        drawing = ""
        if sha256 := run.drawings.get(one["key"]):
            with blobs().open(sha256) as content:
                # Made and cleaned by governance.engine.drawing, and named by its digest in a row the ledger vouches for.
                drawing = mark_safe(content.read().decode())  # noqa: S308
        found.append({"title": one["title"], "alt": one["alt"], "drawing": drawing})
    return found


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
        if value in (None, ""):
            continue  # this check has no such thing
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{prefix}{name}: ")
        elif isinstance(value, list):
            pairs.append((key, ", ".join(str(item) for item in value) or "none"))
        elif isinstance(value, bool):
            pairs.append((key, "yes" if value else "no"))
        else:
            pairs.append((key, value if isinstance(value, str) else json.dumps(value)))
    return pairs
