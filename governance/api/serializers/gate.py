"""What a cluster's gate reports, and the review of it."""

from datetime import UTC, datetime

from rest_framework import serializers

from governance.models import BrokenGlass
from registry.api.endpoint import PageQuery
from registry.api.fields import Input, Sha256, Text, Whole

_LAST_MICROSECOND = 253_402_300_799_999_999
"""The end of the year 9999."""


class BrokenGlassIn(Input):
    """An event as the gate's journal keeps it."""

    uid = Text(max_length=64, single_line=True)
    namespace = Text(max_length=253, single_line=True, allow_blank=True)
    title = Text(max_length=600, single_line=True)
    digests = serializers.ListField(child=Sha256(), max_length=100)
    user = Text(max_length=300, single_line=True, allow_blank=True)
    reason = Text(max_length=1000)
    refused_because = Text(max_length=1000)
    at = Whole(min_value=0, max_value=_LAST_MICROSECOND, help_text="Microseconds since 1970, by the gate's clock.")

    def validate_at(self, value: int) -> datetime:
        """As a moment."""
        return datetime.fromtimestamp(value // 1_000_000, UTC).replace(microsecond=value % 1_000_000)


class BrokenGlassQuery(PageQuery):
    """Filters of the list."""

    reviewed = serializers.BooleanField(required=False, allow_null=True, default=None)


class BrokenGlassOut(serializers.Serializer[BrokenGlass]):
    """One workload that runs without a permit."""

    id = serializers.UUIDField()
    uid = serializers.CharField()
    namespace = serializers.CharField()
    title = serializers.CharField()
    digests = serializers.ListField(child=serializers.CharField())
    model = serializers.SerializerMethodField(help_text="Name of the model, if the bytes are one of ours; else null.")
    version = serializers.SerializerMethodField()
    user = serializers.CharField()
    reason = serializers.CharField()
    refused_because = serializers.CharField()
    at = serializers.DateTimeField()
    reported_at = serializers.DateTimeField()
    reported_by = serializers.CharField(source="reported_by.username")
    outcome = serializers.CharField(allow_blank=True)
    review = serializers.CharField(allow_blank=True)
    reviewed_by = serializers.SerializerMethodField()
    reviewed_at = serializers.DateTimeField(allow_null=True)

    def get_model(self, broken: BrokenGlass) -> str | None:
        """Its name."""
        return broken.version.model.name if broken.version else None

    def get_version(self, broken: BrokenGlass) -> int | None:
        """Its number."""
        return broken.version.number if broken.version else None

    def get_reviewed_by(self, broken: BrokenGlass) -> str | None:
        """The account."""
        return broken.reviewed_by.username if broken.reviewed_by else None


class ReviewIn(Input):
    """What was found."""

    outcome = serializers.ChoiceField(choices=BrokenGlass.Outcome.choices)
    text = Text(max_length=10_000)
