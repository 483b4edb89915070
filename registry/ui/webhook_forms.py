"""Forms of the webhook pages: they read input, the services decide."""

from typing import Any, Final

from django import forms
from django.forms.boundfield import BoundWidget

from registry import events
from registry.models import Webhook
from registry.services.webhooks import LONGEST_SECRET

_GROUPS: Final = (
    ("Models", ("registered_model",)),
    ("Versions", ("model_version",)),
    ("Prompts", ("prompt",)),
    ("Promotion requests", ("promotion_request",)),
    ("Permits", ("permit",)),
)


def event_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """Every event that is ever sent, grouped by what it is about."""
    return [
        (
            title,
            [
                (event.name, event.words.removesuffix("."))
                for event in events.known().values()
                if event.entity.startswith(prefixes)
            ],
        )
        for title, prefixes in _GROUPS
    ]


class WebhookForm(forms.Form):
    """A webhook."""

    name = forms.CharField(max_length=63, label="Name", help_text="Letters, digits, dots, hyphens and underscores.")
    url = forms.CharField(
        max_length=500,
        label="Address",
        help_text="https://… A name and password in it are kept apart, encrypted, and not shown again.",
        widget=forms.TextInput(attrs={"inputmode": "url", "spellcheck": "false", "autocomplete": "off"}),
    )
    description = forms.CharField(max_length=1000, required=False, label="What it is for")
    secret = forms.CharField(
        max_length=LONGEST_SECRET,
        required=False,
        strip=False,
        label="Secret",
        help_text="Signs what is sent, so that the receiver knows it comes from here. Kept encrypted, not shown again.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    events = forms.MultipleChoiceField(
        choices=event_choices, label="Events", widget=forms.CheckboxSelectMultiple, initial=["model_version.created"]
    )

    def groups(self) -> list[tuple[str, list[tuple[BoundWidget, str]]]]:
        """The boxes of the events, under the title of their group, each with the event's name."""
        boxes = iter(self["events"].subwidgets)
        return [(title, [(next(boxes), name) for name, _ in choices]) for title, choices in event_choices()]


class WebhookChangeForm(WebhookForm):
    """A change of one: it says which state of the webhook it changes, and an empty secret keeps the one there is."""

    no_secret = forms.BooleanField(required=False, label="Take the secret away: nothing is signed any more")
    revision = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, webhook: Webhook, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["secret"].label = "Another secret"
        if not webhook.has_secret:
            del self.fields["no_secret"]
        offered = {name for _, choices in event_choices() for name, _ in choices}
        self.kept = [name for name in webhook.events if name not in offered]

    def clean(self) -> dict[str, Any]:
        """Say aloud what is wrong with the field nobody sees."""
        if "revision" not in self.cleaned_data:
            self.add_error(None, "This form does not say which state of the webhook it changes. Reload the page.")
        return self.cleaned_data

    def change(self) -> dict[str, Any]:
        """The service's words for what was sent."""
        given = dict(self.cleaned_data)
        secret, gone = given.pop("secret"), given.pop("no_secret", False)
        chosen = given.pop("events")
        return {**given, "event_names": [*chosen, *self.kept], "secret": "" if gone else secret or None}
