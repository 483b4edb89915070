"""The decision screen, its regions, the list of requests, and a new request."""

from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from audit.actors import Actor
from config.errors import NotFound, Refusal
from config.pages import render_page, signed_in
from config.pagination import page_of
from governance import guards
from governance.models import PromotionRequest
from governance.selectors.policies import governed_targets, policy_for
from governance.selectors.requests import issuance_of, live_version, request_of, requests_visible_to
from governance.services import promotions
from governance.states import OPEN_REQUEST_STATES, UNFINISHED, IssuanceState, RequestState
from governance.ui.forms import PromoteForm, show
from governance.ui.screen import context_of, person
from governance.ui.words import STATE_MARKS, target_words
from registry.selectors.catalog import model_by_name, version_by_number

TEMPLATE: Final = "governance/request.html"
POLLED: Final = frozenset({"progress", "checks"})
REGIONS: Final = {
    "progress": "summary",
    "checks": "checks",
    "metrics": "metrics",
    "fairness": "fairness",
    "drivers": "drivers",
    "waivers": "waivers",
    "requirements": "requirements",
    "signatures": "signatures",
    "activity": "activity",
    "panel": "sign",
}
"""Each region's last part of the address, and the partial of the same template that it is."""
STOP_POLLING: Final = 286
PER_PAGE: Final = 25


@signed_in
@never_cache
@require_safe
def detail(request: HttpRequest, ref: str) -> HttpResponse:
    """The whole decision screen."""
    found = request_of(person(request), ref)
    if ref != found.ref:
        return redirect("ui:request", found.ref)
    return render_page(request, TEMPLATE, context_of(request, found))


@signed_in
@never_cache
@require_safe
def region(request: HttpRequest, ref: str, name: str) -> HttpResponse:
    """One region for htmx, the whole page for everybody else. The end of the checks ends the polling (286)."""
    if name not in REGIONS:
        raise NotFound("There is no such part of a request.", code="request.region")
    found = request_of(person(request), ref)
    response = render_page(request, TEMPLATE, context_of(request, found), partial=REGIONS[name])
    if name in POLLED and found.state not in UNFINISHED and getattr(request, "htmx", False):
        if name == "progress" and _being_made(found):
            return response
        response.status_code = STOP_POLLING
        if name == "progress":
            response["HX-Trigger"] = "checks-changed"
    return response


def _being_made(found: PromotionRequest) -> bool:
    made = issuance_of(found)
    return made is not None and made.state not in {IssuanceState.ISSUED, IssuanceState.ABANDONED}


@signed_in
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """All requests one may see, newest first, by state and model."""
    state, model = request.GET.get("state", ""), request.GET.get("model", "").strip().replace("\x00", "")
    rows = requests_visible_to(person(request))
    if state == "open":
        rows = rows.filter(state__in=OPEN_REQUEST_STATES)
    elif state in RequestState.values:
        rows = rows.filter(state=state)
    if model:
        rows = rows.filter(model__name__icontains=model)
    page = page_of(rows, after=request.GET.get("after", ""), size=PER_PAGE, keys=("-number",))
    base, kept = reverse("ui:requests"), {key: value for key, value in (("state", state), ("model", model)) if value}
    context = {
        "section": "inbox",
        "rows": [{"r": row, "mark": STATE_MARKS[row.state], "target": target_words(row.target)} for row in page.rows],
        "states": [("", "Any state"), ("open", "Open"), *RequestState.choices],
        "state": state,
        "model": model,
        "older": f"{base}?{urlencode({**kept, 'after': page.next})}" if page.next else "",
        "newer": f"{base}?{urlencode(kept)}" if request.GET.get("after") else "",
    }
    return render_page(request, "governance/request_list.html", context, partial="results")


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def promote(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Ask that a target may name this version. The checks start by themselves."""
    by = Actor.of(request)
    model = model_by_name(name, person(request))
    version = version_by_number(model, number)
    targets = governed_targets(model)
    form, status = PromoteForm(targets=targets, initial=_first(targets, model.card)), HTTPStatus.OK
    if request.method == "POST":
        form, status = PromoteForm(request.POST, targets=targets), HTTPStatus.UNPROCESSABLE_ENTITY
        if form.is_valid():
            try:
                made = promotions.request_promotion(version=version, by=by, **form.cleaned_data)
            except Refusal as refusal:
                show(form, refusal)
                status = refusal.status
            else:
                messages.success(request, f"{made.ref} is open. Its checks have started.")
                return HttpResponseRedirect(reverse("ui:request", args=[made.ref]), status=HTTPStatus.SEE_OTHER)
    target = targets[0] if targets else ""
    context = {
        "section": "models",
        "model": model,
        "version": version,
        "form": form,
        "targets": targets,
        "policy": policy_for(model, target) if target else None,
        "live": live_version(model, target) if target else None,
        "open": PromotionRequest.objects.open().filter(version=version).first(),
        "why_not": guards.why_not(guards.check_can_request, by, version, target, policy_for(model, target)),
    }
    return render_page(request, "governance/promote.html", context, partial="promote", status=status)


def _first(targets: list[str], card: dict[str, Any]) -> dict[str, str]:
    alias = next((target for target in targets if target.startswith("alias:")), targets[0] if targets else "")
    return {"target": alias, "intended_use": str(card.get("intended_use", ""))}
