"""Check runs and waivers."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from governance.models import CheckRun, Waiver
from governance.progress import Progress, progress_of
from governance.states import CheckState
from registry.api.endpoint import PageQuery
from registry.api.fields import Input, Text


class CheckQuery(PageQuery):
    """Filters of a request's checks."""

    round = serializers.IntegerField(
        required=False, min_value=1, max_value=32_767, help_text="The present one, if not given."
    )


class ProgressOut(serializers.Serializer[Progress]):
    """How far a check is."""

    share = serializers.FloatField(help_text="Of the work, from 0 to 1.")
    seconds_left = serializers.SerializerMethodField(help_text="At the pace so far; null when nobody can tell.")
    parts = serializers.IntegerField(help_text="In how many parts it was cut for several workers; 0: in none.")
    parts_done = serializers.IntegerField()

    def get_seconds_left(self, progress: Progress) -> int | None:
        """Rounded."""
        return None if progress.left is None else round(progress.left.total_seconds())


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
    progress = serializers.SerializerMethodField()
    reused_from = serializers.UUIDField(
        source="reused_from_id",
        allow_null=True,
        help_text="The check whose result was used again; null: it was computed.",
    )
    queued_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(ProgressOut)
    def get_progress(self, run: CheckRun) -> dict[str, Any]:
        """The share that is done, and the time left."""
        return dict(ProgressOut(progress_of(run)).data)

    def get_dataset(self, run: CheckRun) -> str | None:
        """Name and version of the data it ran on."""
        return str(run.dataset) if run.dataset else None


class CheckDetail(CheckOut):
    """A check with its result: figures, intervals, tables, findings."""

    request = serializers.CharField(source="request.ref")
    cache_key = serializers.CharField(
        allow_blank=True, help_text="SHA-256 of all that determines the result; equal keys share one result."
    )
    check_version = serializers.CharField(allow_blank=True)
    parameters = serializers.DictField()
    requirement = serializers.DictField()
    result = serializers.DictField(allow_null=True)
    provenance = serializers.DictField(help_text="Digests of model, data, code and parameters, and the environment.")
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
