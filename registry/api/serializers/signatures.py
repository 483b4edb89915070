"""What was found in a version's OpenSSF model signatures."""

from typing import ClassVar

from rest_framework import serializers

from registry.models import ModelSignature


class SignatureOut(serializers.ModelSerializer[ModelSignature]):
    """The newest look at one signature."""

    sha256 = serializers.CharField(source="blob_id", help_text="Of the signature's file.")
    problems = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = ModelSignature
        fields: ClassVar = [
            *("path", "sha256", "state", "signer", "subject", "fingerprint", "root_digest"),
            *("covered", "problems", "checked_at"),
        ]


class SignaturesOut(serializers.Serializer[object]):
    """All of a version."""

    results = SignatureOut(many=True)
