"""Recording a person's finding on the page of its check, and taking away the file beside it."""

from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from audit.actors import Actor
from config.errors import Refusal
from config.pages import signed_in
from governance.checks.manual import ManualParams
from governance.downloads import download_of
from governance.services import findings
from governance.services.findings import Attachment
from governance.ui.finding_form import FindingForm
from governance.ui.forms import show
from governance.ui.views.checks import check_page, found_check


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def record(request: HttpRequest, ref: str, pk: UUID) -> HttpResponse:
    """Record it. Whatever goes wrong, nothing is recorded, and what was written is kept."""
    run = found_check(request, ref, pk)
    if request.method != "POST" or run.category != "manual":
        return check_page(request, run)
    form = FindingForm(request.POST, request.FILES, params=ManualParams.from_mapping(run.parameters))
    status: int = HTTPStatus.UNPROCESSABLE_ENTITY
    if form.is_valid():
        file = form.cleaned_data.get("attachment")
        try:
            findings.record(
                run_id=run.pk,
                finding=form.cleaned_data["finding"],
                words=form.cleaned_data["words"],
                attachment=Attachment(file.name, file.file) if file else None,
                by=Actor.of(request),
            )
        except Refusal as refusal:
            show(form, refusal)
            status = HTTPStatus.UNPROCESSABLE_ENTITY if refusal.field else refusal.status
        else:
            messages.success(request, f"Your finding on {run.request.ref} is recorded and in the log.")
            return HttpResponseRedirect(
                reverse("ui:check", args=[run.request.ref, run.pk]), status=HTTPStatus.SEE_OTHER
            )
    return check_page(request, found_check(request, ref, pk), form=form, status=status)


@signed_in
@require_safe
def file(request: HttpRequest, ref: str, pk: UUID, sha256: str) -> FileResponse:
    """The file beside a finding: always a download, never a page of ours."""
    return download_of(found_check(request, ref, pk), sha256)
