"""What the model card is held against: when it was last changed, when the version was made, and with which data. Workers only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from audit.selectors import entries_about
from governance.engine.workspace import Workspace
from registry.models import DatasetVersion, ModelVersion, RegisteredModel
from registry.selectors.lineage import node_of, upstream


def papers_of(work: Workspace) -> dict[str, Any]:
    """Dates (ISO 8601), the data sets of the version, and the versions of those data sets that the card names."""
    version, model = work.version, work.run.request.model
    used = list(_used(version, model))
    text = " ".join(str(value) for value in model.card.values())
    sealed = DatasetVersion.objects.sealed().select_related("dataset")
    names = [name for name in sealed.values_list("dataset__name", flat=True).distinct().order_by() if name in text]
    return {
        "card_changed": _changed(model),
        "version_made": version.created_at.isoformat(),
        "used": [_said(one) for one in used],
        "named": [_said(one) for one in sealed.filter(dataset__name__in=names).order_by("dataset__name", "number")],
    }


def _said(one: DatasetVersion) -> dict[str, Any]:
    return {"name": one.dataset.name, "number": one.number, "sha256": one.digest}


def _used(version: ModelVersion, model: RegisteredModel) -> Iterator[DatasetVersion]:
    """Those of the lineage, and those that the model is evaluated on."""
    sealed = DatasetVersion.objects.sealed().select_related("dataset").order_by("dataset__name", "number")
    if model.evaluation_dataset_id is not None:
        yield from sealed.filter(dataset=model.evaluation_dataset_id)
    node = node_of(version)
    if node is not None:
        digests = {str(one.digests.get("sha256", "")) for one in upstream(node).nodes if one.kind == "dataset"}
        yield from sealed.filter(digest__in=digests - {""})


def _changed(model: RegisteredModel) -> str:
    """When the card was last changed, by the log; "" where the log does not say."""
    made = entries_about("registry.registeredmodel", str(model.pk))
    made = made.filter(action__in=("model.created", "model.changed"))
    for entry in made.order_by("-index")[:200]:
        if entry.action != "model.changed" or "card" in (json.loads(entry.canon).get("diff") or {}):
            return str(entry.at.isoformat())
    return ""
