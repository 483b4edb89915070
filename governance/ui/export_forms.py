"""Forms of the export centre and of samples. They read input; the services decide."""

import hashlib
import re
from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from audit import actions
from governance.bundles import questions
from governance.bundles.questions import Question
from governance.models import Sample
from governance.selectors.requests import request_of
from governance.services.samples import STRATA, Population
from registry.models import User
from registry.selectors.catalog import model_by_name, version_by_number

_DATE = forms.DateInput(attrs={"type": "date"})
_HEX = re.compile("[0-9a-f]{64}")
_WORDS = {
    "": "All in one",
    "action": "What was done",
    "actor": "Who did it",
    "month": "Month",
    "outcome": "Outcome of a signature",
}


class ExportForm(forms.Form):
    """What to take with you. One field, or two, of the kind; the others are left alone."""

    kind = forms.ChoiceField(
        label="What do you want to take with you?",
        choices=[
            ("request", "One request, in whatever state"),
            ("version", "One version, with every request about it"),
            ("model", "One model, with all versions and requests"),
            ("period", "A period of the log, whole"),
            ("sample", "A sample that was drawn, with its population"),
        ],
        widget=forms.RadioSelect,
        error_messages={"required": "Pick one."},
    )
    request = forms.CharField(label="Request", required=False, max_length=40, help_text="Such as REQ-0007.")
    model = forms.CharField(label="Model", required=False, max_length=256)
    version = forms.IntegerField(label="Version", required=False, min_value=1, max_value=999_999_999)
    since = forms.DateField(label="From", required=False, widget=_DATE)
    until = forms.DateField(label="To, included", required=False, widget=_DATE)
    sample = forms.ModelChoiceField(label="Sample", required=False, queryset=Sample.objects.none())

    report = forms.BooleanField(
        label="With the report as PDF/A-3",
        required=False,
        initial=True,
        help_text="Of a request, a version or a model. A worker makes it, in a few seconds.",
    )

    def __init__(self, *args: Any, user: User, auditor: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        if auditor:
            drawn = Sample.objects.filter(drawn_at__isnull=False).order_by("-planned_at")
            self.fields["sample"].queryset = drawn  # type: ignore[attr-defined]
        else:
            kinds = [one for one in self.fields["kind"].choices if one[0] not in {"period", "sample"}]  # type: ignore[attr-defined]
            self.fields["kind"].choices = kinds  # type: ignore[attr-defined]
            for name in ("since", "until", "sample"):
                del self.fields[name]

    def clean(self) -> dict[str, Any]:
        """The fields of the kind are there."""
        found = super().clean() or {}
        needed = {"version": ("model", "version"), "period": ("since", "until")}
        kind = found.get("kind", "")
        for name in needed.get(kind, (kind,) if kind else ()):
            if name in self.fields and found.get(name) in {None, ""} and name not in self.errors:
                self.add_error(name, f"Say which {name}." if name not in {"since", "until"} else "Pick a day.")
        return found

    def question(self) -> Question:
        """What is asked for. Raises ``NotFound``, ``NotAllowed`` and ``Invalid``."""
        question = self._question()
        wanted = self.cleaned_data["report"] and question.kind in questions.REPORTED
        return questions.with_report(question) if wanted else question

    def _question(self) -> Question:
        found = self.cleaned_data
        match found["kind"]:
            case "request":
                return questions.about_request(self.user, request_of(self.user, found["request"]))
            case "version":
                model = model_by_name(found["model"], self.user)
                return questions.about_version(self.user, version_by_number(model, found["version"]))
            case "model":
                return questions.about_model(self.user, model_by_name(found["model"], self.user))
            case "sample":
                return questions.about_sample(self.user, found["sample"])
            case _:
                until = found["until"] + timedelta(days=1)
                return questions.about_period(self.user, midnight(found["since"]), midnight(until))


class PlanForm(forms.Form):
    """A sample: the population, how many of it, and a seed that is committed to."""

    title = forms.CharField(label="What is to be found out?", max_length=200)
    since = forms.DateField(label="Written from", widget=_DATE)
    until = forms.DateField(label="To, included", widget=_DATE)
    action = forms.ChoiceField(label="What was done", required=False)
    stratify_by = forms.ChoiceField(
        label="Strata",
        required=False,
        choices=[(name, _WORDS[name]) for name in STRATA],
        help_text="Each is drawn from.",
    )
    size = forms.IntegerField(label="How many", required=False, min_value=1, max_value=2000)
    confidence = forms.FloatField(label="Confidence", required=False, min_value=0.5, max_value=0.999, initial=0.95)
    tolerable = forms.FloatField(label="Tolerable rate", required=False, min_value=0.001, max_value=0.5, initial=0.05)
    expected = forms.IntegerField(label="Expected deviations", required=False, min_value=0, max_value=100, initial=0)
    seed = forms.CharField(
        label="Commitment to your seed",
        max_length=200,
        required=False,
        help_text="The SHA-256 of a text that only you know: printf %s 'my seed' | sha256sum. You give the text when you draw. "
        "Any other text is taken for the seed itself and hashed here, so that this server has seen it.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [(one.name, one.name) for one in actions.known()]
        self.fields["action"].choices = [("", "Anything"), *names]  # type: ignore[attr-defined]

    def population(self) -> Population:
        """The population that the fields describe."""
        found = self.cleaned_data
        return Population(
            since=midnight(found["since"]),
            until=midnight(found["until"] + timedelta(days=1)),
            actions=(found["action"],) if found["action"] else (),
            stratify_by=found["stratify_by"],
        )

    def commitment(self) -> str:
        """The commitment, or that of the seed that was given in clear."""
        given = str(self.cleaned_data["seed"])
        return given if _HEX.fullmatch(given) else hashlib.sha256(given.encode()).hexdigest()


class DrawForm(forms.Form):
    """The seed that was committed to."""

    seed = forms.CharField(label="The seed", max_length=200, error_messages={"required": "Give the seed."})


def midnight(day: Any) -> datetime:  # noqa: ANN401 - a date
    """The beginning of a day, UTC."""
    return timezone.make_aware(datetime.combine(day, time()))
