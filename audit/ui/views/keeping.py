"""How long the log keeps what, and what is on hold: shown to auditors and administrators, changed by administrators."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from audit import keeping, personal
from audit.actors import Actor
from audit.retention import DEFAULT_DAYS, LegalHold, RetentionRule
from audit.ui.views.access import PERMISSION, check_auditor
from config.errors import Refusal
from config.pages import render_page, signed_in

SHOWN: Final = 200


class HoldForm(forms.Form):
    """A legal hold."""

    of = forms.ChoiceField(choices=LegalHold.Of.choices, label="Keep")
    object_type = forms.CharField(
        max_length=100, required=False, label="Kind of object", help_text="Such as registry.modelversion."
    )
    object_id = forms.CharField(
        max_length=255, required=False, label="Which", help_text="Its id in the log; a person as user:7."
    )
    since = forms.DateTimeField(
        required=False, label="From, UTC", widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    until = forms.DateTimeField(
        required=False, label="To, UTC", widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    reason = forms.CharField(max_length=2000, label="Reason", widget=forms.Textarea(attrs={"rows": 2}))


class RuleForm(forms.Form):
    """A rule of retention."""

    of = forms.ChoiceField(choices=RetentionRule.Of.choices, label="Entries by")
    beginning = forms.CharField(max_length=100, label="Beginning", help_text="Such as check. or registry.apitoken.")
    days = forms.IntegerField(min_value=0, max_value=36525, label="Days", help_text="0 is for ever.")
    basis = forms.CharField(max_length=400, label="Basis", help_text="The rule of law or of the house.")


class ReleaseForm(forms.Form):
    """The end of a hold."""

    reason = forms.CharField(max_length=2000, label="Why it ends", widget=forms.Textarea(attrs={"rows": 2}))


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """Holds and rules; a POST sets one of either."""
    by = Actor.of(request)
    may_keep = bool(request.user.has_perm(keeping.PERMISSION))
    if not may_keep and not request.user.has_perm(PERMISSION):
        check_auditor(request)
    hold, rule, status = HoldForm(), RuleForm(), int(HTTPStatus.OK)
    if request.method == "POST":
        status = int(HTTPStatus.UNPROCESSABLE_ENTITY)
        if "days" in request.POST:
            rule = RuleForm(request.POST)
            done = _try(rule, lambda: _set_rule(rule, by))
        else:
            hold = HoldForm(request.POST)
            done = _try(hold, lambda: keeping.set_hold(by=by, **hold.cleaned_data))
        if done == HTTPStatus.OK:
            messages.success(request, "Done; the log says so.")
            return HttpResponseRedirect(reverse("ui:audit-keeping"), status=HTTPStatus.SEE_OTHER)
        status = done
    return _page(request, hold, rule, may_keep=may_keep, status=status)


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def release(request: HttpRequest, pk: int) -> HttpResponse:
    """Release a hold: a form of its own, because it is for good."""
    by = Actor.of(request)
    keeping.check_can_keep(by)
    hold = keeping.hold(pk)
    form, status = ReleaseForm(), int(HTTPStatus.OK)
    if request.method == "POST":
        form = ReleaseForm(request.POST)
        status = _try(form, lambda: keeping.release_hold(hold_id=pk, by=by, **form.cleaned_data))
        if status == HTTPStatus.OK:
            messages.success(request, f"Hold {pk} is released.")
            return HttpResponseRedirect(reverse("ui:audit-keeping"), status=HTTPStatus.SEE_OTHER)
    return render_page(request, "audit/release.html", {"section": "audit", "hold": hold, "form": form}, status=status)


@signed_in
@never_cache
@require_POST
def drop_rule(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a rule away."""
    keeping.drop_rule(rule_id=pk, by=Actor.of(request))
    return HttpResponseRedirect(reverse("ui:audit-keeping"), status=HTTPStatus.SEE_OTHER)


def _set_rule(form: RuleForm, by: Actor) -> None:
    given = form.cleaned_data
    keeping.set_rule(of=given["of"], prefix=given["beginning"], days=given["days"], basis=given["basis"], by=by)


def _try(form: forms.Form, act: Callable[[], object]) -> int:
    """Do it if the form is whole; put a refusal where it belongs. The status of the answer."""
    if not form.is_valid():
        return int(HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        act()
    except Refusal as refusal:
        field = {"prefix": "beginning"}.get(refusal.field, refusal.field)
        form.add_error(field if field in form.fields else None, str(refusal))
        return int(refusal.status)
    return int(HTTPStatus.OK)


def _page(request: HttpRequest, hold: HoldForm, rule: RuleForm, *, may_keep: bool, status: int) -> HttpResponse:
    holds = list(LegalHold.objects.all()[:SHOWN])
    called = personal.names({one.set_by for one in holds} | {one.object_id for one in holds if one.of == "person"})
    context: dict[str, Any] = {
        "section": "audit",
        "holds": [(one, called[one.set_by], called.get(one.object_id, "")) for one in holds if not one.released_at],
        "released": [(one, called[one.set_by]) for one in holds if one.released_at],
        "rules": RetentionRule.objects.all()[:SHOWN],
        "default": DEFAULT_DAYS,
        "may_keep": may_keep,
        "hold_form": hold,
        "rule_form": rule,
        "now": timezone.now(),
    }
    return render_page(request, "audit/keeping.html", context, status=status)
