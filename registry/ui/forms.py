"""Forms of the registry's pages: they read input, the services decide."""

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError

from config.errors import TooMany
from registry.models import ApiToken, RegisteredModel
from registry.services import access


class SignInForm(AuthenticationForm):
    """Django's form, which does not look at the password while the account is locked. The view records each try."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "This user name and password do not belong together. Both are case-sensitive.",
    }

    def clean(self) -> dict[str, Any]:
        """Refuse a locked account (code ``locked``), else compare the password."""
        try:
            access.check_may_try_sign_in(username=self.cleaned_data.get("username", ""))
        except TooMany as refusal:
            raise ValidationError(str(refusal), code="locked") from refusal
        return super().clean()


class PasswordForm(forms.Form):
    """One's own password."""

    old = forms.CharField(
        label="Present password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    new = forms.CharField(
        label="New password",
        strip=False,
        help_text="At least 12 characters, and none of the common ones.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class TokenForm(forms.Form):
    """A new API token."""

    name = forms.CharField(max_length=80, label="What it is for", help_text="For example: training cluster, CI.")
    days = forms.IntegerField(min_value=1, max_value=365, initial=90, label="Valid for days")
    scope = forms.ChoiceField(choices=ApiToken.Scope.choices, initial=ApiToken.Scope.WRITE, label="It may")


class CardForm(forms.Form):
    """What a model is for: the first fields of its card, tier and use case."""

    use_case = forms.CharField(max_length=400, required=False, label="Use case")
    tier = forms.TypedChoiceField(
        choices=RegisteredModel.Tier.choices, coerce=int, label="Risk tier", help_text="Not assessed counts as tier 1."
    )
    intended_use = forms.CharField(
        required=False, max_length=4000, widget=forms.Textarea(attrs={"rows": 3}), label="Intended use"
    )
    limitations = forms.CharField(
        required=False, max_length=4000, widget=forms.Textarea(attrs={"rows": 3}), label="Limitations"
    )
    affected_groups = forms.CharField(
        required=False, max_length=4000, widget=forms.Textarea(attrs={"rows": 2}), label="People affected"
    )
    monitoring_plan = forms.CharField(
        required=False, max_length=4000, widget=forms.Textarea(attrs={"rows": 2}), label="Monitoring plan"
    )
    revision = forms.IntegerField(widget=forms.HiddenInput)

    CARD_FIELDS = ("intended_use", "limitations", "affected_groups", "monitoring_plan")

    def clean(self) -> dict[str, Any]:
        """Say aloud what is wrong with the field nobody sees."""
        if "revision" not in self.cleaned_data:
            self.add_error(None, "This form does not say which state of the model it changes. Reload the page.")
        return self.cleaned_data

    def card(self) -> dict[str, str]:
        """The card fields that were filled in."""
        return {key: self.cleaned_data[key].strip() for key in self.CARD_FIELDS if self.cleaned_data[key].strip()}
