"""Forms of the pages of data sets: they read input, the services decide."""

import re
from typing import Any, Final

from django import forms

from registry.columns import LISTS, SINGLE
from registry.models import DatasetVersion

_ROLES: Final = [
    (value, label) for value, label in DatasetVersion.Role.choices if value != DatasetVersion.Role.PREDICTIONS
]
_WHOLE: Final = re.compile(r"-?[0-9]{1,15}")
_TRUTHS: Final = {"true": True, "false": False}


def _column(label: str, help_text: str = "") -> forms.CharField:
    return forms.CharField(label=label, max_length=250, required=False, help_text=help_text)


def _columns(label: str, help_text: str) -> forms.CharField:
    area = forms.Textarea(attrs={"rows": 2})
    return forms.CharField(label=label, max_length=200_000, required=False, help_text=help_text, widget=area)


def _file() -> forms.FileField:
    return forms.FileField(
        label="File",
        required=False,
        help_text="CSV (UTF-8, commas, a header), Parquet or Arrow, as it is or packed with gzip or Zstandard.",
    )


class DatasetForm(forms.Form):
    """A new version of a data set."""

    name = forms.CharField(label="Name", max_length=256, help_text="A known name makes its next version.")
    role = forms.ChoiceField(label="Role", choices=_ROLES, initial=DatasetVersion.Role.TEST)
    label = _column("Label", "The column of the outcome. Live data need none.")
    positive = _column("Positive value", "The label's value that counts as the positive outcome, such as 1.")
    features = _columns("Features", "Separated by commas. Empty: what the model's signature names.")
    sensitive = _columns("Sensitive", "Groups to compare by, separated by commas. Their values are never shown.")
    id = _column("Id", "Tells rows apart. Its values are never shown.")
    weight = _column("Weight", "Finite numbers of at least 0.")
    time = _column("Time", "A date or time stamp.")
    file = _file()
    reference = forms.CharField(
        label="Or a reference",
        max_length=2000,
        required=False,
        help_text="A path or s3://bucket/key that the operator allows; a worker reads it once.",
    )
    description = forms.CharField(
        label="Description", max_length=20_000, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )

    def clean(self) -> dict[str, Any]:
        """One source, not two and not none."""
        given = bool(self.cleaned_data.get("file")) + bool(self.cleaned_data.get("reference"))
        if given != 1 and "file" not in self.errors:
            self.add_error(
                "file", "Give a file or a reference." if not given else "Give a file or a reference, not both."
            )
        role = self.cleaned_data.get("role")
        if role and role != DatasetVersion.Role.LIVE and not self.cleaned_data.get("label"):
            self.add_error("label", "Which column is the outcome?")
        return self.cleaned_data

    def columns(self) -> dict[str, Any]:
        """The column roles that were filled in."""
        given = self.cleaned_data
        found: dict[str, Any] = {role: given[role].strip() for role in SINGLE if given.get(role, "").strip()}
        for role in LISTS:
            if names := [one.strip() for one in re.split(r"[,\n]", given.get(role, "")) if one.strip()]:
                found[role] = names
        if text := given.get("positive", "").strip():
            found["positive"] = int(text) if _WHOLE.fullmatch(text) else _TRUTHS.get(text.lower(), text)
        return found


class PredictionsForm(forms.Form):
    """What a model that is not here predicted for a data set."""

    name = forms.CharField(label="Name of the predictions", max_length=256)
    model = forms.CharField(
        label="Model", max_length=256, help_text="Its version holds no model that could be run here."
    )
    version = forms.IntegerField(label="Version", min_value=1, max_value=2**31 - 1)
    prediction = _column("Column of the predictions")
    score = _column("Column of the scores", "The probability of the positive outcome.")
    id = _column("Column of the ids", "Empty: the rows are in the data set's order.")
    file = _file()

    def clean(self) -> dict[str, Any]:
        """A file is needed."""
        if not self.cleaned_data.get("file") and "file" not in self.errors:
            self.add_error("file", "Choose the file.")
        return self.cleaned_data

    def columns(self) -> dict[str, Any]:
        """The column roles that were filled in."""
        roles = ("prediction", "score", "id")
        return {role: self.cleaned_data[role].strip() for role in roles if self.cleaned_data.get(role, "").strip()}
