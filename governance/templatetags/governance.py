"""What governance says about a model or a version, for the registry's pages: templates compose, the apps do not."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django import template
from django.template import Context
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from audit import actions
from audit.actors import Actor
from audit.models import Entry
from governance.models import CheckRun, Permit, PromotionRequest
from governance.selectors.exemptions import Exemption, exemption_of, unpermitted_of
from governance.states import OPEN_REQUEST_STATES, PermitState, RequestState
from registry.guards import check_can_contribute, why_not
from registry.models import ModelVersion, RegisteredModel
from registry.reach import AUDIT, codename_of, everywhere

register = template.Library()

SHOWN = 20
_VERDICTS = {
    RequestState.DRAFT: "queued",
    RequestState.CHECKING: "running",
    RequestState.CHECKS_FAILED: "fail",
    RequestState.READY: "queued",
    RequestState.IN_REVIEW: "queued",
    RequestState.CHANGES_REQUESTED: "caution",
    RequestState.APPROVED: "pass",
    RequestState.APPROVED_WITH_CONDITIONS: "caution",
    RequestState.REJECTED: "fail",
    RequestState.WITHDRAWN: "na",
    RequestState.LAPSED: "clock",
}


@register.filter
def request_verdict(request: PromotionRequest) -> str:
    """The mark that stands for a request's state."""
    return _VERDICTS[RequestState(request.state)]


_CHECK_VERDICTS = {
    CheckRun.Verdict.PASS: "pass",
    CheckRun.Verdict.FAIL: "fail",
    CheckRun.Verdict.INCONCLUSIVE: "caution",
    CheckRun.Verdict.ERROR: "error",
    CheckRun.Verdict.NOT_APPLICABLE: "na",
}


@register.filter
def check_verdict(run: CheckRun) -> str:
    """The mark that stands for a finished check's verdict."""
    return _CHECK_VERDICTS[CheckRun.Verdict(run.verdict)]


@register.inclusion_tag("governance/tags/model_standing.html")
def model_standing(model: RegisteredModel) -> dict[str, Any]:
    """What is live by permit, and which requests are open."""
    permits = Permit.objects.filter(model=model, state=PermitState.ACTIVE).select_related("version", "request")
    requests = PromotionRequest.objects.filter(model=model, state__in=OPEN_REQUEST_STATES).select_related("version")
    return {"model": model, "permits": permits[:SHOWN], "requests": requests[:SHOWN]}


@register.simple_tag(takes_context=True)
def exempt_chip(context: Context, model: RegisteredModel) -> SafeString:
    """The mark of a model that nothing gates; empty for all others."""
    exemption = _exemption(context, model)
    return format_html('<span class="tag" data-exempt>{}</span>', "exempt from gating") if exemption else SafeString("")


@register.inclusion_tag("governance/tags/gate_exemption.html", takes_context=True)
def gate_exemption(context: Context, model: RegisteredModel, *, standing: bool = False) -> dict[str, Any]:
    """Why names of the model may be what nobody reviewed; with ``standing`` also which of them have no permit."""
    exemption = _exemption(context, model)
    asked = standing and exemption is None
    return {"model": model, "exemption": exemption, "unpermitted": unpermitted_of(model)[:SHOWN] if asked else []}


def _exemption(context: Context, model: RegisteredModel) -> Exemption | None:
    """The frame of the page (``governance.ui.frame``) asks once, however many want to know."""
    in_force: Callable[[], Mapping[str, datetime]] = context["exemptions"]
    return exemption_of(model, in_force())


@register.inclusion_tag("governance/tags/version_standing.html")
def version_standing(version: ModelVersion) -> dict[str, Any]:
    """Where a version stands: its newest request and permit."""
    newest = version.requests.select_related("policy_version__policy").order_by("-created_at").first()
    permit = version.permits.select_related("request").order_by("-issued_at").first()
    return {"version": version, "request": newest, "permit": permit}


@register.inclusion_tag("governance/tags/version_action.html", takes_context=True)
def version_action(context: Context, version: ModelVersion) -> dict[str, Any]:
    """The one button of a version's page: open its request, or ask for one; or why one may not ask."""
    newest = version.requests.filter(state__in=OPEN_REQUEST_STATES).order_by("-created_at").first()
    return {
        "version": version,
        "request": newest,
        "why_not": "" if newest else why_not(check_can_contribute, Actor.of(context["request"]), version.model),
    }


@register.inclusion_tag("governance/tags/version_requests.html")
def version_requests(version: ModelVersion) -> dict[str, Any]:
    """Every request that judged a version, with its checks of the last round."""
    requests = version.requests.select_related("policy_version__policy", "requested_by").prefetch_related("checks")
    rows = [
        {"request": request, "checks": [run for run in request.checks.all() if run.round == request.round]}
        for request in requests.order_by("-created_at")[:SHOWN]
    ]
    return {"version": version, "rows": rows}


@register.simple_tag
def entry_sentence(entry: Entry) -> str:
    """A ledger entry in words, once ``audit.personal.named`` has said who."""
    return actions.sentence(str(entry.action), actor=entry.who, subject=str(entry.object_version or "it"))


@register.simple_tag(takes_context=True)
def entry_number(context: Context, entry: Entry) -> SafeString:
    """The number of a ledger entry, which leads to it for whoever may read the log."""
    if codename_of(AUDIT) not in everywhere(context["request"].user):
        return format_html('<span class="num">{}</span>', entry.index)
    return format_html('<a class="leaf" href="{}">{}</a>', reverse("ui:audit-entry", args=[entry.index]), entry.index)
