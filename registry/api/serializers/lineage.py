"""The lineage graph as JSON."""

from typing import Any

from rest_framework import serializers

from registry.api.fields import Input


class LineageQuery(Input):
    """Which way, how far, and in which form."""

    direction = serializers.ChoiceField(choices=["up", "down", "both"], required=False, default="both")
    depth = serializers.IntegerField(required=False, default=10, min_value=1, max_value=50)
    format = serializers.ChoiceField(
        choices=["json", "prov"], required=False, default="json", help_text="`prov` answers W3C PROV-JSON."
    )


class NodeOut(serializers.Serializer[Any]):
    """A thing in the graph."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    namespace = serializers.CharField(allow_blank=True)
    name = serializers.CharField()
    version = serializers.CharField(allow_blank=True)
    digests = serializers.DictField()
    facts = serializers.DictField()


class EdgeOut(serializers.Serializer[Any]):
    """What went into what, from data to product."""

    src = serializers.UUIDField()
    dst = serializers.UUIDField()
    relation = serializers.CharField()
    context = serializers.CharField(allow_blank=True)  # type: ignore[assignment]


class GraphOut(serializers.Serializer[Any]):
    """The part of the graph that was asked for. ``truncated``: there is more than may be shown at once."""

    nodes = NodeOut(many=True)
    edges = EdgeOut(many=True)
    truncated = serializers.BooleanField()
