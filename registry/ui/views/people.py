"""People: the accounts there are, and the erasure of one. For administrators."""

from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from audit import personal
from audit.actors import Actor
from config.errors import NotFound, Refusal
from config.pages import render_page, signed_in
from config.pagination import page_of
from registry.guards import check_can_administer, why_not
from registry.models import User
from registry.services import access

PER_PAGE: Final = 50


class EraseForm(forms.Form):
    """Why, and the name once more, so that nobody is erased by a slip."""

    username = forms.CharField(
        max_length=150,
        label="User name",
        help_text="Write it once more.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    reason = forms.CharField(
        max_length=2000,
        label="Reason",
        help_text="The log keeps it, so it must not name the person: write the number of the case.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )


@signed_in
@never_cache
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Every account, by name."""
    check_can_administer(Actor.of(request))
    asked = request.GET.get("q", "").strip()[:150].replace("\x00", "")
    rows = User.objects.all()
    if asked:
        rows = rows.filter(Q(username__icontains=asked) | Q(display_name__icontains=asked))
    page = page_of(rows, after=request.GET.get("after", ""), size=PER_PAGE, keys=("username", "pk"))
    erased = personal.erased_among(personal.subject_of(user.pk) for user in page.rows)
    kept = {"q": asked} if asked else {}
    context = {
        "rows": [(user, personal.subject_of(user.pk) in erased) for user in page.rows],
        "asked": asked,
        "older": f"{request.path}?{urlencode({**kept, 'after': page.next})}" if page.next else "",
        "newer": f"{request.path}?{urlencode(kept)}" if request.GET.get("after") else "",
    }
    return render_page(request, "registry/people.html", context)


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def erase(request: HttpRequest, pk: int) -> HttpResponse:
    """What stands against erasing a person, and, if nothing does, the form that does it."""
    by = Actor.of(request)
    check_can_administer(by)
    user = User.objects.filter(pk=pk).first()
    if user is None:
        raise NotFound("There is no such account.", code="user.unknown")
    form, status = EraseForm(), int(HTTPStatus.OK)
    if request.method == "POST":
        form, status = EraseForm(request.POST), int(HTTPStatus.UNPROCESSABLE_ENTITY)
        if form.is_valid() and form.cleaned_data["username"] != user.username:
            form.add_error("username", "This is not the user name of this account.")
        if form.is_valid():
            try:
                done = access.erase_person(user=user, reason=form.cleaned_data["reason"], by=by)
            except Refusal as refusal:
                form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
                status = int(refusal.status)
            else:
                messages.success(
                    request,
                    f"Erased. {done.commitments} sealed values can never be opened again. {' '.join(done.kept)}",
                )
                return HttpResponseRedirect(reverse("ui:people"), status=HTTPStatus.SEE_OTHER)
    context = {
        "person": user,
        "form": form,
        "erased": personal.is_erased(personal.subject_of(user.pk)),
        "needs": access.needs_of(user),
        "why_not": why_not(access.check_can_erase, by, user),
    }
    return render_page(request, "registry/person_erase.html", context, status=status)
