"""Check runs and waivers."""

from typing import Any

from rest_framework import serializers

from governance.models import CheckRun, Waiver
from governance.states import CheckState
from registry.api.endpoint import PageQuery
from registry.api.fields import Input, Text


class CheckQuery(PageQuery):
    """Filters of a request's checks."""

    round = serializers.IntegerField(
        required=False, min_value=1, max_value=32_767, help_text="The present one, if not given."
    )


class CheckOut(serializers.Serializer[CheckRun]):
    """A check of a request, in short."""

    id = serializers.UUIDField()
    key = serializers.CharField()
    title = serializers.CharField()
    category = serializers.CharField()
    round = serializers.IntegerField()
    state = serializers.ChoiceField(choices=CheckState.choices)
    verdict = serializers.ChoiceField(choices=CheckRun.Verdict.choices, allow_blank=True)
    summary = serializers.CharField(allow_blank=True)
    error_code = serializers.CharField(allow_blank=True)
    dataset = serializers.SerializerMethodField()
    result_digest = serializers.CharField(allow_blank=True)
    attempt = serializers.IntegerField()
    progress_done = serializers.IntegerField()
    progress_total = serializers.IntegerField()
    queued_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_dataset(self, run: CheckRun) -> str | None:
        """Name and version of the data it ran on."""
        return str(run.dataset) if run.dataset else None


class CheckDetail(CheckOut):
    """A check with its result: figures, intervals, tables, findings."""

    request = serializers.CharField(source="request.ref")
    check_version = serializers.CharField(allow_blank=True)
    parameters = serializers.DictField()
    requirement = serializers.DictField()
    result = serializers.DictField(allow_null=True)
    sandbox = serializers.DictField(help_text="The layers that were on, limits and use.")


class WaiverIn(Input):
    """Which check, why, and until when."""

    check_run_id = serializers.UUIDField(help_text="Id of the check.")
    reason = Text(max_length=10_000)
    until = serializers.DateTimeField()


class PasswordIn(Input):
    """The second look at who signs."""

    password = Text(max_length=4096, single_line=True, write_only=True)


class WaiverSignatureOut(serializers.Serializer[Any]):
    """One person's agreement."""

    person = serializers.CharField(source="person.username")
    signed_at = serializers.DateTimeField()


class WaiverOut(serializers.Serializer[Waiver]):
    """A dated way past a check that did not pass."""

    id = serializers.UUIDField()
    check_run_id = serializers.UUIDField()
    check_key = serializers.CharField(source="check_run.key")
    reason = serializers.CharField()
    until = serializers.DateTimeField()
    asked_by = serializers.CharField(source="asked_by.username")
    asked_at = serializers.DateTimeField()
    granted_at = serializers.DateTimeField(allow_null=True)
    signatures = WaiverSignatureOut(many=True, source="signatures.all")
