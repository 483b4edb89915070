"""Django's admin for people, teams, roles and tokens. It shows and asks; the services of access write and log."""

# ruff: noqa: ANN401 - the signatures are Django's

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from audit.actors import Actor
from config.errors import Refusal
from registry.models import ApiToken, RegisteredModel, RoleGrant, User
from registry.roles import LABELS
from registry.services import access

if TYPE_CHECKING:  # generic for type checkers alone
    AnyAdmin = admin.ModelAdmin[Any]
    AnyForm = forms.ModelForm[Any]
else:
    AnyAdmin = admin.ModelAdmin
    AnyForm = forms.ModelForm


class ByServices(AnyAdmin):
    """What every page here has in common: administrators only, a refusal becomes a message, nothing is deleted."""

    actions = None
    save_as = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        """See the site's ``has_permission``."""
        return self.admin_site.has_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As above."""
        return self.admin_site.has_permission(request)

    has_add_permission = has_module_permission
    has_change_permission = has_view_permission

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What was here stays visible: accounts are deactivated, tokens revoked."""
        return False

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A service's refusal becomes a message above the form; its transaction was rolled back."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except Refusal as refusal:
            messages.error(request, str(refusal))
            return HttpResponseRedirect(request.get_full_path())

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:  # type: ignore[override]
        """The ledger is the log; Django's own table of admin actions stays empty."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:  # type: ignore[override]
        """As above."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:  # type: ignore[override]
        """As above."""


class UserForm(AnyForm):
    """An account, with a new password if one is given."""

    password_new = forms.CharField(
        required=False, widget=forms.PasswordInput(render_value=False), label="New password", strip=False
    )

    class Meta:
        model = User
        fields = ["username", "display_name", "email", "is_active", "is_staff", "is_superuser", "is_service"]


class UserAdmin(ByServices):
    """People and service accounts."""

    form = UserForm
    list_display = ["username", "display_name", "is_active", "is_staff", "is_service", "last_login"]
    list_filter = ["is_active", "is_staff", "is_service", "groups"]
    search_fields = ["username", "display_name"]
    ordering = ["username"]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """A name and the kind of an account are for good: the ledger knows it by them."""
        return ["username", "is_service"] if obj else []

    def save_model(self, request: HttpRequest, obj: User, form: AnyForm, change: bool) -> None:  # noqa: FBT001
        """Through the service."""
        given = form.cleaned_data
        password = given.get("password_new") or None
        fields = ["display_name", "email", "is_staff", "is_superuser"]
        common = {field: given[field] for field in fields}
        by = Actor.of(request)
        if change:
            access.update_user(user=obj, by=by, is_active=given["is_active"], password=password, **common)
            return
        user = access.create_user(
            username=given["username"], password=password, is_service=given["is_service"], by=by, **common
        )
        obj.pk = user.pk
        obj._state.adding = False


class TeamForm(AnyForm):
    """A team and who is in it."""

    members = forms.ModelMultipleChoiceField(queryset=User.objects.order_by("username"), required=False)

    class Meta:
        model = Group
        fields = ["name"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["members"].initial = self.instance.user_set.all()


class TeamAdmin(ByServices):
    """Teams. Raw permissions are not offered: roles carry them."""

    form = TeamForm
    search_fields = ["name"]
    ordering = ["name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Group | None = None) -> list[str]:
        """A team keeps its name."""
        return ["name"] if obj else []

    def save_model(self, request: HttpRequest, obj: Group, form: AnyForm, change: bool) -> None:  # noqa: FBT001
        """Through the services: create, then add and remove members."""
        by = Actor.of(request)
        team = Group.objects.get(pk=obj.pk) if change else access.create_team(name=form.cleaned_data["name"], by=by)
        obj.pk = team.pk
        obj._state.adding = False
        wanted = set(form.cleaned_data["members"])
        present = set(team.user_set.all())
        for user in sorted(wanted - present, key=lambda one: one.username):
            access.add_member(team=team, user=user, by=by)
        for user in sorted(present - wanted, key=lambda one: one.username):
            access.remove_member(team=team, user=user, by=by)


class RoleForm(AnyForm):
    """A role for a team, on one model or on every model."""

    role = forms.ChoiceField(choices=[(role.value, label) for role, label in LABELS.items()])
    model = forms.ModelChoiceField(
        queryset=RegisteredModel.objects.alive().order_by("name"), required=False, empty_label="every model"
    )

    class Meta:
        model = RoleGrant
        fields = ["team", "role", "model"]


class RoleAdmin(ByServices):
    """Roles. They are granted and revoked, never edited."""

    form = RoleForm
    list_display = ["team", "role", "model", "granted_by", "granted_at"]
    list_filter = ["role", "team"]
    list_select_related = ["team", "model", "granted_by"]

    def has_change_permission(self, request: HttpRequest, obj: RoleGrant | None = None) -> bool:
        """Grant anew instead."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: RoleGrant | None = None) -> bool:
        """Deleting revokes."""
        return self.admin_site.has_permission(request)

    def save_model(self, request: HttpRequest, obj: RoleGrant, form: AnyForm, change: bool) -> None:  # noqa: FBT001
        """Through the service."""
        given = form.cleaned_data
        grant = access.grant_role(team=given["team"], role=given["role"], model=given["model"], by=Actor.of(request))
        obj.pk = grant.pk
        obj._state.adding = False

    def delete_model(self, request: HttpRequest, obj: RoleGrant) -> None:
        """Revoke through the service."""
        access.revoke_role(grant=obj, by=Actor.of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[RoleGrant]) -> None:
        """One by one."""
        for grant in queryset:
            access.revoke_role(grant=grant, by=Actor.of(request))


class TokenForm(AnyForm):
    """A token for an account: service accounts have no page of their own to make one."""

    days = forms.IntegerField(min_value=1, max_value=365, initial=90)

    class Meta:
        model = ApiToken
        fields = ["user", "name", "scope"]


class TokenAdmin(ByServices):
    """Tokens: made (the secret is shown once), looked at, revoked; never edited."""

    form = TokenForm
    list_display = ["name", "user", "prefix", "scope", "expires_at", "last_used_at", "revoked_at"]
    list_filter = ["scope"]
    search_fields = ["name", "prefix", "user__username"]
    list_select_related = ["user"]
    actions = ["revoke"]  # type: ignore[assignment]

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """On the list only, for the action that revokes."""
        return obj is None and self.admin_site.has_permission(request)

    def save_model(self, request: HttpRequest, obj: ApiToken, form: AnyForm, change: bool) -> None:  # noqa: FBT001
        """Through the service; the secret stands in a message and nowhere else."""
        token, secret = access.issue_token(by=Actor.of(request), **form.cleaned_data)
        obj.pk = token.pk
        obj._state.adding = False
        messages.success(request, f"Copy it now, it is shown once: {secret}")

    @admin.action(description="Revoke the chosen tokens")
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """Through the service."""
        for token in queryset:
            access.revoke_token(token=token, by=Actor.of(request))
        messages.success(request, "Revoked.")


admin.site.register(User, UserAdmin)
admin.site.unregister(Group)
admin.site.register(Group, TeamAdmin)
admin.site.register(RoleGrant, RoleAdmin)
admin.site.register(ApiToken, TokenAdmin)
