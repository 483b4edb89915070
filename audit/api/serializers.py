"""What the API says about the ledger. Hashes are lower-case hex; moments are RFC 3339."""

from typing import Any

from rest_framework import serializers

from audit.models import Checkpoint, Entry
from audit.selectors import Filters


class FilterSerializer(serializers.Serializer[Filters]):
    """Query parameters of the entry list."""

    action = serializers.CharField(required=False, max_length=100, help_text="Exact action, such as version.sealed.")
    actor = serializers.CharField(required=False, max_length=255, help_text="Actor id, such as user:7.")
    object_type = serializers.CharField(required=False, max_length=100, help_text="Such as registry.modelversion.")
    object_id = serializers.CharField(required=False, max_length=255)
    request_id = serializers.CharField(required=False, max_length=255)
    since = serializers.DateTimeField(required=False, help_text="Not before (RFC 3339).")
    until = serializers.DateTimeField(required=False, help_text="Before (RFC 3339).")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a period that ends before it begins."""
        if attrs.get("since") and attrs.get("until") and attrs["since"] >= attrs["until"]:
            raise serializers.ValidationError({"until": "must be after since"})
        return attrs

    def filters(self) -> Filters:
        """Return the checked parameters."""
        return Filters(**self.validated_data)


class EntrySerializer(serializers.ModelSerializer[Entry]):
    """One entry: its columns and its body as written."""

    id = serializers.CharField(source="entry_id")
    actor_name = serializers.CharField(
        source="who", help_text="What the actor is called today; the entry itself names accounts by id."
    )
    leaf_hash = serializers.SerializerMethodField()
    body = serializers.DictField(read_only=True)

    class Meta:
        model = Entry
        fields = [
            "index", "id", "at", "action", "actor_id", "actor_name", "actor_kind", "object_type", "object_id",
            "object_version", "object_digest", "request_id", "stream_n", "stream_previous", "leaf_hash", "body",
        ]  # fmt: skip

    def get_leaf_hash(self, entry: Entry) -> str:
        """Return the hash in hex."""
        return bytes(entry.leaf_hash).hex()


class InclusionSerializer(serializers.Serializer[Any]):
    """An inclusion proof."""

    size = serializers.IntegerField()
    root = serializers.CharField()  # type: ignore[assignment]  # a field, not the serializer tree's root
    hashes = serializers.ListField(child=serializers.CharField())
    checkpoint = serializers.CharField(help_text="The signed note over this size and root.")


class EntryWithProofSerializer(EntrySerializer):
    """One entry with the exact leaf and the proof that it is in the log."""

    leaf = serializers.CharField(source="leaf_text", help_text="The bytes under leaf_hash.")
    inclusion = InclusionSerializer(read_only=True)

    class Meta(EntrySerializer.Meta):
        fields = [*EntrySerializer.Meta.fields, "leaf", "inclusion"]


class CheckpointSerializer(serializers.ModelSerializer[Checkpoint]):
    """A signed head of the log."""

    root = serializers.SerializerMethodField()  # type: ignore[assignment]  # a field, not the serializer tree's root

    class Meta:
        model = Checkpoint
        fields = ["size", "root", "at", "note"]

    def get_root(self, checkpoint: Checkpoint) -> str:
        """Return the root in hex."""
        return bytes(checkpoint.root).hex()


class ConsistencySerializer(serializers.Serializer[Any]):
    """A consistency proof."""

    old = serializers.IntegerField()
    new = serializers.IntegerField()
    old_root = serializers.CharField()
    new_root = serializers.CharField()
    hashes = serializers.ListField(child=serializers.CharField())
