"""One small loader for each need of a check: from a job's workspace to fields of ``CheckInputs``. Workers only.

A new need is a function here and a row in ``LOADERS``. Where there is nothing to load, a loader gives None for its
field, and the check says what that means. A loader that runs the model raises ``SandboxRefused`` when there is no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

import pyarrow as pa
from django.conf import settings

from governance import advisories, vendors
from governance.checks.contract import CheckInputs, Manifest, Need, Roles
from governance.checks.model.requirement_files import recorded
from governance.engine.papers import papers_of
from governance.engine.resources import timed
from governance.engine.rows import table_of
from governance.engine.scripts import answer_of
from governance.engine.workspace import Workspace
from governance.models import CheckRun
from governance.standing import filled_card, policy_of
from registry.formats.scan import scan_directory
from registry.models import ModelVersion

Fields = Mapping[str, Any]
Loader = Callable[[Workspace], Fields]
_LONGEST_REQUIREMENTS: Final = 2**20


def gather(work: Workspace, about: Manifest) -> CheckInputs:
    """Everything that the check's manifest asks for, and the data it was planned on."""
    roles = work.roles()
    fields: dict[str, Any] = {"roles": roles}
    if work.run.dataset_id:
        fields["data"] = work.table(work.dataset(), columns_read(about, roles, work.run.parameters))
    if work.run.requirement.get("training"):
        fields |= _training(work)
    for need in about.needs:
        if (loader := LOADERS.get(need)) is not None:
            fields |= loader(work)
    return CheckInputs(**fields)


def columns_read(about: Manifest, roles: Roles, params: Mapping[str, Any]) -> list[str] | None:
    """The columns of the data that the check may read; None means all of them.

    Those with a role, and what its parameters name: as ``column``, as ``column=group``, alone or in a list.
    """
    if about.reads == "all":
        return None
    parts = (roles.label, *roles.sensitive, roles.weight, roles.prediction, roles.id, roles.time)
    named = [one for value in params.values() for one in (value if isinstance(value, list | tuple) else [value])]
    words = [one for one in named if isinstance(one, str)]
    return [*filter(None, parts), *words, *(word.partition("=")[0] for word in words)]


def _predictions(work: Workspace) -> Fields:
    return {"predictions": _scored(work, work.version, work.run.dataset_id)}


def _champion(work: Workspace) -> Fields:
    return {"champion": _scored(work, work.run.request.replaces, work.run.dataset_id)}


def _training(work: Workspace) -> Fields:
    """The registered training data, if the plan found it in the lineage of the version."""
    found = work.named("training")
    return {"training": work.table(found) if found else None}


def _training_predictions(work: Workspace) -> Fields:
    found = work.named("training")
    return {"training_predictions": _scored(work, work.version, found.pk if found else None), **_training(work)}


def _live_data(work: Workspace) -> Fields:
    """The newest sealed data of the same name with the role “live”."""
    found = work.named("live_data")
    return {"live_data": work.table(found) if found else None}


def _scan(work: Workspace) -> Fields:
    return {"scan": scan_directory(work.model(work.version)).as_dict()}


def _card(work: Workspace) -> Fields:
    request = work.run.request
    return {"card": filled_card(request.model), "required_card": policy_of(request.policy_version).card}


def _metrics(work: Workspace) -> Fields:
    """The metrics that were recorded with the version, by whoever trained it."""
    return {"metrics": dict(work.version.metrics)}


def _requirements(work: Workspace) -> Fields:
    """The texts of the requirement files that lie beside the model, by name."""
    texts = {}
    for name in ("requirements.txt", "conda.yaml", "python_env.yaml"):
        file = work.model(work.version) / name
        if file.is_file() and not file.is_symlink() and file.stat().st_size <= _LONGEST_REQUIREMENTS:
            texts[name] = file.read_text("utf-8", errors="replace")
    return {"requirements": texts}


def _latency(work: Workspace) -> Fields:
    """The times that the sandbox takes, with the facts of this machine."""
    return {"latency": timed(work)}


def _advisories(work: Workspace) -> Fields:
    """What the operator's list says of the recorded packages; None where there is no list."""
    names = {one.name for one in recorded(_requirements(work)["requirements"])}
    return {"advisories": advisories.known(settings.ADVISORIES_DIR, names)}


def _signature(work: Workspace) -> Fields:
    """The inputs of the model's signature; None where it has none."""
    inputs = work.version.signature.get("inputs")
    return {"signature": inputs if isinstance(inputs, list) else None}


def _papers(work: Workspace) -> Fields:
    return {"papers": papers_of(work)}


def _script(work: Workspace) -> Fields:
    """What the policy's script says of the data and the predictions."""
    found = _predictions(work)
    return {"script": answer_of(work, found["predictions"])}


LOADERS: Final[Mapping[Need, Loader]] = {
    "predictions": _predictions,
    "scores": _predictions,
    "champion": _champion,
    "training": _training,
    "train_predictions": _training_predictions,
    "live_data": _live_data,
    "scan": _scan,
    "card": _card,
    "metrics": _metrics,
    "recorded": _metrics,
    "requirements": _requirements,
    "latency": _latency,
    "advisories": _advisories,
    "signature": _signature,
    "papers": _papers,
    "script": _script,
}
"""Needs that are not here are columns of the data (``label``, ``sensitive``) or are met by the kind of check (``probe``)."""


def _scored(work: Workspace, version: ModelVersion | None, dataset: UUID | None) -> pa.Table | None:
    """What that version predicts on that data, by a scoring job which this run waited for."""
    if version is None or dataset is None:
        return None
    waited = [*work.run.also_needs, *([work.run.needs_id] if work.run.needs_id else [])]
    found = CheckRun.objects.filter(pk__in=waited, dataset=dataset, parameters__version=str(version.pk)).first()
    if found is None or found.output_blob_id is None:
        return None
    if vendors.check_allowed(work.run.requirement, found.parameters):
        work.record[vendors.KEY] = True
    return table_of(found.output_blob_id)
