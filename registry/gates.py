"""The doors that a policy may guard. The registry states the facts; who guards is named in settings, not imported."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Protocol

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from audit.actors import Actor
from registry.models import ModelVersion, RegisteredModel


class Gatekeeper(Protocol):
    """Asked inside the transaction, with the model's row locked, before each governed write. Raises a ``Refusal``."""

    def check_alias(self, *, model: RegisteredModel, alias: str, version: ModelVersion | None, by: Actor) -> None:
        """Refuse unless ``alias`` may be set to ``version`` (``None``: removed)."""

    def check_stage(self, *, version: ModelVersion, stage: str, by: Actor) -> None:
        """Refuse unless the version may enter ``stage`` and leave the one it is in."""

    def check_tag(self, *, model: RegisteredModel | None, version: ModelVersion | None, key: str, by: Actor) -> None:
        """Refuse a tag that looks like an approval; without a model, on what may become a version."""

    def check_change(
        self, *, model: RegisteredModel, version: ModelVersion | None, verb: str, by: Actor, new_name: str = ""
    ) -> None:
        """Refuse unless the model or version may be changed so (``rename`` to ``new_name``, ``delete``, ``describe``)."""

    def exemptions(self) -> Mapping[str, datetime]:
        """Names of models that nothing guards, ``*`` for all of them, each with the moment since when."""


@cache
def gatekeeper() -> Gatekeeper:
    """The configured gatekeeper. Without one nothing is written: the product fails closed."""
    path = getattr(settings, "GATEKEEPER", "")
    if not path:
        raise ImproperlyConfigured("GATEKEEPER must name the class that guards governed aliases and stages.")
    keeper: Gatekeeper = import_string(path)()
    return keeper


def exempt_since(name: str, exemptions: Mapping[str, datetime]) -> datetime | None:
    """Since when nothing guards the model of that name, or None while something does."""
    return min((exemptions[key] for key in ("*", name) if key in exemptions), default=None)
