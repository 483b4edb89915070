"""What is known of the signatures that came along with a version."""

from collections.abc import Sequence

from registry.models import ModelSignature, ModelVersion


def newest(version: ModelVersion) -> Sequence[ModelSignature]:
    """The newest look at each signature among a version's files, by path."""
    looks = ModelSignature.objects.filter(version=version).select_related("blob")
    return list(looks.order_by("path", "-checked_at").distinct("path"))
