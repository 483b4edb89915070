"""Reading the lineage of a sealed version from where it was logged: its run, its logged model, its own files."""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeVar
from uuid import UUID

from django.utils import timezone

from audit.actors import Actor
from config.errors import Invalid
from registry.formats import mlmodel
from registry.models import ManifestFile, ModelVersion
from registry.selectors.experiments import closed_among
from registry.selectors.lineage import PATIENCE
from registry.services.lineage import (
    CodeInput,
    DatasetInput,
    EnvironmentInput,
    LineageInput,
    RunInput,
    note_people,
    record,
    seeds_in,
)
from registry.storage import blobs
from registry.tracking import LoggedModel, NotThere, Run, TrackingClient, UsedDataset

logger = logging.getLogger(__name__)

Found = TypeVar("Found")

BY: Final = Actor.service("lineage")
RUNNING: Final = "RUNNING"
ENVIRONMENT_FILES: Final = ("requirements.txt", "conda.yaml", "python_env.yaml", "constraints.txt")

# What MLflow records by itself comes first; the others are what docs/data-scientists/mlflow.md asks people to set.
_COMMIT: Final = ("mlflow.source.git.commit", "mlflow.git.commit", "git.commit")
_REPOSITORY: Final = ("mlflow.source.git.repoURL", "mlflow.git.repo_url", "git.repository")
_BRANCH: Final = ("mlflow.source.git.branch", "mlflow.git.branch", "git.branch")
_DIRTY: Final = ("mlflow.git.dirty", "git.dirty")
_AUTHOR: Final = ("git.author",)
_BASE_MODEL: Final = ("base_model",)
_DATASET_SHA256: Final = "sha256"
_TRUE: Final = frozenset({"true", "1", "yes", "dirty"})


def record_from_run(
    version_id: UUID, connect: Callable[[], TrackingClient] = TrackingClient, *, patient: bool = False
) -> bool:
    """Record what the run, the logged model and the sealed files of a version say. Nothing, for one that is not sealed.

    A run that was deleted meanwhile is no error: the rest is recorded. One that still goes on is recorded as it is, or, to
    the ``patient``, only its people are, and the answer is no: metrics are often logged after the model, and a node is
    written once. Patience ends with ``PATIENCE`` after sealing. Raises ``TrackingDown`` if the tracking process does
    not answer; the sweeper tries again.
    """
    version = ModelVersion.objects.select_related("model").filter(pk=version_id, sealed_at__isnull=False).first()
    if version is None or version.sealed_at is None:
        return True
    run: Run | None = None
    model: LoggedModel | None = None
    if version.run_id or version.logged_model_id:
        with connect() as tracking:
            model = _there(lambda: tracking.logged_model(version.logged_model_id)) if version.logged_model_id else None
            run = _there(lambda: tracking.run(version.run_id)) if version.run_id else None
    model, run = _seen_by(version, model), _seen_by(version, run)
    inputs = _inputs(version, run, model)
    if patient and run is not None and run.status == RUNNING and timezone.now() - version.sealed_at < PATIENCE:
        note_people(version=version, inputs=inputs, by=BY)
        return False
    try:
        record(version=version, inputs=inputs, by=BY)
    except Invalid as refusal:  # what a client wrote into tags; the rest of the lineage is not lost for it
        logger.warning("Lineage of %s without what its tags say: %s", version, refusal)
        record(version=version, inputs=replace(inputs, code=None, base_models=()), by=BY)
    return True


def _seen_by(version: ModelVersion, found: Found | None) -> Found | None:
    """Nothing of an experiment that is restricted and not for who registered the version: naming a run opens nothing."""
    experiment = getattr(found, "experiment_id", "")
    return None if experiment and closed_among(version.registered_by, [experiment], write=False) else found


def _there(look: Callable[[], Found]) -> Found | None:
    try:
        return look()
    except NotThere as error:
        logger.warning("Lineage without it: %s", error)
        return None


def _inputs(version: ModelVersion, run: Run | None, model: LoggedModel | None) -> LineageInput:
    tags: dict[str, str] = {tag.key: tag.value for tag in version.tags.all()}
    tags |= dict(model.tags) if model else {}
    tags |= dict(run.tags) if run else {}
    base = _first(tags, _BASE_MODEL)
    if not base and version.source.startswith("models:/") and not version.source.startswith("models:/m-"):
        base = version.source
    return LineageInput(
        datasets=tuple(_dataset(used) for used in run.datasets if used.name) if run else (),
        code=_code(tags),
        environment=_environment(version),
        run=_run(run, model),
        base_models=(base,) if base else (),
    )


def _run(run: Run | None, model: LoggedModel | None) -> RunInput | None:
    if run is None:
        return None
    parameters = {**(model.parameters if model else {}), **run.parameters}
    return RunInput(
        id=run.id,
        user=run.user,
        status=run.status,
        started_ms=run.started_ms,
        ended_ms=run.ended_ms,
        parameters=parameters,
        metrics={**(model.metrics if model else {}), **run.metrics},
        seeds=seeds_in(parameters),
    )


def _dataset(used: UsedDataset) -> DatasetInput:
    """``mlflow.log_input(…, tags={"sha256": …})`` says exactly which data set it was; MLflow's own digest cannot."""
    sha256 = used.tags.get(_DATASET_SHA256, "")
    return DatasetInput(
        name=used.name,
        context=used.context,
        sha256=sha256 if re.fullmatch(r"[0-9a-f]{64}", sha256) else "",
        digest=used.digest,
        source=used.source,
        schema=used.schema,
    )


def _code(tags: Mapping[str, str]) -> CodeInput | None:
    """The commit, as far as the client said one; MLflow tells the repository only when asked to (docs: mlflow.md)."""
    commit = _first(tags, _COMMIT)
    if not re.fullmatch(r"[0-9A-Za-z]{4,64}", commit):
        return None
    dirty = _first(tags, _DIRTY)
    return CodeInput(
        commit=commit,
        repository=_first(tags, _REPOSITORY),
        dirty=dirty.lower() in _TRUE if dirty else None,
        author=_first(tags, _AUTHOR),
        path=tags.get("mlflow.source.name", ""),
        branch=_first(tags, _BRANCH),
    )


def _environment(version: ModelVersion) -> EnvironmentInput | None:
    """The digests of the environment files as they were sealed, and the Python that MLmodel names."""
    wanted = (*ENVIRONMENT_FILES, mlmodel.FILE)
    sealed = ManifestFile.objects.filter(manifest=version.manifest_id, path__in=wanted)
    files = dict(sealed.values_list("path", "blob_id"))
    described = files.pop(mlmodel.FILE, None)
    python = ""
    if described:
        with blobs().open(described) as content:
            python = mlmodel.parse(content.read(mlmodel.LARGEST + 1)).python_version
    return EnvironmentInput(python=python, files=files) if files or python else None


def _first(tags: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((tags[name].strip() for name in names if tags.get(name, "").strip()), "")
