"""The head of the log on its page: how it stands, and having it verified now."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from audit import verifying
from audit.actors import Actor
from audit.ui.head import standing, tree_head
from audit.ui.views.access import check_auditor
from config.pages import signed_in

REGION = "audit/_treehead.html"


@signed_in
@never_cache
@require_safe
def head(request: HttpRequest) -> HttpResponse:
    """The region alone, asked for every two seconds while a verification is under way."""
    check_auditor(request)
    if not getattr(request, "htmx", False):
        return HttpResponseRedirect(reverse("ui:audit"))
    return render(request, REGION, {"head": tree_head(), "standing": standing()})


@signed_in
@never_cache
@require_POST
def verify(request: HttpRequest) -> HttpResponse:
    """Ask for a look at every entry. A worker does it; the region then shows how far it is."""
    check_auditor(request)
    verifying.ask(by=Actor.of(request))
    if getattr(request, "htmx", False):
        return render(request, REGION, {"head": tree_head(), "standing": standing(), "swapped": True})
    return HttpResponseRedirect(reverse("ui:audit"), status=HTTPStatus.SEE_OTHER)
