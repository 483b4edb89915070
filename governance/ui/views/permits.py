"""A permit: what it allows, until when, and its early end."""

import json
from base64 import b64decode
from binascii import Error
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from audit.actors import Actor
from config.errors import NotFound, Refusal
from config.pages import render_page, signed_in
from governance import guards
from governance.models import Permit
from governance.services import permits
from governance.ui.forms import RevokeForm, show
from governance.ui.screen import person
from governance.ui.words import OUTCOME_WORDS, PERMIT_MARKS, role_words, target_words
from registry.models import RegisteredModel

ENVELOPE = "application/vnd.in-toto+json"


def _found(request: HttpRequest, pk: UUID) -> Permit:
    models = RegisteredModel.objects.visible_to(person(request)).values("pk")
    rows = Permit.objects.filter(model__in=models).select_related(
        "request__policy_version__policy", "model", "version", "superseded_by__request"
    )
    found = rows.filter(pk=pk).first()
    if found is None:
        raise NotFound("There is no such permit, or you may not see it.", code="permit.unknown")
    return found


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """State, scope and approvals. A POST revokes it."""
    found = _found(request, pk)
    form, status = RevokeForm(), HTTPStatus.OK
    if request.method == "POST":
        form, status = RevokeForm(request.POST), HTTPStatus.UNPROCESSABLE_ENTITY
        if form.is_valid():
            try:
                permits.revoke(permit=found, reason=form.cleaned_data["reason"], by=Actor.of(request))
            except Refusal as refusal:
                show(form, refusal)
                status = refusal.status
            else:
                messages.success(
                    request, f"The permit is revoked. {target_words(found.target)} no longer names this version."
                )
                return HttpResponseRedirect(reverse("ui:permit", args=[found.pk]), status=HTTPStatus.SEE_OTHER)
    statement = _statement(found.envelope)
    context = {
        "section": "models",
        "permit": found,
        "mark": PERMIT_MARKS[found.state],
        "target": target_words(found.target),
        "statement": statement,
        "approvals": [
            {**one, "role": role_words(one["role"]), "outcome": OUTCOME_WORDS[one["outcome"]]}
            for one in statement["approvals"]
        ],
        "form": form,
        "why_not": guards.why_not(guards.check_can_revoke, Actor.of(request), found),
    }
    return render_page(request, "governance/permit.html", context, status=status)


@signed_in
@require_safe
def envelope(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The permit as it was signed: an in-toto Statement in a DSSE envelope."""
    found = _found(request, pk)
    name = f'attachment; filename="permit-{found.pk}.dsse.json"'
    return HttpResponse(found.envelope, content_type=ENVELOPE, headers={"Content-Disposition": name})


def _statement(text: str) -> dict[str, Any]:
    """The predicate of the signed statement, for reading. Raises ``ValueError`` for an envelope that is none."""
    try:
        parsed = json.loads(b64decode(json.loads(text)["payload"]))
    except (Error, KeyError) as error:
        raise ValueError("the stored envelope of a permit is no DSSE envelope") from error
    predicate: dict[str, Any] = parsed["predicate"]
    return predicate
