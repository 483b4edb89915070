"""Forms of governance's pages: they read input, the services decide. A password is never shown again."""

from collections.abc import Iterable
from datetime import date, datetime, time
from typing import ClassVar

from django import forms
from django.utils import timezone

from config.errors import Refusal
from governance.models import Decision

LONGEST = 10_000
_FIELDS = {"password": "secret", "outcome": "decision", "check_run_id": "check"}


class SignForm(forms.Form):
    """One signature. The decision starts unpicked."""

    decision = forms.ChoiceField(widget=forms.RadioSelect, error_messages={"required": "Pick a decision."})
    meaning = forms.ChoiceField(choices=Decision.Meaning.choices, initial=Decision.Meaning.APPROVAL)
    comment = forms.CharField(required=False, max_length=LONGEST, widget=forms.Textarea(attrs={"rows": 2}))
    conditions = forms.CharField(required=False, max_length=LONGEST, widget=forms.Textarea(attrs={"rows": 2}))
    secret = forms.CharField(
        label="Password",
        max_length=4096,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={"required": "Write your password: signing asks for it each time."},
    )
    challenge = forms.UUIDField(widget=forms.HiddenInput)
    evidence_digest = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: object, outcomes: Iterable[str] = (), **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        offered = [choice for choice in Decision.Outcome.choices if choice[0] in set(outcomes)]
        self.fields["decision"].choices = offered  # type: ignore[attr-defined]


class CommentForm(forms.Form):
    """A remark in the thread."""

    text = forms.CharField(
        label="Ask or comment",
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "Ask about a section, for example §4"}),
        error_messages={"required": "Write something first."},
    )


class WithdrawForm(forms.Form):
    """The end of a request by the person who made it."""

    reason = forms.CharField(label="Why", required=False, max_length=LONGEST, widget=forms.Textarea(attrs={"rows": 2}))


class WaiverForm(forms.Form):
    """Which check, why, and until when."""

    check = forms.ChoiceField(label="Check", error_messages={"required": "Pick the check."})
    reason = forms.CharField(
        label="Reason",
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What fails, why going on is right, and what holds the risk until then. The permit names it.",
        error_messages={"required": "Write the reason."},
    )
    until = forms.DateField(
        label="Valid until",
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        error_messages={"required": "Choose the day on which it ends.", "invalid": "Write a day, such as 2026-06-10."},
    )

    def __init__(self, *args: object, checks: Iterable[tuple[str, str]] = (), **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["check"].choices = list(checks)  # type: ignore[attr-defined]

    def clean_until(self) -> datetime:
        """The end of the day named."""
        day: date = self.cleaned_data["until"]
        return timezone.make_aware(datetime.combine(day, time(23, 59)))


class WaiverSignForm(forms.Form):
    """An agreement to a waiver."""

    secret = forms.CharField(
        label="Password",
        max_length=4096,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={"required": "Write your password: signing asks for it each time."},
    )


class PromoteForm(forms.Form):
    """A new request."""

    target = forms.ChoiceField(label="To", error_messages={"required": "Pick where it should go."})
    intended_use = forms.CharField(
        label="Intended use",
        required=False,
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What it decides, about whom, and who looks at the result. Empty: as on the model's card.",
    )

    def __init__(self, *args: object, targets: Iterable[str] = (), **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["target"].choices = [(target, _target(target)) for target in targets]  # type: ignore[attr-defined]


class RevokeForm(forms.Form):
    """The early end of a permit."""

    name: ClassVar[str] = "revoke"

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, auto_id=f"id_{self.name}_%s", **kwargs)  # type: ignore[misc, arg-type]

    reason = forms.CharField(
        label="Reason",
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "Write the reason: it stays in the log."},
    )


class SuspendForm(RevokeForm):
    """A pause of a permit."""

    name: ClassVar[str] = "suspend"


class ResumeForm(RevokeForm):
    """The end of a pause."""

    name: ClassVar[str] = "resume"


def _target(target: str) -> str:
    kind, _, name = target.partition(":")
    return f"{kind} “{name}”"


def show(form: forms.Form, refusal: Refusal) -> None:
    """Put a refusal beside the field it is about, or over the whole form."""
    name = _FIELDS.get(refusal.field, refusal.field)
    form.add_error(name if name in form.fields else None, str(refusal))
