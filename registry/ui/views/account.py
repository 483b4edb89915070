"""Sign-in, the account page with its API tokens, and the first-run page."""

from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audit.actors import Actor
from audit.selectors import head
from config.errors import Refusal
from config.pages import render_page
from registry.models import ApiToken, RegisteredModel
from registry.selectors.access import roles_of
from registry.services import access
from registry.ui.forms import SignInForm, TokenForm
from registry.ui.views.catalog import person


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Who I am, what I may do, my tokens. A POST makes a token, whose secret is shown in this answer alone."""
    user = person(request)
    form, secret, status = TokenForm(), "", HTTPStatus.OK
    if request.method == "POST":
        form, status = TokenForm(request.POST), HTTPStatus.UNPROCESSABLE_ENTITY
        if form.is_valid():
            try:
                _, secret = access.issue_token(user=user, by=Actor.of(request), **form.cleaned_data)
                form, status = TokenForm(), HTTPStatus.CREATED
            except Refusal as refusal:
                form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
                status = refusal.status
    context = {
        "section": "account",
        "roles": roles_of(user),
        "teams": user.groups.order_by("name"),
        "tokens": user.tokens.all()[:100],
        "form": form,
        "secret": secret,
    }
    return render_page(request, "registry/account.html", context, partial="tokens", status=status)


@login_required
@require_POST
def token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Revoke one of my tokens; it stays in the list, marked."""
    token = get_object_or_404(ApiToken, pk=pk, user=person(request))
    access.revoke_token(token=token, by=Actor.of(request))
    messages.success(request, f"The token {token.name} is revoked. Whoever uses it is refused from now on.")
    return HttpResponseRedirect(reverse("ui:account"), status=HTTPStatus.SEE_OTHER)


@login_required
@require_safe
def first_run(request: HttpRequest) -> HttpResponse:
    """The empty register: four lines that change that. Once a model is there, it leads to the inventory."""
    arrived = RegisteredModel.objects.alive().visible_to(person(request)).first()
    if arrived is not None and not getattr(request, "htmx", False):
        return redirect("ui:models")
    context = {"section": "models", "arrived": arrived, "head": head()}
    response = render_page(request, "registry/first_run.html", context, partial="arrival")
    if arrived is not None:
        response.status_code = 286  # htmx: stop polling
    return response


class SignIn(LoginView):
    """The sign-in page: each try is in the ledger, and too many lock the account for a while."""

    template_name = "registration/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Refuse a locked account before its password is even looked at."""
        try:
            access.check_may_try_sign_in(username=request.POST.get("username", ""))
        except Refusal as refusal:
            form = self.get_form()
            form.full_clean()
            form._errors = form.error_class()  # what was wrong with the password is no longer said
            form.add_error(None, str(refusal))
            return self.render_to_response(self.get_context_data(form=form), status=HTTPStatus.TOO_MANY_REQUESTS)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: SignInForm) -> HttpResponse:
        """Sign in and record it."""
        response = super().form_valid(form)
        access.record_sign_in(user=person(self.request), by=Actor.of(self.request))
        return response

    def form_invalid(self, form: SignInForm) -> HttpResponse:
        """Record the failure; 422 with the reason."""
        access.record_failed_sign_in(username=form.data.get("username", ""), by=Actor.of(self.request))
        return self.render_to_response(self.get_context_data(form=form), status=HTTPStatus.UNPROCESSABLE_ENTITY)

    def get_context_data(self, **kwargs: object) -> dict[str, object]:
        """Add the log's latest checkpoint, from which the figure is drawn."""
        latest = head()
        checkpoint = {"root": bytes(latest.root).hex(), "size": latest.size, "at": latest.at} if latest else None
        return super().get_context_data(**kwargs, checkpoint=checkpoint)
