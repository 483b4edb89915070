"""What may not be done in the tracking process to that from which a version was made. Only asked here, never written."""

from collections.abc import Iterable

from django.db import transaction

from audit.actors import Actor
from config.errors import Conflict
from registry.gates import gatekeeper
from registry.models import ModelVersion
from registry.selectors import experiments as seen
from registry.services.gated import asking, recording_refusals


@recording_refusals
@transaction.atomic
def check_run_tags(*, keys: Iterable[str], run_id: str, by: Actor) -> None:
    """Refuse tags that look like approvals on a run from which a version was registered. Raises the gate's refusal."""
    version = seen.registered_of(run_id=run_id)
    if version is not None:
        for key in keys:
            with asking(version, by) as gate:
                gate.check_tag(model=version.model, version=version, key=key, by=by)


@recording_refusals
@transaction.atomic
def check_logged_model_tags(*, keys: Iterable[str], logged_model_id: str, by: Actor) -> None:
    """Refuse tags that look like approvals on any logged model: it becomes a version as it is. Raises as above."""
    version = seen.registered_of(logged_model_id=logged_model_id)
    for key in keys:
        if version is None:
            gatekeeper().check_tag(model=None, version=None, key=key, by=by)
        else:
            with asking(version, by) as gate:
                gate.check_tag(model=version.model, version=version, key=key, by=by)


def check_path_not_sealed(path: str) -> None:
    """Raise ``Conflict`` if a living version was sealed from what is at this path of the artifact store."""
    version = seen.sealed_at(path)
    if version is not None:
        raise Conflict(
            f"{version} was sealed from the artifacts at {version.artifact_path or path}, so they stay as they are.",
            code="version.sealed",
            remedy=f"Log the model anew and register that, or delete version {version.number} first.",
            extra={"model": version.model.name, "version": version.number},
        )


def check_not_sealed(*, run_id: str = "", logged_model_id: str = "", experiment_id: str = "") -> None:
    """Raise ``Conflict`` if a living version was sealed from this run, logged model or experiment."""
    version = seen.sealed_of(run_id=run_id, logged_model_id=logged_model_id, experiment_id=experiment_id)
    if version is not None:
        raise Conflict(
            _origin_stays(version, run_id, logged_model_id),
            code="version.sealed",
            remedy=(f"Delete version {version.number} of {version.model.name} first, if nothing needs it any more."),
            extra={"model": version.model.name, "version": version.number},
        )


def _origin_stays(version: ModelVersion, run_id: str, logged_model_id: str) -> str:
    what = (
        f"the run {run_id}"
        if run_id
        else f"the logged model {logged_model_id}"
        if logged_model_id
        else "its experiment"
    )
    return f"{version} was sealed from {what}, which is its origin on record and cannot be deleted."
