"""The erasure of a person."""

from typing import Any

from rest_framework import serializers

from registry.api.fields import Input, Text
from registry.services.access import Erased


class EraseIn(Input):
    """Who, once more by name, and why."""

    username = Text(max_length=150, single_line=True)
    reason = Text(max_length=2000, help_text="Kept in the log for ever, so it must not name the person.")


class ErasureOut(serializers.Serializer[Any]):
    """How it stands with a person."""

    person = serializers.CharField(help_text="How the log names them, such as user:7.")
    erased = serializers.BooleanField()
    needs = serializers.ListField(child=serializers.CharField())


class ErasedOut(serializers.Serializer[Erased]):
    """What was done."""

    entry = serializers.CharField(source="entry_id", help_text="The entry person.erased.")
    commitments = serializers.IntegerField(help_text="Sealed values that can never be opened again.")
    tokens = serializers.IntegerField()
    teams = serializers.IntegerField()
    kept = serializers.ListField(child=serializers.CharField(), help_text="Where the name still stands, and why.")
