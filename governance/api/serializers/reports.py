"""Reports over REST."""

from typing import Any

from django.urls import reverse
from rest_framework import serializers

from governance.models import ReportFile, ReportJob
from governance.states import CheckState
from registry.api.fields import Input, Text


class ReportSourceOut(serializers.Serializer[Any]):
    """What a report answers to."""

    title = serializers.CharField()
    citation = serializers.CharField()
    effective = serializers.CharField(help_text="Since or from when it holds.")
    note = serializers.CharField(allow_blank=True)


class ReportKindOut(serializers.Serializer[Any]):
    """One kind of report."""

    name = serializers.CharField()
    title = serializers.CharField()
    answers = serializers.CharField()
    audience = serializers.CharField()
    open_to = serializers.CharField(help_text="Who may ask for it.")
    needs = serializers.ListField(child=serializers.CharField(), help_text="Parameters that must be given.")
    takes = serializers.ListField(child=serializers.CharField(), help_text="Parameters that may be given.")
    source = ReportSourceOut()  # type: ignore[assignment]


class ReportParameters(Input):
    """What a report is about. Each kind says which of these it needs and takes."""

    request = Text(max_length=40, required=False, help_text="REQ-0007")
    model = Text(max_length=256, required=False)
    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False)
    tier = serializers.IntegerField(min_value=1, max_value=3, required=False)
    view = serializers.ChoiceField(choices=["all", "live"], required=False)
    since = serializers.DateField(required=False, help_text="First day of the period, UTC.")
    until = serializers.DateField(required=False, help_text="Last day of the period, UTC.")


class ReportIn(Input):
    """Which report, about what."""

    report = Text(max_length=40)
    parameters = ReportParameters(required=False)
    as_of = Text(
        max_length=64,
        required=False,
        single_line=True,
        help_text="A day (its end), a time with its zone, or a log size (`entry:1234`). Left out: the newest moment.",
    )


class ReportFileOut(serializers.Serializer[Any]):
    """A file of a finished report."""

    name = serializers.CharField()
    media_type = serializers.CharField()
    size = serializers.IntegerField()
    sha256 = serializers.CharField()
    url = serializers.SerializerMethodField()

    def get_url(self, file: ReportFile) -> str:
        """Where it is."""
        return reverse("api:report-file", kwargs={"report": file.job_id, "file": file.name})


class ReportOut(serializers.Serializer[ReportJob]):
    """A report that was asked for."""

    id = serializers.UUIDField()
    report = serializers.CharField()
    parameters = serializers.DictField()
    state = serializers.ChoiceField(choices=CheckState.choices)
    problem = serializers.CharField(allow_blank=True, help_text="Why there is none, if it is finished without.")
    title = serializers.CharField(allow_blank=True)
    answer = serializers.CharField(allow_blank=True)
    as_of = serializers.CharField(allow_blank=True, help_text="What was asked for.")
    moment = serializers.IntegerField(allow_null=True, help_text="The log size that `as_of` meant when it was asked.")
    log_size = serializers.IntegerField(allow_null=True, help_text="Size of the checkpoint that it rests on.")
    asked_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class ReportDetail(ReportOut):
    """A report with its files. They are removed after a while; their digests stay in the log."""

    files = ReportFileOut(many=True)
