"""Model versions and the lineage that comes with them."""

from typing import Any
from urllib.parse import quote

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from registry.api.fields import Input, Name, Number, Sha256, Table, Text, Whole
from registry.models import ModelVersion


class DatasetUsed(Input):
    """A data set that went in. ``version`` or ``sha256`` tie it to one that is sealed here."""

    name = Name()
    version = Whole(required=False, default=0, min_value=1, max_value=999_999_999)
    sha256 = Sha256(required=False, default="")
    context = Text(  # type: ignore[assignment]
        max_length=40, single_line=True, required=False, default="training", help_text="training, test …"
    )
    source = Text(max_length=2000, single_line=True, required=False, allow_blank=True, default="")  # type: ignore[assignment]


class CodeUsed(Input):
    """The commit that trained it."""

    commit = Text(max_length=190, single_line=True)
    repository = Text(max_length=400, single_line=True, required=False, allow_blank=True, default="")
    dirty = serializers.BooleanField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Whether there were uncommitted changes; null: not known.",
    )
    author = Text(
        max_length=254, single_line=True, required=False, allow_blank=True, default="", help_text="`Name <address>`."
    )


class EnvironmentUsed(Input):
    """Where it was trained."""

    python = Text(max_length=40, single_line=True, required=False, allow_blank=True, default="")
    files = Table(
        child=Sha256(), required=False, default=dict, most=100, help_text="`requirements.txt` and the like → SHA-256."
    )


class RunUsed(Input):
    """The run that produced it."""

    id = Text(max_length=64, single_line=True, required=False, allow_blank=True, default="")
    user = Text(max_length=254, single_line=True, required=False, allow_blank=True, default="")


class LineageIn(Input):
    """Where a version comes from. Everything given becomes a node of the append-only graph."""

    datasets = serializers.ListField(child=DatasetUsed(), required=False, default=list, max_length=200)
    code = CodeUsed(required=False)
    environment = EnvironmentUsed(required=False)
    run = RunUsed(required=False)
    seeds = Table(child=Whole(min_value=-(2**63), max_value=2**64), required=False, default=dict, most=50)
    base_models = serializers.ListField(
        child=Text(max_length=400, single_line=True),
        required=False,
        default=list,
        max_length=200,
        help_text="`models:/<name>/<number>`, or a name elsewhere.",
    )


class VersionIn(Input):
    """A new version. It is sealed later, by ``finish``, when its files are up."""

    description = Text(max_length=20_000, required=False, allow_blank=True, default="")
    tags = Table(child=Text(max_length=5000, allow_blank=True), required=False, default=dict, most=100)
    parameters = Table(child=Text(max_length=6000, allow_blank=True), required=False, default=dict)
    metrics = Table(child=Number(), required=False, default=dict)
    source = Text(max_length=2000, single_line=True, required=False, allow_blank=True, default="")  # type: ignore[assignment]
    lineage = LineageIn(required=False)


class VersionChange(Input):
    """What of a version may change."""

    description = Text(max_length=20_000, allow_blank=True)


class VersionLinks(serializers.Serializer[Any]):
    """Addresses of what belongs to a version."""

    files = serializers.CharField()
    lineage = serializers.CharField()
    permits = serializers.CharField()
    requests = serializers.CharField()


class VersionOut(serializers.Serializer[ModelVersion]):
    """A model version. ``manifest_digest`` is its identity."""

    model = serializers.CharField(source="model.name")
    number = serializers.IntegerField()
    description = serializers.CharField()
    status = serializers.ChoiceField(choices=ModelVersion.Status.choices)
    status_message = serializers.CharField()
    stage = serializers.ChoiceField(choices=ModelVersion.Stage.choices)
    manifest_digest = serializers.CharField(help_text="SHA-256 of the canonical manifest; empty until sealed.")
    size_bytes = serializers.IntegerField()
    flavours = serializers.ListField(child=serializers.CharField())
    signature = serializers.DictField()
    parameters = serializers.DictField()
    metrics = serializers.DictField()
    tags = serializers.SerializerMethodField()
    aliases = serializers.SerializerMethodField()
    run_id = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    registered_by = serializers.CharField(source="registered_by.username")
    created_at = serializers.DateTimeField()
    sealed_at = serializers.DateTimeField(allow_null=True)
    links = serializers.SerializerMethodField()

    def get_tags(self, version: ModelVersion) -> dict[str, str]:
        """Key → value."""
        return {tag.key: tag.value for tag in sorted(version.tags.all(), key=lambda tag: tag.key)}

    def get_aliases(self, version: ModelVersion) -> list[str]:
        """Names that point here."""
        return sorted(alias.name for alias in version.aliases.all())

    @extend_schema_field(VersionLinks)
    def get_links(self, version: ModelVersion) -> dict[str, str]:
        """Where its files, its lineage, its permits and its requests are."""
        name = version.model.name
        asked = f"?model={quote(name, safe='')}&version={version.number}"
        here = {"name": name, "number": version.number}
        return {
            "files": reverse("api:version-files", kwargs=here),
            "lineage": reverse("api:version-lineage", kwargs=here),
            "permits": reverse("api:permits") + asked,
            "requests": reverse("api:requests") + asked,
        }
