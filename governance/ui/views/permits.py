"""A permit: what it allows, until when, what proves it, and its pause or early end."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audit.actors import Actor
from config.errors import NotFound, Refusal
from config.pages import render_page, signed_in
from governance import guards
from governance.models import Decision, Permit, TrustRoot
from governance.permits.statement import OPENSSF_NAME
from governance.selectors import permits as published
from governance.services import permits
from governance.standing import display_name
from governance.ui.forms import ResumeForm, RevokeForm, SuspendForm, show
from governance.ui.screen import person
from governance.ui.words import OUTCOME_WORDS, PERMIT_MARKS, role_words, target_words
from registry.models import RegisteredModel

ENVELOPE: Final = "application/vnd.in-toto+json"
FILE: Final = "application/vnd.countersign.permit+json"


def _found(request: HttpRequest, pk: UUID) -> Permit:
    models = RegisteredModel.objects.visible_to(person(request)).values("pk")
    rows = Permit.objects.filter(model__in=models).select_related(
        "request__policy_version__policy", "request__requested_by", "model", "version", "superseded_by__request"
    )
    found = rows.filter(pk=pk).first()
    if found is None:
        raise NotFound("There is no such permit, or you may not see it.", code="permit.unknown")
    return found


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """State, scope, approvals and proof. A POST revokes it."""
    found = _found(request, pk)
    if request.method != "POST":
        return _page(request, found)
    done = f"The permit is revoked. {target_words(found.target)} no longer names this version."
    return _act(request, found, RevokeForm(request.POST), permits.revoke, done)


@signed_in
@require_POST
def suspend(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Take it out of force for a while."""
    found = _found(request, pk)
    done = f"The permit is suspended. {target_words(found.target)} names nothing until it is resumed."
    return _act(request, found, SuspendForm(request.POST), permits.suspend, done)


@signed_in
@require_POST
def resume(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Put it in force again."""
    found = _found(request, pk)
    done = f"The permit is in force again. {target_words(found.target)} names {found.version}."
    return _act(request, found, ResumeForm(request.POST), permits.resume, done)


def _act(request: HttpRequest, found: Permit, form: RevokeForm, verb: Callable[..., Permit], done: str) -> HttpResponse:
    """Do it and come back, or show the page with what stood against it."""
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    if form.is_valid():
        try:
            verb(permit=found, reason=form.cleaned_data["reason"], by=Actor.of(request))
        except Refusal as refusal:
            show(form, refusal)
            status = refusal.status
        else:
            messages.success(request, done)
            return HttpResponseRedirect(reverse("ui:permit", args=[found.pk]), status=HTTPStatus.SEE_OTHER)
    return _page(request, _found(request, found.pk), form, status)


def _page(
    request: HttpRequest, found: Permit, given: RevokeForm | None = None, status: int = HTTPStatus.OK
) -> HttpResponse:
    by, statement = Actor.of(request), published.statement_of(found)
    predicate = statement["predicate"]
    forms = {kind.name: given if isinstance(given, kind) else kind() for kind in (RevokeForm, SuspendForm, ResumeForm)}
    context = {
        "section": "models",
        "permit": found,
        "mark": PERMIT_MARKS[found.state],
        "target": target_words(found.target),
        "statement": predicate,
        "approvals": _approvals(found, predicate),
        "openssf": next((one for one in statement["subject"] if one["name"] == OPENSSF_NAME), None),
        "files": sum(str(one["name"]).startswith("file:") for one in statement["subject"]),
        "proof": _proof(found),
        "forms": forms,
        "why_not": guards.why_not(guards.check_can_revoke, by, found),
        "why_not_suspend": guards.why_not(guards.check_can_suspend, by, found),
        "why_not_resume": guards.why_not(lambda: guards.check_can_resume(by, found, at=timezone.now())),
    }
    return render_page(request, "governance/permit.html", context, status=status)


def _approvals(found: Permit, predicate: dict[str, Any]) -> list[dict[str, Any]]:
    """Who signed, in the order of the statement; names come from the accounts, because a permit names none."""
    people = {
        one.record_digest: display_name(one.person)
        for one in Decision.objects.filter(request=found.request_id).select_related("person")
    }
    return [
        {
            **one,
            "name": people.get(one["record_digest"], one["person"]),
            "role": role_words(one["role"]),
            "outcome": OUTCOME_WORDS[one["outcome"]],
        }
        for one in predicate["approvals"]
    ]


def _proof(found: Permit) -> dict[str, Any]:
    """What of the proof there is: the signers' keys, the entry, the list that says what the permit is now."""
    listed = published.newest_list()
    return {
        "keys": published.signers_of(found.envelope),
        "entry": published.issuing_entry(found),
        "list": listed,
        "stale": listed is None or listed.valid_until is None or listed.valid_until <= timezone.now(),
        "root": TrustRoot.objects.order_by("-version").defer("envelope").first(),
    }


@signed_in
@require_safe
def envelope(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The permit as it was signed: an in-toto Statement in a DSSE envelope."""
    found = _found(request, pk)
    name = f'attachment; filename="permit-{found.pk}.dsse.json"'
    return HttpResponse(found.envelope, content_type=ENVELOPE, headers={"Content-Disposition": name})


@signed_in
@require_safe
def file(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The permit with everything that proves it, for ``countersign permit verify``."""
    found = _found(request, pk)
    name = f'attachment; filename="{found.pk}.permit.json"'
    return HttpResponse(published.permit_file(found), content_type=FILE, headers={"Content-Disposition": name})
