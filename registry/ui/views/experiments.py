"""Experiments: whose they are, and who may see their runs. The runs themselves are on MLflow's own pages."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.auth.models import Group
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audit.actors import Actor
from config.errors import Refusal
from config.pages import render_page, signed_in
from config.pagination import page_of
from registry.guards import check_can_administer, check_can_manage_experiment, why_not
from registry.models import Experiment, User
from registry.selectors.experiments import grants_of
from registry.services import experiments as services

PER_PAGE: Final = 25
ACCESS: Final = (("read", "Read"), ("write", "Read and write"))


class AdoptForm(forms.Form):
    """An experiment that was not created through us, and whose it is to be."""

    tracking_id = forms.CharField(label="Its id", max_length=64, help_text="As MLflow shows it; 0 is Default.")
    owner = forms.CharField(label="Owner", max_length=150, help_text="The account that may restrict and grant it.")


class GrantForm(forms.Form):
    """A team and what it may do."""

    team = forms.ModelChoiceField(label="Team", queryset=Group.objects.order_by("name"))
    access = forms.ChoiceField(label="May", choices=ACCESS)


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """The experiments the person may see; an administrator takes another into care by POST."""
    by, user = Actor.of(request), _person(request)
    administers = not why_not(check_can_administer, by)
    form, status = AdoptForm(), int(HTTPStatus.OK)
    if request.method == "POST":
        check_can_administer(by)
        form, status = AdoptForm(request.POST), int(HTTPStatus.UNPROCESSABLE_ENTITY)
        adopted = _adopted(form, by) if form.is_valid() else None
        if adopted is not None:
            messages.success(request, f"{adopted.name} is in the care of {adopted.owner}.")
            return _to(adopted)
    here = reverse("ui:experiments")
    rows = Experiment.objects.visible_to(user).select_related("owner")
    page = page_of(rows, after=request.GET.get("after", ""), size=PER_PAGE, keys=("-created_at", "-pk"))
    context = {
        "rows": page.rows,
        "form": form,
        "may_adopt": administers,
        "older": f"{here}?{urlencode({'after': page.next})}" if page.next else "",
        "newer": here if request.GET.get("after") else "",
    }
    return render_page(request, "registry/experiment_list.html", context, status=status)


def _adopted(form: AdoptForm, by: Actor) -> Experiment | None:
    owner = User.objects.filter(username=form.cleaned_data["owner"], is_active=True).first()
    if owner is None:
        form.add_error("owner", "There is no such account.")
        return None
    try:
        there = services.look_up(form.cleaned_data["tracking_id"])
        return services.adopt_experiment(
            tracking_id=there.id, name=there.name, artifact_root=there.artifact_root, owner=owner, by=by
        )
    except Refusal as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return None


@signed_in
@never_cache
@require_safe
def detail(request: HttpRequest, tracking_id: str) -> HttpResponse:
    """One experiment: who may see it, and, for its owner and administrators, to change that."""
    experiment = _named(request, tracking_id)
    context = {
        "experiment": experiment,
        "grants": [(team, dict(ACCESS)[access]) for team, access in grants_of(experiment)],
        "manages": not why_not(check_can_manage_experiment, Actor.of(request), experiment),
        "form": GrantForm(),
    }
    return render_page(request, "registry/experiment_detail.html", context)


@signed_in
@require_POST
def restrict(request: HttpRequest, tracking_id: str) -> HttpResponse:
    """Close it, or open it."""
    experiment, wanted = _named(request, tracking_id), request.POST.get("restricted") == "yes"

    def act() -> str:
        services.set_restricted(experiment=experiment, restricted=wanted, by=Actor.of(request))
        return "It is restricted: only those named below see it." if wanted else "It is open: every role sees it."

    return _acted(request, experiment, act)


@signed_in
@require_POST
def grant(request: HttpRequest, tracking_id: str) -> HttpResponse:
    """Grant it to a team."""
    experiment, form = _named(request, tracking_id), GrantForm(request.POST)

    def act() -> str:
        if not form.is_valid():
            raise Refusal("Choose a team, and what it may do.", code="experiment.grant")
        team, access = form.cleaned_data["team"], form.cleaned_data["access"]
        services.grant_experiment(experiment=experiment, team=team, access=access, by=Actor.of(request))
        return f"{team.name} may {dict(ACCESS)[access].lower()}."

    return _acted(request, experiment, act)


@signed_in
@require_POST
def revoke(request: HttpRequest, tracking_id: str, team: int) -> HttpResponse:
    """Take it from a team."""
    experiment = _named(request, tracking_id)
    found = Group.objects.filter(pk=team).first()
    if found is None:
        raise Http404

    def act() -> str:
        services.revoke_experiment(experiment=experiment, team=found, by=Actor.of(request))
        return f"{found.name} may not see it any more, unless by a role."

    return _acted(request, experiment, act)


def _acted(request: HttpRequest, experiment: Experiment, act: Callable[[], str]) -> HttpResponse:
    """Do it, and say on the experiment's page what was done or why not."""
    try:
        messages.success(request, act())
    except Refusal as refusal:
        messages.error(request, str(refusal))
    return _to(experiment)


def _to(experiment: Experiment) -> HttpResponseRedirect:
    address = reverse("ui:experiment", args=[experiment.tracking_id])
    return HttpResponseRedirect(address, status=HTTPStatus.SEE_OTHER)


def _person(request: HttpRequest) -> User:
    user = request.user
    if not isinstance(user, User):
        raise Http404
    return user


def _named(request: HttpRequest, tracking_id: str) -> Experiment:
    rows = Experiment.objects.visible_to(_person(request)).select_related("owner")
    found = rows.filter(tracking_id=tracking_id).first()
    if found is None:
        raise Http404
    return found
