"""The inventory and a model's page."""

from http import HTTPStatus
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from audit.actors import Actor
from config.errors import Invalid, Refusal
from config.pages import render_page
from config.pagination import page_of
from registry.models import RegisteredModel, User
from registry.selectors import catalog
from registry.selectors.inventory import InventoryQuery, inventory, version_by_digest, versions_of
from registry.services.catalog import update_model
from registry.ui.forms import CardForm

VIEWS = (("", "All"), ("live", "Live"), ("not_live", "Not live"))
VERSIONS_PER_PAGE = 25


def person(request: HttpRequest) -> User:
    """The signed-in user; every view here demands one."""
    if not isinstance(request.user, User):
        raise TypeError("a page of the registry was reached without sign-in")
    return request.user


@login_required
@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """The inventory: what is live, who owns it. A digest in the search leads straight to its version."""
    text = request.GET.get("q", "").strip().replace("\x00", "")
    version = version_by_digest(person(request), text)
    if version is not None:
        return redirect("ui:version", version.model.name, version.number)
    tiers = [int(tier) for tier in request.GET.getlist("tier") if tier in {"1", "2", "3"}]
    query = InventoryQuery(text=text, tiers=tiers, view=request.GET.get("view", ""))
    found = inventory(person(request), query, after=request.GET.get("after", ""))
    if not found.total and not text:
        return redirect("ui:first-run")
    kept = [(key, value) for key, value in _pairs(request) if key != "after"]
    base = reverse("ui:models")
    tabs = [{"key": key, "label": label, "url": f"{base}?view={key}" if key else base} for key, label in VIEWS]
    context = {
        "section": "models",
        "inventory": found,
        "query": query,
        "tabs": tabs,
        "older": f"{base}?{urlencode([*kept, ('after', found.next)])}" if found.next else "",
        "newer": f"{base}?{urlencode(kept)}" if request.GET.get("after") else "",
    }
    return render_page(request, "registry/model_list.html", context, partial="results")


def _pairs(request: HttpRequest) -> list[tuple[str, str]]:
    return [(key, value) for key, values in request.GET.lists() for value in values if value]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def model(request: HttpRequest, name: str) -> HttpResponse:
    """A model: its versions, aliases and card. A POST changes the card."""
    found = catalog.model_by_name(name, person(request))
    form, status = CardForm(initial=_card_initial(found)), HTTPStatus.OK
    if request.method == "POST":
        form, status = CardForm(request.POST), HTTPStatus.UNPROCESSABLE_ENTITY
        if form.is_valid():
            try:
                return _save_card(request, found, form)
            except Refusal as refusal:
                form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
                status = refusal.status
    page = page_of(
        versions_of(found), after=request.GET.get("after", ""), size=VERSIONS_PER_PAGE, keys=("-number", "pk")
    )
    here = reverse("ui:model", args=[found.name])
    context = {
        "section": "models",
        "model": found,
        "versions": page,
        "aliases": found.aliases.select_related("version", "set_by"),
        "tags": found.tags.order_by("key"),
        "card": [(label, found.card.get(key, "")) for key, label in _card_labels(form)],
        "form": form,
        "may_edit": catalog.can(person(request), "contribute_registeredmodel", found)
        or catalog.can(person(request), "administer_registeredmodel", found),
        "older": f"{here}?{urlencode({'after': page.next})}" if page.next else "",
        "newer": here if request.GET.get("after") else "",
    }
    return render_page(request, "registry/model_detail.html", context, partial="card", status=status)


def _card_initial(model: RegisteredModel) -> dict[str, object]:
    return {"use_case": model.use_case, "tier": model.tier, "revision": model.revision, **model.card}


def _card_labels(form: CardForm) -> list[tuple[str, str]]:
    return [(key, str(form.fields[key].label)) for key in CardForm.CARD_FIELDS]


def _save_card(request: HttpRequest, model: RegisteredModel, form: CardForm) -> HttpResponseRedirect:
    revision = form.cleaned_data["revision"]
    if not isinstance(revision, int):
        raise Invalid("The form does not say which state of the model it changes. Reload the page.", field="revision")
    update_model(
        model=model,
        by=Actor.of(request),
        use_case=form.cleaned_data["use_case"],
        tier=form.cleaned_data["tier"],
        card={**{key: text for key, text in model.card.items() if key not in form.CARD_FIELDS}, **form.card()},
        revision=revision,
    )
    return HttpResponseRedirect(reverse("ui:model", args=[model.name]), status=HTTPStatus.SEE_OTHER)
