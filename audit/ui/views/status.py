"""The signed head as a file, and the seal that every page shows."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from audit import selectors
from audit.health import log_status
from audit.ui.views.access import check_auditor
from config.errors import NotFound
from config.pages import signed_in


@signed_in
@never_cache
@require_safe
def checkpoint(request: HttpRequest) -> HttpResponse:
    """The signed head of the log as a file: the note of C2SP tlog-checkpoint."""
    check_auditor(request)
    found = selectors.head()
    if found is None:
        raise NotFound("The log has no checkpoint yet.", code="ledger.empty")
    name = f'attachment; filename="checkpoint-{found.size}.txt"'
    return HttpResponse(found.note, content_type="text/plain; charset=utf-8", headers={"Content-Disposition": name})


@signed_in
@never_cache
@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """The seal in the masthead, for everybody who is signed in, and the banner over the page when the log is broken."""
    return render(request, "audit/status.html", {"log_status": log_status()})
