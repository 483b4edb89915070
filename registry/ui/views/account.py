"""Sign-in, the account page with its API tokens, and the first-run page."""

from http import HTTPStatus
from typing import Final

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import NON_FIELD_ERRORS
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audit.actors import Actor
from audit.selectors import head
from config.errors import Refusal
from config.pages import render_page, signed_in
from registry.models import ApiToken, RegisteredModel, User
from registry.selectors.access import roles_of
from registry.services import access
from registry.ui.forms import PasswordForm, SignInForm, TokenForm
from registry.ui.views.catalog import person

STOP_POLLING: Final = 286  # htmx ends an ``every`` trigger at this status
TOKENS_SHOWN: Final = 100


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Who I am, what I may do, my tokens. A POST makes a token, whose secret is shown in this answer alone."""
    user = person(request)
    form, secret, status = TokenForm(), "", int(HTTPStatus.OK)
    if request.method == "POST":
        form, status = TokenForm(request.POST), int(HTTPStatus.UNPROCESSABLE_ENTITY)
        if form.is_valid():
            try:
                _, secret = access.issue_token(user=user, by=Actor.of(request), **form.cleaned_data)
                form, status = TokenForm(), int(HTTPStatus.CREATED)
            except Refusal as refusal:
                form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
                status = int(refusal.status)
    context = {**_about(user), "form": form, "password_form": PasswordForm(prefix="password"), "secret": secret}
    return render_page(request, "registry/account.html", context, partial="tokens", status=status)


def _about(user: User) -> dict[str, object]:
    return {
        "section": "account",
        "roles": roles_of(user),
        "teams": user.groups.order_by("name"),
        "tokens": user.tokens.all()[:TOKENS_SHOWN],
    }


@signed_in
@never_cache
@require_POST
def password_change(request: HttpRequest) -> HttpResponse:
    """Give myself another password; this session goes on, the others end."""
    form, status = PasswordForm(request.POST, prefix="password"), int(HTTPStatus.UNPROCESSABLE_ENTITY)
    if form.is_valid():
        try:
            user = access.change_password(**form.cleaned_data, by=Actor.of(request))
        except Refusal as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
            status = int(refusal.status)
        else:
            update_session_auth_hash(request, user)
            messages.success(request, "Your password is changed. Sessions elsewhere have ended.")
            return HttpResponseRedirect(reverse("ui:account"), status=HTTPStatus.SEE_OTHER)
    context = {**_about(person(request)), "form": TokenForm(), "password_form": form}
    return render_page(request, "registry/account.html", context, partial="password", status=status)


@signed_in
@require_POST
def token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Revoke one of my tokens; it stays in the list, marked."""
    token = get_object_or_404(ApiToken, pk=pk, user=person(request))
    access.revoke_token(token=token, by=Actor.of(request))
    messages.success(request, f"The token {token.name} is revoked. Whoever uses it is refused from now on.")
    return HttpResponseRedirect(reverse("ui:account"), status=HTTPStatus.SEE_OTHER)


@signed_in
@require_safe
def first_run(request: HttpRequest) -> HttpResponse:
    """How a model gets here: four lines of MLflow. While the register is empty, it waits for the first one."""
    arrived = RegisteredModel.objects.alive().visible_to(person(request)).order_by("-created_at").first()
    context = {"section": "models", "arrived": arrived, "head": head()}
    response = render_page(request, "registry/first_run.html", context, partial="arrival")
    if arrived is not None and getattr(request, "htmx", False):
        response.status_code = STOP_POLLING
    return response


class SignIn(LoginView):
    """The sign-in page: each try is in the ledger, and too many lock the account for a while."""

    template_name = "registration/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Sign in and record it."""
        response = super().form_valid(form)
        access.record_sign_in(user=person(self.request), by=Actor.of(self.request))
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Record a wrong password; 422 with the reason, 429 while the account is locked."""
        if form.has_error(NON_FIELD_ERRORS, "locked"):
            status = HTTPStatus.TOO_MANY_REQUESTS
        else:
            status = HTTPStatus.UNPROCESSABLE_ENTITY
            if form.has_error(NON_FIELD_ERRORS):
                access.record_failed_sign_in(username=form.data.get("username", ""), by=Actor.of(self.request))
        return self.render_to_response(self.get_context_data(form=form), status=status)

    def get_redirect_url(self, request: HttpRequest | None = None) -> str:
        """Where ``next`` leads; nowhere, if that is this page again."""
        found = str(super().get_redirect_url())
        return "" if found.partition("?")[0] == self.request.path else found

    def get_context_data(self, **kwargs: object) -> dict[str, object]:
        """Add the log's latest checkpoint, from which the figure is drawn."""
        latest = head()
        checkpoint = {"root": bytes(latest.root).hex(), "size": latest.size, "at": latest.at} if latest else None
        return super().get_context_data(**kwargs, checkpoint=checkpoint)
