"""What one job works with: its directory, the sealed model and data in it, and runs of the sandbox. Workers only."""

from __future__ import annotations

import math
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from django.conf import settings

from governance import sandbox
from governance.checks import CheckError, Roles
from governance.engine.rows import parquet_file, table_of
from governance.models import CheckRun
from governance.sandbox import job as sandbox_job
from governance.sandbox.environments import Environments
from governance.standing import policy_of
from registry.digests import SealedFile
from registry.formats.scan import MLmodelError, read_model_file
from registry.models import DatasetVersion, ModelVersion
from registry.storage import blobs, remove_directory

Progress = Callable[[int, int], None]
CORES = 4
"""A model that computes on several cores may use this many times its wall clock as processor time."""


class SandboxRefused(Exception):
    """The sandbox gave no output; ``outcome`` says why."""

    def __init__(self, outcome: sandbox.SandboxOutcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


class Workspace:
    """One job's working directory, and what it reads. ``record`` is what is stored about its runs of the sandbox.

    ``again``: the run is repeated, so its model gets the libraries that it had the first time.
    """

    def __init__(self, run: CheckRun, directory: Path, progress: Progress, *, again: bool = False) -> None:
        self.run = run
        self.again = again
        self.directory = directory
        self.progress = progress
        self.record: dict[str, Any] = {}
        self._laid_out: list[Path] = []

    @property
    def version(self) -> ModelVersion:
        """The version that the request is about."""
        return self.run.request.version

    def dataset(self) -> DatasetVersion:
        """The data the check was planned on. Raises ``CheckError``."""
        if self.run.dataset is None:
            raise CheckError("inputs.missing", "No data set was planned for this check.")
        return self.run.dataset

    def named(self, key: str) -> DatasetVersion | None:
        """A further data set that the plan noted under this key of ``requirement``, such as the training data."""
        pk = self.run.requirement.get(key)
        return DatasetVersion.objects.get(pk=pk) if pk else None

    def roles(self, dataset: DatasetVersion | None = None) -> Roles:
        """The columns' parts; what is sensitive is the policy's to say. Features: see ``with_features``."""
        known = dataset or self.run.dataset
        columns: dict[str, Any] = known.columns if known else {}
        wanted = self.run.requirement.get("sensitive") or columns.get("sensitive") or ()
        never = {columns.get(name) for name in ("weight", "prediction", "id", "time")}
        return Roles(
            label=columns.get("label"),
            sensitive=tuple(wanted),
            features=tuple(name for name in columns.get("features") or () if name not in never),
            positive=columns.get("positive"),
            weight=columns.get("weight"),
            prediction=columns.get("prediction"),
            id=columns.get("id"),
            time=columns.get("time"),
        )

    def with_features(self, roles: Roles) -> Roles:
        """The roles, with the inputs that the model's signature names where the data set names none."""
        if roles.features:
            return roles
        try:
            return replace(roles, features=tuple(read_model_file(self.model(self.version)).inputs))
        except MLmodelError as error:
            raise CheckError("inputs.missing", f"The MLmodel file cannot be read: {error}") from error

    def table(self, dataset: DatasetVersion, names: Sequence[str] | None = None) -> pa.Table:
        """The rows, memory-mapped: these columns, or all. Raises ``Invalid`` for bytes that hold none."""
        return table_of(self.rows_blob(dataset), names)

    def file(self, dataset: DatasetVersion) -> Path:
        """The data as Parquet, which the sandbox reads: the sealed bytes, or a copy of what a CSV file holds."""
        return parquet_file(self.rows_blob(dataset))

    def rows_blob(self, dataset: DatasetVersion) -> str:
        """The bytes that hold the rows: those made when the file was sealed, or the file itself."""
        return str(dataset.rows_blob_id or dataset.digest)

    def model(self, version: ModelVersion) -> Path:
        """The sealed files, each hashed again while it is laid out. Raises ``BlobDamaged`` and ``NotFound``."""
        target = self.directory / f"model-{version.manifest_digest[:12]}"
        if target not in self._laid_out:
            manifest = version.manifest
            if manifest is None:
                raise CheckError("inputs.missing", f"{version} is not sealed.")
            rows = manifest.files.select_related("blob")
            blobs().local_directory([SealedFile(row.path, row.blob.size, row.blob.sha256) for row in rows], target)
            self._laid_out.append(target)
        return target

    def run_model(
        self,
        mode: sandbox_job.Mode,
        version: ModelVersion,
        data: Path,
        *,
        roles: Roles,
        options: Mapping[str, Any] | None = None,
    ) -> sandbox.SandboxOutcome:
        """Run the model over the rows of a file, and keep the record of the first run, or of the last that failed.

        ``options`` are the mode's own.
        """
        model_dir = self.model(version)
        signed: tuple[str, ...] = ()
        with suppress(MLmodelError):  # an unreadable MLmodel is the sandbox's to report, with its own sentence
            signed = tuple(read_model_file(model_dir).inputs)
        outcome = sandbox.run(
            sandbox.SandboxJob(
                mode=mode,
                model_dir=model_dir,
                data=data,
                features=() if signed else roles.features,
                label=roles.label,
                positive=roles.positive,
                options=options or {},
                **protection(self.run, then=self._then(version)),
                limits=sandbox.Limits(
                    wall_seconds=float(settings.CHECK_TIME_LIMIT),
                    cpu_seconds=math.ceil(settings.CHECK_TIME_LIMIT * CORES),
                    memory_bytes=settings.SANDBOX_MEMORY_MB * 2**20,
                ),
            ),
            progress=self.progress,
        )
        if not self.record or not outcome.ok:
            self.record = {
                **outcome.record(),
                "platform": f"python {sys.version.split()[0]}, {platform.system()} {platform.machine()}",
            }
        return outcome

    def _then(self, version: ModelVersion) -> Mapping[str, Any]:
        """What is recorded of the environment that this version had, where the run is repeated."""
        own = str(self.run.parameters.get("version", self.run.request.version_id))
        return (self.run.sandbox.get("environment") or {}) if self.again and str(version.pk) == own else {}

    def clean(self) -> None:
        """Remove the read-only trees, which an ordinary removal cannot."""
        for target in self._laid_out:
            remove_directory(target)


def protection(run: CheckRun, *, then: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the policy demands of the sandbox, and where the operator lets environments be built from.

    ``then``: the record of the environment of an earlier run, which is to be had again.
    """
    demanded = policy_of(run.request.policy_version).sandbox
    then = then or {}
    return {
        "level": demanded.level,
        "compatible": demanded.environment == "compatible",
        "environments": None
        if then.get("kind") == "platform"
        else Environments(
            lock=str(then.get("lock_digest", "")),
            indexes=settings.SANDBOX_INDEXES,
            root=Path(settings.DATA_DIR) / "environments",
            build_seconds=settings.SANDBOX_BUILD_SECONDS,
            max_bytes=settings.SANDBOX_ENVIRONMENT_MB * 2**20,
            cache_bytes=settings.SANDBOX_ENVIRONMENTS_MB * 2**20,
        ),
    }
