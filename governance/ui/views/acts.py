"""What people do on the decision screen: sign, comment, withdraw, run again, waive, take the evidence away."""

import tempfile
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audit.actors import Actor
from config.errors import Conflict, Invalid, NotFound, Refusal, TooMany
from config.pages import render_page, signed_in
from governance.models import Decision, PromotionRequest, Waiver
from governance.screens import decision_screen
from governance.selectors.requests import request_of
from governance.services import evidence, promotions, reviews, waivers
from governance.ui.forms import CommentForm, SignForm, WaiverSignForm, WithdrawForm, show
from governance.ui.screen import context_of, person, waiver_form
from governance.ui.views.requests import TEMPLATE, detail
from governance.ui.words import OUTCOME_WORDS

SPOOLED_IN_MEMORY: Final = 8 * 2**20
CHANGED: Final = "signed, checks-changed"


def _back(request: HttpRequest, found: PromotionRequest, words: str, anchor: str = "") -> HttpResponse:
    """The answer to a browser without htmx: the page again, saying what was done."""
    messages.success(request, words)
    return HttpResponseRedirect(f"{reverse('ui:request', args=[found.ref])}{anchor}", status=HTTPStatus.SEE_OTHER)


def _again(
    request: HttpRequest, found: PromotionRequest, partial: str, status: int, given: dict[str, Any] | None = None
) -> HttpResponse:
    """The page or its region as it is now, with a form that could not be accepted."""
    fresh = request_of(person(request), found.ref)
    return render_page(request, TEMPLATE, context_of(request, fresh, given), partial=partial, status=status)


def _status(refusal: Refusal) -> int:
    """What htmx swaps in: a wrong password is an error of the form, a lock-out is 423."""
    if isinstance(refusal, TooMany):
        return HTTPStatus.LOCKED
    return HTTPStatus.UNPROCESSABLE_ENTITY if refusal.field else refusal.status


@signed_in
@never_cache
@sensitive_post_parameters("secret")
@require_http_methods(["GET", "HEAD", "POST"])
def sign(request: HttpRequest, ref: str) -> HttpResponseBase:
    """Sign a decision. Whatever goes wrong, nothing is signed, and what was written is kept, but for the password."""
    if request.method != "POST":
        return detail(request, ref)
    found = request_of(person(request), ref)
    form = SignForm(request.POST, outcomes=Decision.Outcome.values)
    given: dict[str, Any] = {}
    status: int = HTTPStatus.UNPROCESSABLE_ENTITY
    if form.is_valid():
        try:
            decision = _sign(found, form.cleaned_data, Actor.of(request))
        except Refusal as refusal:
            status = _status(refusal)
            if isinstance(refusal, Conflict):
                given["conflict"] = str(refusal)
            else:
                show(form, refusal)
        else:
            return _signed(request, found, decision)
    given["sign_form"] = _kept(form, found, Actor.of(request))
    given["sign_form_errors"] = [error for errors in form.errors.values() for error in errors]
    return _again(request, found, "sign", status, given)


def _sign(found: PromotionRequest, data: dict[str, Any], by: Actor) -> Decision:
    return reviews.sign(
        request_id=found.pk,
        outcome=data["decision"],
        meaning=data["meaning"],
        comment=data["comment"],
        # The field is only shown for an approval with conditions; what was typed before a change of mind is not sent on.
        conditions=data["conditions"] if data["decision"] == Decision.Outcome.CONDITIONS else "",
        password=data["secret"],
        challenge_id=data["challenge"],
        evidence_digest=data["evidence_digest"],
        by=by,
    )


def _signed(request: HttpRequest, found: PromotionRequest, decision: Decision) -> HttpResponse:
    words = f"You {OUTCOME_WORDS[decision.outcome]} {found.ref}. Your signature is in the log."
    if not getattr(request, "htmx", False):
        return _back(request, found, words, "#sign")
    response = _again(request, found, "sign", HTTPStatus.OK)
    response["HX-Trigger"] = CHANGED
    return response


def _kept(form: SignForm, found: PromotionRequest, by: Actor) -> Callable[[], SignForm]:
    """The same form with a fresh nonce for the evidence as it is now, made only if the form is shown again."""

    def renewed() -> SignForm:
        fresh = PromotionRequest.objects.select_related("model", "policy_version").get(pk=found.pk)
        challenge = reviews.new_challenge(request=fresh, by=by)
        kept = {name: value for name, value in form.data.items() if name != "secret"}
        form.data = {**kept, "challenge": str(challenge.pk), "evidence_digest": fresh.evidence_digest}
        return form

    return cache(renewed)


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def comment(request: HttpRequest, ref: str) -> HttpResponseBase:
    """Say something in the thread."""
    if request.method != "POST":
        return detail(request, ref)
    found = request_of(person(request), ref)
    form = CommentForm(request.POST)
    status: int = HTTPStatus.UNPROCESSABLE_ENTITY
    if form.is_valid():
        try:
            promotions.comment(request=found, text=form.cleaned_data["text"], by=Actor.of(request))
        except Refusal as refusal:
            show(form, refusal)
            status = _status(refusal)
        else:
            if getattr(request, "htmx", False):
                return _again(request, found, "thread", HTTPStatus.OK)
            return _back(request, found, "Your comment is in the thread.", "#activity")
    return _again(request, found, "thread", status, {"comment_form": form})


@signed_in
@require_POST
def withdraw(request: HttpRequest, ref: str) -> HttpResponse:
    """Take the request back, for good."""
    found = request_of(person(request), ref)
    form = WithdrawForm(request.POST)
    if form.is_valid():
        try:
            promotions.withdraw(request=found, reason=form.cleaned_data["reason"], by=Actor.of(request))
        except Invalid as refusal:
            show(form, refusal)
        else:
            return _back(request, found, f"{found.ref} is withdrawn.")
    return _again(request, found, "", HTTPStatus.UNPROCESSABLE_ENTITY, {"withdraw_form": form})


@signed_in
@require_POST
def run_again(request: HttpRequest, ref: str) -> HttpResponse:
    """Begin a new round of checks."""
    found = request_of(person(request), ref)
    promotions.run_again(request=found, by=Actor.of(request))
    return _back(request, found, "A new round of checks has begun. Votes of the round before no longer count.")


@signed_in
@never_cache
@require_POST
def ask_waiver(request: HttpRequest, ref: str) -> HttpResponse:
    """Ask to let one check's result stand until a day."""
    found = request_of(person(request), ref)
    form = waiver_form(decision_screen(found, Actor.of(request)), request.POST)
    if form is None:
        raise Conflict("There is no check here that you may ask a waiver for.", code="waiver.none")
    status: int = HTTPStatus.UNPROCESSABLE_ENTITY
    if form.is_valid():
        data = form.cleaned_data
        try:
            waivers.ask(
                request=found,
                check_run_id=UUID(data["check"]),
                reason=data["reason"],
                until=data["until"],
                by=Actor.of(request),
            )
        except Refusal as refusal:
            show(form, refusal)
            status = _status(refusal)
        else:
            return _back(
                request,
                found,
                "The waiver is asked for. It counts when the people the policy names have signed it.",
                "#waiver",
            )
    return _again(request, found, "waivers", status, {"waiver_form": form})


@signed_in
@never_cache
@sensitive_post_parameters("secret")
@require_POST
def sign_waiver(request: HttpRequest, ref: str, pk: UUID) -> HttpResponse:
    """Agree to a waiver, with the password."""
    found = request_of(person(request), ref)
    waiver = Waiver.objects.filter(pk=pk, request=found).first()
    if waiver is None:
        raise NotFound("There is no such waiver, or you may not see it.", code="waiver.unknown")
    form = WaiverSignForm(request.POST, auto_id=f"id_waiver_{waiver.pk}_%s")
    status: int = HTTPStatus.UNPROCESSABLE_ENTITY
    if form.is_valid():
        try:
            waivers.sign(waiver_id=waiver.pk, password=form.cleaned_data["secret"], by=Actor.of(request))
        except Refusal as refusal:
            show(form, refusal)
            status = _status(refusal)
        else:
            return _back(request, found, "Your agreement to the waiver is in the log.", "#waiver")
    form.data = {}
    return _again(request, found, "waivers", status, {"waiver_refused": (waiver.pk, form)})


@signed_in
@never_cache
@require_safe
def bundle(request: HttpRequest, ref: str) -> FileResponse:
    """The evidence bundle. It is written aside first, so that what is sent is whole."""
    found = request_of(person(request), ref)
    out = tempfile.SpooledTemporaryFile(max_size=SPOOLED_IN_MEMORY)  # noqa: SIM115 - the response closes it
    try:
        evidence.export_bundle(request=found, by=Actor.of(request), out=out)
    except BaseException:
        out.close()
        raise
    out.seek(0)
    return FileResponse(out, as_attachment=True, filename=f"{found.ref}-evidence.zip", content_type="application/zip")
