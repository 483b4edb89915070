"""Bundles and samples over REST: what is asked for, how far it is, what was drawn."""

from typing import Any, ClassVar

from rest_framework import serializers

from governance.bundles.questions import REPORTED
from governance.models import Export, Sample
from governance.models.exports import ExportState
from governance.sampling import LARGEST
from governance.services.samples import STRATA
from registry.api.endpoint import PageQuery
from registry.api.fields import Input, Name, Text, Whole

KINDS: list[str] = ["request", "version", "model", "period", "sample"]


class ExportIn(Input):
    """What to take away. ``kind`` says which of the other fields is needed."""

    kind = serializers.ChoiceField(choices=KINDS)
    request = Text(max_length=40, single_line=True, required=False, help_text="Reference or id: `REQ-0007`.")
    model = Name(required=False)
    version = Whole(required=False, min_value=1, max_value=999_999_999, help_text="Number, together with `model`.")
    since = serializers.DateTimeField(required=False, help_text="Of a period: not before (RFC 3339).")
    until = serializers.DateTimeField(required=False, help_text="Of a period: before (RFC 3339).")
    sample = serializers.UUIDField(required=False)
    report = serializers.BooleanField(
        required=False,
        help_text="With `report.pdf`, which a worker makes. Left out: yes, for a request, a version or a model.",
    )
    log_size = Whole(
        required=False, min_value=1, max_value=2**62, help_text="Prove against this checkpoint, not the newest."
    )
    NEEDS: ClassVar[dict[str, tuple[str, ...]]] = {
        "request": ("request",),
        "version": ("model", "version"),
        "model": ("model",),
        "period": ("since", "until"),
        "sample": ("sample",),
    }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The fields of the kind, and no others."""
        needed = self.NEEDS[attrs["kind"]]
        for name in needed:
            if name not in attrs:
                raise serializers.ValidationError({name: f"A bundle of the kind “{attrs['kind']}” needs it."})
        reported = {"report"} if attrs["kind"] in REPORTED else set()
        for name in set(attrs) - {"kind", "log_size", *needed, *reported}:
            raise serializers.ValidationError({name: f"A bundle of the kind “{attrs['kind']}” has none."})
        return attrs


class ExportOut(serializers.Serializer[Export]):
    """One bundle that you asked for."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=ExportState.choices)
    log_size = serializers.IntegerField(help_text="Size of the checkpoint it is proved against.")
    entries = serializers.IntegerField()
    progress_done = serializers.IntegerField()
    progress_total = serializers.IntegerField()
    sha256 = serializers.CharField(help_text="Digest of the file; the log has it as well. Empty until it is ready.")
    length = serializers.IntegerField()
    left_out = serializers.IntegerField(help_text="Parts you may not see, or that are gone; the bundle says which.")
    problem = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True, help_text="When the file is removed.")


class ScaleOut(serializers.Serializer[Any]):
    """What a bundle will hold."""

    entries = serializers.IntegerField()
    objects = serializers.IntegerField()
    requests = serializers.IntegerField()
    permits = serializers.IntegerField()
    decisions = serializers.IntegerField()
    checks = serializers.IntegerField()


class PopulationIn(Input):
    """Which entries of the log. Nothing said: any."""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    actions = serializers.ListField(
        child=serializers.CharField(max_length=100), required=False, default=list, max_length=50
    )
    object_type = Text(max_length=100, single_line=True, required=False, allow_blank=True, default="")
    stratify_by = serializers.ChoiceField(choices=sorted(STRATA), required=False, default="", allow_blank=True)


class StratumOut(serializers.Serializer[Any]):
    """A part of the population."""

    stratum = serializers.CharField(allow_blank=True)
    population = serializers.IntegerField()
    size = serializers.IntegerField(required=False)


class CountOut(serializers.Serializer[Any]):
    """The population in the log. ``population + others = end - begin``: every entry of the stretch."""

    begin = serializers.IntegerField()
    end = serializers.IntegerField()
    population = serializers.IntegerField()
    others = serializers.IntegerField()
    strata = StratumOut(many=True)


class SamplePlanIn(PopulationIn):
    """A plan: the population, how many, and the SHA-256 of a seed that you keep to yourself until you draw."""

    title = Text(max_length=200, single_line=True, help_text="What is to be found out.")
    size = Whole(required=False, min_value=1, max_value=LARGEST, help_text="Shared among the strata in proportion.")
    sizes = serializers.DictField(child=serializers.IntegerField(min_value=0, max_value=LARGEST), required=False)
    seed_commitment = Text(max_length=64, single_line=True, help_text="SHA-256 of the seed, in lower-case hex.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One way to say how many."""
        if ("size" in attrs) == ("sizes" in attrs):
            raise serializers.ValidationError({"size": "Say either size or sizes."})
        return attrs


class SeedIn(Input):
    """The seed that was committed to."""

    seed = Text(max_length=200, single_line=True)


class ItemOut(serializers.Serializer[Any]):
    """An entry that was drawn."""

    index = serializers.IntegerField()
    stratum = serializers.CharField(allow_blank=True)


class SampleOut(serializers.Serializer[Sample]):
    """A sample: its plan, and what was drawn."""

    id = serializers.UUIDField()
    title = serializers.CharField()
    planned_by = serializers.CharField(source="planned_by.username")
    planned_at = serializers.DateTimeField()
    plan = serializers.JSONField(
        help_text="The facts of the entry that planned it, as docs/auditors/sampling.md has them."
    )
    population = serializers.IntegerField()
    size = serializers.IntegerField()
    drawn_at = serializers.DateTimeField(allow_null=True)
    seed = serializers.CharField(allow_blank=True)
    items = ItemOut(many=True, allow_null=True)


class SizeQuery(PageQuery):
    """For how many to look at."""

    population = serializers.IntegerField(min_value=1, max_value=10**12)
    confidence = serializers.FloatField(required=False, default=0.95)
    tolerable = serializers.FloatField(required=False, default=0.05)
    expected = serializers.IntegerField(required=False, default=0)


class SizeOut(serializers.Serializer[Any]):
    """How many to look at."""

    size = serializers.IntegerField()
