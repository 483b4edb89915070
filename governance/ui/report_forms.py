"""The form that asks for a report: just the fields that this report takes."""

from typing import Any

from django import forms

from governance.documents.catalogue import Report
from registry.models import RegisteredModel

_DAY = {"type": "date"}


def _fields(needs: bool) -> dict[str, forms.Field]:  # noqa: FBT001 - one caller
    return {
        "request": forms.CharField(
            label="Request", max_length=40, required=needs, help_text="Its reference, such as REQ-0007.",
            widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        ),
        "model": forms.CharField(
            label="Model", max_length=256, required=needs,
            widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        ),
        "version": forms.IntegerField(
            label="Version", required=needs, min_value=1, max_value=2**31 - 1,
            help_text="Its number. Empty: the one called production, else the newest.",
        ),
        "tier": forms.TypedChoiceField(
            label="Tier", required=needs, coerce=int, empty_value=None,
            choices=[("", "All tiers"), *RegisteredModel.Tier.choices],
        ),
        "view": forms.ChoiceField(label="Models", required=needs, choices=[("all", "Live or not"), ("live", "Live only")]),
        "since": forms.DateField(
            label="From", required=needs, widget=forms.DateInput(attrs=_DAY), help_text="Empty: a year before the end.",
        ),
        "until": forms.DateField(
            label="To", required=needs, widget=forms.DateInput(attrs=_DAY), help_text="Including that day. Empty: today.",
        ),
    }  # fmt: skip


class ReportForm(forms.Form):
    """Parameters of one report, and as of when."""

    def __init__(self, report: Report, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        needed, taken = _fields(needs=True), _fields(needs=False)
        self.fields |= {name: needed[name] for name in report.needs} | {name: taken[name] for name in report.takes}
        self.fields["as_of"] = forms.CharField(
            label="As of", required=False, max_length=64,
            help_text="A day (2026-03-14: its end), a time with its zone, or a log size (entry:1234). Empty: as it is now.",
            widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        )  # fmt: skip

    def parameters(self) -> dict[str, Any]:
        """What was given, as the catalogue reads it: days as text."""
        given = {
            name: value for name, value in self.cleaned_data.items() if value not in {None, ""} and name != "as_of"
        }
        return {name: value.isoformat() if name in {"since", "until"} else value for name, value in given.items()}
