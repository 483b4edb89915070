"""The form of a person's finding: it reads input, ``services.findings`` decides."""

from typing import Any

from django import forms

from governance.checks.manual import ManualParams
from governance.services.findings import KINDS, MOST_BYTES
from governance.ui.forms import LONGEST

_CHOICES = (
    ("pass", "Pass: what the instructions ask for is so"),
    ("fail", "Fail: it is not so"),
    ("inconclusive", "Inconclusive: what was there to examine does not tell"),
)


class FindingForm(forms.Form):
    """The finding starts unpicked."""

    finding = forms.ChoiceField(
        label="Finding", choices=_CHOICES, widget=forms.RadioSelect, error_messages={"required": "Pick the finding."}
    )
    words = forms.CharField(
        label="What was found",
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text="What was examined, how, and what follows. It stays in the evidence as it stands here: name roles, not people.",
        error_messages={"required": "Write what was found."},
    )
    attachment = forms.FileField(
        label="File", required=False, allow_empty_file=True, max_length=255,
        widget=forms.FileInput(attrs={"accept": ",".join(sorted(KINDS))}),
        help_text=f"One file, {MOST_BYTES // 2**20} MiB at most: {', '.join(sorted(KINDS))}.",
        error_messages={"required": "The policy wants a file beside this finding."},
    )  # fmt: skip

    def __init__(self, *args: Any, params: ManualParams, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if params.attachment == "none":
            del self.fields["attachment"]
        elif params.attachment == "required":
            self.fields["attachment"].required = True
