"""Registered models and aliases."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rest_framework import serializers

from registry.api.endpoint import PageQuery
from registry.api.fields import Input, Name, Table, Text, Whole
from registry.gates import exempt_since, gatekeeper
from registry.models import Alias, RegisteredModel

TIERS = [1, 2, 3]


class ModelQuery(PageQuery):
    """Filters of the list of models."""

    name = serializers.CharField(required=False, max_length=256, help_text="Part of the name, in any case.")
    tier = serializers.IntegerField(required=False, min_value=1, max_value=3)
    owner = serializers.CharField(required=False, max_length=150, help_text="The owner's user name.")


class ModelIn(Input):
    """A new model."""

    name = Name()
    description = Text(max_length=20_000, required=False, allow_blank=True, default="")
    tags = Table(child=Text(max_length=5000, allow_blank=True), required=False, default=dict, most=100)
    tier = Whole(required=False, default=1, min_value=1, max_value=3, help_text="Unassessed models count as tier 1.")
    use_case = Text(max_length=400, single_line=True, required=False, allow_blank=True, default="")
    card = Table(child=Text(max_length=20_000, allow_blank=True), required=False, default=dict, most=100)


class ModelChange(Input):
    """What of a model may change. What is not named stays."""

    description = Text(max_length=20_000, required=False, allow_blank=True)
    tier = Whole(required=False, min_value=1, max_value=3)
    use_case = Text(max_length=400, single_line=True, required=False, allow_blank=True)
    card = Table(child=Text(max_length=20_000, allow_blank=True), required=False, most=100)
    evaluation_dataset = Name(
        required=False, allow_null=True, help_text="The held-out data set that policies mean by role."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A change changes something."""
        if not attrs:
            raise serializers.ValidationError(f"Name at least one of: {', '.join(self.fields)}.")
        return attrs


class ModelOut(serializers.Serializer[RegisteredModel]):
    """A registered model."""

    _exemptions: Mapping[str, datetime] | None = None  # read once for all rows of an answer

    name = serializers.CharField()
    description = serializers.CharField()
    owner = serializers.CharField(source="owner.username")
    team = serializers.CharField(source="team.name", allow_null=True, default=None)
    use_case = serializers.CharField()
    tier = serializers.IntegerField()
    card = serializers.DictField(child=serializers.CharField(allow_blank=True))
    evaluation_dataset = serializers.CharField(source="evaluation_dataset.name", allow_null=True, default=None)
    tags = serializers.SerializerMethodField()
    aliases = serializers.SerializerMethodField(help_text="Alias → version number.")
    latest_version = serializers.SerializerMethodField()
    exempt_since = serializers.SerializerMethodField(
        help_text="Set while the operator exempts the model from gating: its aliases and stages then move without a permit."
    )
    revision = serializers.IntegerField(help_text="Grows with every change; also the ETag.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def get_tags(self, model: RegisteredModel) -> dict[str, str]:
        """Key → value."""
        return {tag.key: tag.value for tag in sorted(model.tags.all(), key=lambda tag: tag.key)}

    def get_aliases(self, model: RegisteredModel) -> dict[str, int]:
        """Alias → version number."""
        return {alias.name: alias.version.number for alias in model.aliases.all()}

    def get_exempt_since(self, model: RegisteredModel) -> datetime | None:
        """The moment, or null while policies gate the model."""
        if self._exemptions is None:
            self._exemptions = gatekeeper().exemptions()
        return exempt_since(model.name, self._exemptions)

    def get_latest_version(self, model: RegisteredModel) -> int | None:
        """The highest number that is not deleted."""
        latest: int | None = getattr(model, "latest_number", None)
        return latest


class AliasIn(Input):
    """Where an alias shall point."""

    version = Whole(min_value=1, max_value=999_999_999)


class AliasOut(serializers.Serializer[Alias]):
    """An alias of a model."""

    alias = serializers.CharField(source="name")
    version = serializers.IntegerField(source="version.number")
    set_at = serializers.DateTimeField()
    set_by = serializers.CharField(source="set_by.username", allow_null=True, default=None)
