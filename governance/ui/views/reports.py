"""Reports: what there is to ask for, one's own, and each as a page, PDF/A-3, JSON and CSV."""

import json
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from audit.actors import Actor
from config.errors import Refusal
from config.pages import render_page, signed_in
from config.pagination import page_of
from governance.documents import catalogue
from governance.documents.display import in_fours, shown
from governance.documents.job import PACK, PDF, TABLES
from governance.followers import ring_for_report
from governance.models import ReportFile, ReportJob
from governance.selectors.requests import workers_alive
from governance.services import reports
from governance.states import CheckState
from governance.ui.forms import show
from governance.ui.report_forms import ReportForm
from governance.ui.screen import person

PER_PAGE: Final = 20
WORDS: Final = {PDF: "PDF/A-3, with the data attached", PACK: "Data pack, JSON", TABLES: "Tables, CSV"}
MARKS: Final = {CheckState.QUEUED: "queued", CheckState.RUNNING: "running", CheckState.FINISHED: "pass"}


@signed_in
@never_cache
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Every kind of report, and those that this person asked for."""
    rows = ReportJob.objects.filter(asked_by=person(request))
    page = page_of(rows, after=request.GET.get("after", ""), size=PER_PAGE, keys=("-asked_at", "-pk"))
    here = reverse("ui:reports")
    context = {
        "section": "reports",
        "kinds": catalogue.REPORTS,
        "rows": [_row(job) for job in page.rows],
        "older": f"{here}?after={page.next}" if page.next else "",
        "newer": here if request.GET.get("after") else "",
    }
    return render_page(request, "governance/report_list.html", context)


def _row(job: ReportJob) -> dict[str, Any]:
    known = catalogue.BY_NAME.get(job.report)
    moment = [("as of", job.as_of)] if job.as_of else []
    return {
        "job": job,
        "title": job.title or (known.title if known else job.report),
        "mark": "error" if job.problem else MARKS[CheckState(job.state)],
        "word": "Not made"
        if job.problem
        else {"queued": "Waiting", "running": "Being made", "finished": "Made"}[job.state],
        "parameters": ", ".join(f"{name} {value}" for name, value in [*sorted(job.parameters.items()), *moment]),
    }


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest, name: str) -> HttpResponse:
    """The form of one report, filled in from the address (``at``: the moment); a POST asks for it."""
    report = catalogue.report_named(name)
    asked = request.GET.dict()
    form, status = ReportForm(report, initial={**asked, "as_of": asked.get("at", "")}), HTTPStatus.OK
    if request.method == "POST":
        form, status = ReportForm(report, request.POST), HTTPStatus.UNPROCESSABLE_ENTITY
        if form.is_valid():
            try:
                job = reports.ask(
                    report=name, parameters=form.parameters(), by=Actor.of(request), as_of=form.cleaned_data["as_of"]
                )
            except Refusal as refusal:
                show(form, refusal)
                status = refusal.status
            else:
                ring_for_report(job.pk)
                messages.success(request, "The report is asked for, and the log says so.")
                return HttpResponseRedirect(reverse("ui:report", args=[job.pk]), status=HTTPStatus.SEE_OTHER)
    context = {"section": "reports", "report": report, "form": form}
    return render_page(request, "governance/report_ask.html", context, status=status)


@signed_in
@never_cache
@require_safe
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """How far it is; made, the report itself with its files. While it waits, htmx asks for the region again and again."""
    job = reports.job_of(Actor.of(request), pk)
    files = {one.name: one for one in job.files.defer("content")}
    pack = ReportFile.objects.filter(job=job, name=PACK).first() if job.made else None
    context = {
        **_row(job),
        "section": "reports",
        "waits": job.state != CheckState.FINISHED,
        "workers_alive": workers_alive(),
        "kind": catalogue.BY_NAME.get(job.report),
        "files": [(files[name], words, in_fours(files[name].sha256)) for name, words in WORDS.items() if name in files],
        "report": shown(json.loads(bytes(pack.content))) if pack else None,
    }
    return render_page(request, "governance/report.html", context, partial="report")


@signed_in
@require_safe
def download(request: HttpRequest, pk: UUID, name: str) -> HttpResponse:
    """One file of a report, byte for byte."""
    job = reports.job_of(Actor.of(request), pk)
    found = reports.file_of(job, name)
    headers = {
        "Content-Disposition": f'attachment; filename="{job.report}-{found.sha256[:8]}-{found.name}"',
        "ETag": f'"{found.sha256}"',
        "Cache-Control": "private, no-store",
    }
    return HttpResponse(bytes(found.content), content_type=found.media_type, headers=headers)
