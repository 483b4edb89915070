"""What the inventory and a model's page show: typed rows, already narrowed to what the person may see."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, Q, QuerySet

from config.pagination import page_of
from registry.models import Alias, ModelVersion, RegisteredModel, User

LIVE_ALIAS: Final = "production"
STAGING_ALIAS: Final = "staging"
_HEX: Final = re.compile(r"(?:sha256:)?([0-9a-f]{8,64})")


@dataclass(frozen=True, slots=True)
class InventoryRow:
    """One model with the versions that its aliases ``production`` and ``staging`` name, and its newest one."""

    model: RegisteredModel
    live: Alias | None
    staging: Alias | None
    latest: ModelVersion | None


@dataclass(frozen=True, slots=True)
class Inventory:
    """One page of models, the token of the next page, and how many there are by tier and in all."""

    rows: list[InventoryRow]
    next: str
    total: int
    live: int
    tiers: list[tuple[int, str, int]]


@dataclass(frozen=True, slots=True)
class InventoryQuery:
    """What was asked: words of the name or use case, tiers, and whether only live ones (``live``/``not_live``)."""

    text: str = ""
    tiers: Sequence[int] = ()
    view: str = ""


def inventory(user: User, query: InventoryQuery, *, after: str = "", size: int = 25) -> Inventory:
    """Models the person may see, by name.

    Raises:
        Invalid: the page token is not one of ours.

    """
    visible = RegisteredModel.objects.alive().visible_to(user)
    live = Q(aliases__name=LIVE_ALIAS)
    counted = {row["tier"]: row["n"] for row in visible.values("tier").annotate(n=Count("pk")).order_by()}
    found = visible.select_related("owner", "team")
    if query.text:
        found = found.filter(Q(name__icontains=query.text) | Q(use_case__icontains=query.text))
    if query.tiers:
        found = found.filter(tier__in=query.tiers)
    if query.view == "live":
        found = found.filter(live)
    elif query.view == "not_live":
        found = found.exclude(live)
    page = page_of(found, after=after, size=size, keys=("name", "pk"))
    return Inventory(
        rows=_rows(page.rows),
        next=page.next,
        total=sum(counted.values()),
        live=visible.filter(live).count(),
        tiers=[(tier.value, str(tier.label), counted.get(tier.value, 0)) for tier in RegisteredModel.Tier],
    )


def _rows(models: list[RegisteredModel]) -> list[InventoryRow]:
    aliases = Alias.objects.filter(model__in=models, name__in=[LIVE_ALIAS, STAGING_ALIAS]).select_related("version")
    by_model = {(alias.model_id, alias.name): alias for alias in aliases}
    newest = (
        ModelVersion.objects.filter(model__in=models, deleted_at=None)
        .order_by("model_id", "-number")
        .distinct("model_id")
    )
    latest = {version.model_id: version for version in newest}
    return [
        InventoryRow(
            model=model,
            live=by_model.get((model.pk, LIVE_ALIAS)),
            staging=by_model.get((model.pk, STAGING_ALIAS)),
            latest=latest.get(model.pk),
        )
        for model in models
    ]


def version_by_digest(user: User, text: str) -> ModelVersion | None:
    """The visible version whose manifest digest starts with ``text``, if it is hexadecimal and names exactly one."""
    match = _HEX.fullmatch(text.replace(" ", "").removesuffix("…").lower())
    if match is None:
        return None
    found = ModelVersion.objects.alive().visible_to(user).filter(manifest_digest__startswith=match[1])
    some = list(found.select_related("model")[:2])
    return some[0] if len(some) == 1 else None


def version_by_words(user: User, name: str, number: int) -> ModelVersion | None:
    """The visible version ``number`` of the model of that very name."""
    found = ModelVersion.objects.alive().visible_to(user).filter(model__name=name, number=number)
    return found.select_related("model").first()


def versions_of(model: RegisteredModel) -> QuerySet[ModelVersion]:
    """The versions of one model with what its table shows."""
    return (
        ModelVersion.objects.filter(model=model, deleted_at=None)
        .select_related("registered_by", "model")
        .prefetch_related("aliases")
    )
