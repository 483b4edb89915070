"""Webhooks: who is told of what, and whether it arrived. For administrators."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from audit.actors import Actor
from config.errors import Refusal
from config.pages import render_page, signed_in
from config.pagination import page_of
from registry.followers import ring_for_webhook
from registry.guards import check_can_administer
from registry.models import Webhook, WebhookDelivery
from registry.selectors.webhooks import deliveries_of, paused_until, webhook_by_id, webhooks, with_last_delivery
from registry.services import webhooks as services
from registry.ui.webhook_forms import WebhookChangeForm, WebhookForm

PER_PAGE: Final = 25
_STATE = WebhookDelivery.State
MARKS: Final = {_STATE.WAITING: "queued", _STATE.DELIVERED: "pass", _STATE.FAILED: "fail", _STATE.CANCELLED: "na"}
_WORDS: Final = {state.value: state.label for state in _STATE}


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """Every webhook with its latest delivery; a POST makes one."""
    by = Actor.of(request)
    check_can_administer(by)
    form, status = WebhookForm(), int(HTTPStatus.OK)
    if request.method == "POST":
        form, status = WebhookForm(request.POST), int(HTTPStatus.UNPROCESSABLE_ENTITY)
        if form.is_valid():
            given = dict(form.cleaned_data)
            try:
                webhook = services.create_webhook(event_names=given.pop("events"), by=by, **given)
            except Refusal as refusal:
                status = _refused(form, refusal)
            else:
                messages.success(request, f"The webhook {webhook.name} is told of what happens from now on.")
                return _to(webhook)
    here = reverse("ui:webhooks")
    rows = with_last_delivery(webhooks())
    page = page_of(rows, after=request.GET.get("after", ""), size=PER_PAGE, keys=("-created_at", "-pk"))
    context = {
        "rows": [(webhook, *_last(webhook)) for webhook in page.rows],
        "form": form,
        "older": f"{here}?{urlencode({'after': page.next})}" if page.next else "",
        "newer": here if request.GET.get("after") else "",
    }
    return render_page(request, "registry/webhook_list.html", context, status=status)


def _last(webhook: Any) -> tuple[str, str]:  # noqa: ANN401 - annotated by the selector
    """Mark and word of its latest delivery."""
    return (MARKS[webhook.last_state], _WORDS[webhook.last_state]) if webhook.last_state else ("", "")


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One webhook and what was sent to it; a POST changes it."""
    webhook = _named(request, pk)
    initial = {
        "name": webhook.name,
        "url": webhook.url,
        "description": webhook.description,
        "events": webhook.events,
        "revision": webhook.revision,
    }
    form, status = WebhookChangeForm(initial=initial, webhook=webhook), int(HTTPStatus.OK)
    if request.method == "POST":
        form = WebhookChangeForm(request.POST, webhook=webhook)
        status = int(HTTPStatus.UNPROCESSABLE_ENTITY)
        if form.is_valid():
            try:
                services.update_webhook(webhook=webhook, by=Actor.of(request), **form.change())
            except Refusal as refusal:
                status = _refused(form, refusal)
            else:
                messages.success(request, "The webhook is changed.")
                return _to(webhook)
    return render_page(request, "registry/webhook_detail.html", _about(request, webhook, form), status=status)


def _about(request: HttpRequest, webhook: Webhook, form: forms.Form) -> dict[str, Any]:
    here = reverse("ui:webhook", args=[webhook.pk])
    state = request.GET.get("state", "")
    state = state if state in _STATE.values else ""
    rows = deliveries_of(webhook, state=state)
    page = page_of(rows, after=request.GET.get("after", ""), size=PER_PAGE, keys=("-created_at", "-pk"))
    kept = {"state": state} if state else {}
    return {
        "webhook": webhook,
        "paused_until": paused_until(webhook, timezone.now()),
        "deliveries": [(delivery, MARKS[_STATE(delivery.state)]) for delivery in page.rows],
        "active": webhook.status == Webhook.Status.ACTIVE,
        "state": state,
        "states": [("", "All"), *_STATE.choices],
        "form": form,
        "older": f"{here}?{urlencode({**kept, 'after': page.next})}" if page.next else "",
        "newer": f"{here}?{urlencode(kept)}" if request.GET.get("after") else "",
    }


@signed_in
@require_POST
def test(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Send a sample."""
    webhook = _named(request, pk)

    def act() -> str:
        services.send_sample(webhook=webhook, by=Actor.of(request))
        return "A sample is on its way: reload the page to see how it ended."

    return _acted(request, webhook, act)


@signed_in
@require_POST
def switch(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Enable or disable."""
    webhook = _named(request, pk)

    def act() -> str:
        changed = services.update_webhook(webhook=webhook, by=Actor.of(request), status=request.POST.get("status", ""))
        if changed.status == Webhook.Status.ACTIVE:
            return "The webhook is told of what happens from now on."
        return "The webhook is disabled. What waited for it is cancelled."

    return _acted(request, webhook, act)


@signed_in
@require_POST
def delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Delete."""
    webhook = _named(request, pk)
    services.delete_webhook(webhook=webhook, by=Actor.of(request))
    messages.success(request, f"The webhook {webhook.name} is deleted, with its secrets.")
    return HttpResponseRedirect(reverse("ui:webhooks"), status=HTTPStatus.SEE_OTHER)


@signed_in
@require_POST
def again(request: HttpRequest, pk: UUID, delivery: UUID) -> HttpResponse:
    """Send a delivery once more."""
    webhook = _named(request, pk)
    found = get_object_or_404(deliveries_of(webhook).select_related("webhook"), pk=delivery)

    def act() -> str:
        services.redeliver(delivery=found, by=Actor.of(request))
        return f"{found.event} is sent again: reload the page to see how it ended."

    return _acted(request, webhook, act)


def _acted(request: HttpRequest, webhook: Webhook, act: Callable[[], str]) -> HttpResponse:
    """Do it, ring for a worker, and say on the webhook's page what was done or why not."""
    try:
        said = act()
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, said)
        transaction.on_commit(partial(ring_for_webhook, webhook.pk), robust=True)
    return _to(webhook)


def _to(webhook: Webhook) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("ui:webhook", args=[webhook.pk]), status=HTTPStatus.SEE_OTHER)


def _named(request: HttpRequest, pk: UUID) -> Webhook:
    """The webhook. Raises ``NotAllowed`` for everybody but administrators."""
    check_can_administer(Actor.of(request))
    webhook = webhook_by_id(pk)
    if webhook is None:
        raise Http404
    return webhook


def _refused(form: forms.Form, refusal: Refusal) -> int:
    """Put a refusal where it belongs; return its status."""
    form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
    return int(refusal.status)
