"""The inventory and a model's page."""

import re
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from audit.actors import Actor
from config.errors import Refusal, StaleEdit
from config.pages import render_page, signed_in
from config.pagination import page_of
from registry import guards
from registry.models import ModelVersion, RegisteredModel, User
from registry.selectors import catalog
from registry.selectors.inventory import InventoryQuery, inventory, version_by_digest, version_by_words, versions_of
from registry.services.catalog import update_model
from registry.ui.forms import CardForm

VERSIONS_PER_PAGE: Final = 25
MODELS_PER_PAGE: Final = 25
_VERSION: Final = re.compile(r"(?P<name>.+?)(?:\s+v?|/)(?P<number>[1-9][0-9]{0,8})", re.IGNORECASE)


def person(request: HttpRequest) -> User:
    """The signed-in user; every view here demands one."""
    if not isinstance(request.user, User):
        raise TypeError("a page of the registry was reached without sign-in")
    return request.user


@signed_in
@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """The inventory: what is live, who owns it. Words that mean exactly one version lead straight to it."""
    user = person(request)
    query = InventoryQuery(
        text=request.GET.get("q", "").strip().replace("\x00", ""),
        tiers=[int(tier) for tier in request.GET.getlist("tier") if tier in {"1", "2", "3"}],
        view=request.GET.get("view", ""),
    )
    found = inventory(user, query, after=request.GET.get("after", ""), size=MODELS_PER_PAGE)
    meant = _version_meant(user, query.text) if query.text and not found.rows else None
    if meant is not None and not _is_htmx(request):
        return redirect("ui:version", meant.model.name, meant.number)
    if not found.total and not query.text:
        return redirect("ui:first-run")
    base = reverse("ui:models")
    kept = [(key, value) for key, value in _pairs(request) if key != "after"]
    context = {
        "section": "models",
        "inventory": found,
        "query": query,
        "meant": meant,
        "tabs": [
            {"key": "", "label": "All", "url": base, "count": found.total},
            {"key": "live", "label": "Live", "url": f"{base}?view=live", "count": found.live},
            {"key": "not_live", "label": "Not live", "url": f"{base}?view=not_live", "count": found.total - found.live},
        ],
        "older": f"{base}?{urlencode([*kept, ('after', found.next)])}" if found.next else "",
        "newer": f"{base}?{urlencode(kept)}" if request.GET.get("after") else "",
    }
    return render_page(request, "registry/model_list.html", context, partial="results")


def _version_meant(user: User, text: str) -> ModelVersion | None:
    """The version that ``text`` names, by the beginning of its digest or as ``name v3``."""
    match = _VERSION.fullmatch(text)
    named = version_by_words(user, match["name"], int(match["number"])) if match else None
    return named or version_by_digest(user, text)


def _is_htmx(request: HttpRequest) -> bool:
    return bool(getattr(request, "htmx", False))


def _pairs(request: HttpRequest) -> list[tuple[str, str]]:
    return [(key, value) for key, values in request.GET.lists() for value in values if value]


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def model(request: HttpRequest, name: str) -> HttpResponse:
    """A model: its versions, aliases and card. A POST changes the card."""
    found = catalog.model_by_name(name, person(request))
    form, status = CardForm(initial=_card_of(found)), int(HTTPStatus.OK)
    if request.method == "POST":
        form, status = CardForm(request.POST), int(HTTPStatus.UNPROCESSABLE_ENTITY)
        if form.is_valid():
            try:
                return _save_card(request, found, form)
            except Refusal as refusal:
                form, status = _refused(form, refusal, found), int(refusal.status)
    page = page_of(
        versions_of(found), after=request.GET.get("after", ""), size=VERSIONS_PER_PAGE, keys=("-number", "pk")
    )
    here = reverse("ui:model", args=[found.name])
    context = {
        "section": "models",
        "model": found,
        "purpose": found.use_case.rstrip(". "),
        "versions": page,
        "aliases": found.aliases.select_related("version", "set_by"),
        "tags": found.tags.order_by("key"),
        "card": [(str(form.fields[key].label), found.card.get(key, "")) for key in CardForm.CARD_FIELDS],
        "form": form,
        "why_not_edit": guards.why_not(guards.check_can_curate, Actor.of(request), found),
        "older": f"{here}?{urlencode({'after': page.next})}" if page.next else "",
        "newer": here if request.GET.get("after") else "",
    }
    return render_page(request, "registry/model_detail.html", context, status=status)


def _card_of(model: RegisteredModel) -> dict[str, object]:
    return {**model.card, "use_case": model.use_case, "tier": model.tier, "revision": model.revision}


def _save_card(request: HttpRequest, model: RegisteredModel, form: CardForm) -> HttpResponseRedirect:
    update_model(
        model=model,
        by=Actor.of(request),
        use_case=form.cleaned_data["use_case"],
        tier=form.cleaned_data["tier"],
        card={**{key: text for key, text in model.card.items() if key not in form.CARD_FIELDS}, **form.card()},
        revision=form.cleaned_data["revision"],
    )
    messages.success(request, "The card is saved.")
    return HttpResponseRedirect(reverse("ui:model", args=[model.name]), status=HTTPStatus.SEE_OTHER)


def _refused(form: CardForm, refusal: Refusal, model: RegisteredModel) -> CardForm:
    """The form with the refusal where it belongs.

    After somebody else's change each field says what it holds now, and the form is ready to replace exactly that.
    """
    if not isinstance(refusal, StaleEdit):
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return form
    sent = dict(form.cleaned_data)
    model.refresh_from_db()
    now = _card_of(model)
    form.add_error(
        None, "Somebody changed this model after you read it. Compare, then save again to replace their text."
    )
    for name in sorted(sent.keys() - {"revision"}):
        if now.get(name, "") != sent[name]:
            form.add_error(name, f"Now it says: {now.get(name, '') or 'nothing'}")
    form.data = {**sent, "revision": model.revision}
    return form
