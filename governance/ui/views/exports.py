"""The export centre: what one can take away, what it will hold, and what one took; samples of the log."""

from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from audit.actors import Actor
from audit.exports.bundle import checkpoint_of
from config.errors import Refusal
from config.pages import render_page, signed_in
from config.pagination import page_of
from governance import sampling
from governance.bundles.members import scale_of
from governance.bundles.questions import check_auditor, sample_of
from governance.followers import ring_export
from governance.models import Export, Sample
from governance.models.exports import ExportState
from governance.selectors.requests import workers_alive
from governance.services import exports, samples
from governance.ui.export_forms import DrawForm, ExportForm, PlanForm
from governance.ui.forms import show
from governance.ui.screen import person
from registry.reach import AUDIT, holds

PER_PAGE: Final = 20
MARKS: Final = {
    ExportState.QUEUED: "queued",
    ExportState.RUNNING: "running",
    ExportState.FINISHED: "pass",
    ExportState.FAILED: "error",
    ExportState.EXPIRED: "na",
}


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """What do you want to take with you? With a choice made: what it will hold. A POST asks for it."""
    user = person(request)
    given = request.POST if request.method == "POST" else request.GET
    chosen = "kind" in given
    form = ExportForm(given if chosen else None, user=user, auditor=holds(user, AUDIT))
    status: int = HTTPStatus.OK
    offer: dict[str, Any] | None = None
    if chosen and form.is_valid():
        try:
            question = form.question()
            if request.method == "POST":
                made = exports.ask(question=question, by=Actor.of(request))
                if made.state == ExportState.QUEUED:
                    ring_export(made.pk)
                return HttpResponseRedirect(reverse("ui:export", args=[made.pk]), status=HTTPStatus.SEE_OTHER)
            checkpoint = checkpoint_of()
            offer = {"question": question, "scale": scale_of(question, size=checkpoint.size), "checkpoint": checkpoint}
        except Refusal as refusal:
            show(form, refusal)
    if chosen and form.errors:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    page = page_of(
        exports.of_person(user), after=request.GET.get("after", ""), size=PER_PAGE, keys=("-created_at", "-pk")
    )
    here = reverse("ui:exports")
    context = {
        "section": "audit",
        "form": form,
        "offer": offer,
        "rows": [_row(one) for one in page.rows],
        "auditor": holds(user, AUDIT),
        "older": f"{here}?{urlencode({'after': page.next})}" if page.next else "",
        "newer": here if request.GET.get("after") else "",
    }
    return render_page(request, "governance/export_list.html", context, status=status)


def _row(export: Export) -> dict[str, Any]:
    return {"export": export, "mark": MARKS[ExportState(export.state)], "word": export.get_state_display()}


@signed_in
@never_cache
@require_safe
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """How far it is; ready: its digest, how to check it, and the file. While it waits, htmx asks again and again."""
    export = exports.export_of(person(request), pk)
    context = {
        **_row(export),
        "section": "audit",
        "waits": export.state in {ExportState.QUEUED, ExportState.RUNNING},
        "workers_alive": export.state != ExportState.QUEUED or workers_alive(),
        "name": exports.name_of(export),
    }
    return render_page(request, "governance/export_detail.html", context, partial="export")


@signed_in
@never_cache
@require_safe
def download(request: HttpRequest, pk: UUID) -> FileResponse:
    """The file, for who asked for it."""
    export = exports.export_of(person(request), pk)
    return FileResponse(
        exports.file_of(export).open("rb"),
        as_attachment=True,
        filename=exports.name_of(export),
        content_type="application/zip",
    )


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sample_index(request: HttpRequest) -> HttpResponse:
    """Samples of every auditor, and a new plan: first the population with its counts, then how many of it."""
    check_auditor(person(request))
    posted = request.method == "POST"
    given = request.POST if posted else request.GET
    chosen = "since" in given
    form = PlanForm(given if chosen else None)
    counted: samples.Counted | None = None
    needed = 0
    if chosen and form.is_valid():
        try:
            counted = samples.count(form.population(), by=Actor.of(request))
            needed = _size(form, counted)
            if posted and not form.cleaned_data["seed"]:
                form.add_error("seed", "Commit to a seed: otherwise you could choose one that suits you.")
            elif posted:
                made = samples.plan(
                    population=form.population(),
                    title=form.cleaned_data["title"],
                    by=Actor.of(request),
                    seed_commitment=form.commitment(),
                    size=needed,
                )
                messages.success(request, "The plan is in the log. Draw it when it has its place there, in a second.")
                return HttpResponseRedirect(reverse("ui:sample", args=[made.pk]), status=HTTPStatus.SEE_OTHER)
        except Refusal as refusal:
            show(form, refusal)
    rows = Sample.objects.select_related("planned_by")
    page = page_of(rows, after=request.GET.get("after", ""), size=PER_PAGE, keys=("-planned_at", "-pk"))
    here = reverse("ui:samples")
    context = {
        "section": "audit",
        "form": form,
        "counted": counted,
        "needed": needed,
        "strata": sorted(counted.counts.items()) if counted else [],
        "rows": page.rows,
        "older": f"{here}?{urlencode({'after': page.next})}" if page.next else "",
        "newer": here if request.GET.get("after") else "",
    }
    failed = chosen and bool(form.errors)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if failed else HTTPStatus.OK
    return render_page(request, "governance/sample_list.html", context, status=status)


def _size(form: PlanForm, counted: samples.Counted) -> int:
    """How many: the figure given, or what confidence and tolerable rate ask for."""
    found = form.cleaned_data
    if found["size"]:
        return int(found["size"])
    size = sampling.attribute_size(
        counted.total,
        confidence=found["confidence"] or 0.95,
        tolerable=found["tolerable"] or 0.05,
        expected=found["expected"] or 0,
    )
    return max(size, len(counted.counts))


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sample_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The plan, and what was drawn. A POST with the seed draws."""
    sample = sample_of(person(request), pk)
    posted = request.method == "POST"
    form = DrawForm(request.POST if posted else None)
    status: int = HTTPStatus.OK
    if posted and form.is_valid():
        try:
            samples.draw(sample_id=pk, seed=form.cleaned_data["seed"], by=Actor.of(request))
        except Refusal as refusal:
            show(form, refusal)
        else:
            messages.success(request, "The sample is drawn, and the log says so.")
            return HttpResponseRedirect(reverse("ui:sample", args=[pk]), status=HTTPStatus.SEE_OTHER)
    if posted and form.errors:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    context = {
        "section": "audit",
        "sample": sample,
        "form": form,
        "others": sample.plan["end"] - sample.plan["begin"] - sample.population,
        "mine": sample.planned_by_id == person(request).pk,
        "limit": sampling.upper_limit(sample.population, size=sample.size, found=0) if sample.drawn_at else 0,
    }
    return render_page(request, "governance/sample_detail.html", context, status=status)
