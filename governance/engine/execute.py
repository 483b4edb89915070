"""``execute(run) -> Outcome``: whatever the model or the data do becomes an outcome with a sentence, not an exception."""

import io
import logging
import math
import platform
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings

from config.errors import Refusal
from governance import checks, sandbox
from governance.checks import CheckError, CheckInputs, CheckResult, Probe, Roles
from governance.engine.lease import LeaseLost
from governance.engine.sentences import summary_of, verdict_of
from governance.models import CheckRun
from governance.policy import FigureFact
from governance.sandbox import job as sandbox_job
from governance.services.checks import Outcome
from governance.services.planning import CHAMPION, SCORES
from governance.standing import filled_card, policy_of
from registry.digests import SealedFile
from registry.formats import tabular
from registry.formats.scan import MLmodelError, read_model_file, scan_directory
from registry.models import Blob, DatasetVersion, ModelVersion
from registry.storage import blobs, remove_directory

logger = logging.getLogger(__name__)
Progress = Callable[[int, int], None]
SCORING = "scoring"
_NO_RUN = frozenset({"refused_by_scan", "cannot_load", "forbidden", "killed"})
"""Ends that say something about the model as a whole, not about the rows it was asked about."""
CORES = 4
"""A model that computes on several cores may use this many times its wall clock as processor time."""


class SandboxRefused(Exception):
    """The sandbox gave no output; ``outcome`` says why."""

    def __init__(self, outcome: sandbox.SandboxOutcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


def execute(run_id: UUID, progress: Progress) -> Outcome:
    """Run one check to its end. Guarantee: every end is an ``Outcome``, except ``LeaseLost``, which ends nothing."""
    run = CheckRun.objects.select_related(
        "request__version__model",
        "request__model",
        "request__policy_version__policy",
        "dataset__dataset",
        "needs__needs",
    ).get(pk=run_id)
    scratch = Path(settings.DATA_DIR) / "scratch"
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with TemporaryDirectory(prefix="check-", dir=scratch) as directory:
            work = _Work(run, Path(directory), progress)
            try:
                return work.score() if run.category == SCORING else work.check()
            finally:
                work.clean()
    except LeaseLost:
        raise
    except SandboxRefused as refused:
        return _error(refused.outcome.code, _said(refused.outcome), refused.outcome.record())
    except CheckError as error:
        return _error(error.code, error.message)
    except Refusal as refusal:
        return _error(refusal.code, str(refusal))
    except SoftTimeLimitExceeded:
        return _error(
            "timeout", f"It was stopped at the time limit of {settings.CHECK_TIME_LIMIT} seconds for one check."
        )
    except Exception as error:
        # The boundary of a job: a fault of ours must end the check visibly, not run it three times.
        logger.exception("Check %s (%s) failed unexpectedly", run.pk, run.key)
        return _error(
            "internal", f"The check itself failed ({type(error).__name__}); the worker's log has the details."
        )


def _error(code: str, sentence: str, record: dict[str, Any] | None = None) -> Outcome:
    return Outcome(CheckRun.Verdict.ERROR, sentence, error_code=code[:40], sandbox=record or {})


def _said(outcome: sandbox.SandboxOutcome) -> str:
    if outcome.code == "refused_by_scan":
        return f"Not run: the artifact gate refused a file of the model. {outcome.message}"
    return outcome.message


class _Work:
    """One job's working directory, and what it reads."""

    def __init__(self, run: CheckRun, directory: Path, progress: Progress) -> None:
        self.run = run
        self.directory = directory
        self.progress = progress
        self._laid_out: list[Path] = []

    def score(self) -> Outcome:
        """Predictions of one version on one data set, as Parquet in the blob store."""
        version = ModelVersion.objects.get(pk=self.run.parameters["version"])
        dataset = self._dataset()
        outcome = self._sandbox("predict", version, dataset)
        table = outcome.predictions
        if table is None:
            raise SandboxRefused(outcome)
        sink = io.BytesIO()
        pa.parquet.write_table(table, sink)
        output = _store(sink.getvalue())
        result = CheckResult(
            check="predict.scores",
            version=1,
            params={"manifest_digest": version.manifest_digest, "dataset_digest": dataset.digest},
            n=table.num_rows,
            facts={"output_sha256": output, "columns": ", ".join(table.column_names)},
        )
        sentence = f"{table.num_rows} rows predicted in {outcome.seconds:.1f} s."
        return _stored(result, CheckRun.Verdict.PASS, sentence, self._record(outcome), output)

    def check(self) -> Outcome:
        """One check of the catalogue, over the files and tables it needs."""
        use = self.run.requirement["use"]
        needs = set(checks.manifest(use).needs)
        record: dict[str, Any] = {}
        dataset = self._dataset() if self.run.dataset_id else None
        importance = None
        if "importance" in needs and dataset is not None:
            outcome = self._sandbox("importance", self.run.request.version, dataset)
            record, importance = self._record(outcome), outcome.report
        inputs = CheckInputs(
            data=_read_table(dataset) if dataset is not None else None,
            roles=self._roles(),
            predictions=self._scores(SCORES),
            champion=self._scores(CHAMPION),
            training=self._training(),
            importance=importance,
            scan=scan_directory(self._model(self.run.request.version)).as_dict() if "scan" in needs else None,
            card=filled_card(self.run.request.model) if "card" in needs else None,
            required_card=policy_of(self.run.request.policy_version).card if "card" in needs else (),
        )
        check = checks.get(use)
        if isinstance(check, checks.ProbeCheck) and dataset is not None:
            record, inputs = self._probed(check, replace(inputs, roles=self._with_features(inputs.roles)))
        self.progress(0, 1)
        result = checks.run_check(check, inputs, self.run.parameters)
        self.progress(1, 1)
        need = next(one for one in policy_of(self.run.request.policy_version).checks if one.key == self.run.key)
        figures = [FigureFact.from_json(figure) for figure in result.as_dict()["figures"]]
        verdict = verdict_of(need, figures, result.not_applicable)
        return _stored(result, verdict, summary_of(need, figures, result.not_applicable), record)

    def _with_features(self, roles: Roles) -> Roles:
        """The roles, with the inputs that the model's signature names where the data set names none."""
        if roles.features:
            return roles
        try:
            return replace(roles, features=tuple(read_model_file(self._model(self.run.request.version)).inputs))
        except MLmodelError as error:
            raise CheckError("inputs.missing", f"The MLmodel file cannot be read: {error}") from error

    def _probed(self, check: checks.ProbeCheck, inputs: CheckInputs) -> tuple[dict[str, Any], CheckInputs]:
        """Have the check's own rows predicted. A model that gives no answer to one of them has that for an answer."""
        asked = check.probes(inputs, check.params.from_mapping(self.run.parameters))
        record: dict[str, Any] = {}
        answers: dict[str, Probe] = {}
        for number, (name, table) in enumerate(asked.items()):
            path = self.directory / f"probe-{number}.parquet"
            pa.parquet.write_table(table, path)
            outcome = self._run_model("predict", self.run.request.version, path, features=inputs.roles.features)
            if outcome.code in _NO_RUN:
                raise SandboxRefused(outcome)
            answers[name] = Probe(outcome.predictions, "" if outcome.ok else outcome.message)
            record = self._record(outcome) if not record or not outcome.ok else record
        return record, replace(inputs, probes=answers)

    def _sandbox(
        self, mode: sandbox_job.Mode, version: ModelVersion, dataset: DatasetVersion
    ) -> sandbox.SandboxOutcome:
        outcome = self._run_model(mode, version, self._file(dataset), features=self._roles().features)
        if not outcome.ok:
            raise SandboxRefused(outcome)
        return outcome

    def _run_model(
        self, mode: sandbox_job.Mode, version: ModelVersion, data: Path, *, features: tuple[str, ...]
    ) -> sandbox.SandboxOutcome:
        model_dir = self._model(version)
        roles = self._roles()
        signed: tuple[str, ...] = ()
        with suppress(MLmodelError):  # an unreadable MLmodel is the sandbox's to report, with its own sentence
            signed = tuple(read_model_file(model_dir).inputs)
        return sandbox.run(
            sandbox.SandboxJob(
                mode=mode,
                model_dir=model_dir,
                data=data,
                features=() if signed else features,
                label=roles.label,
                positive=roles.positive,
                limits=sandbox.Limits(
                    wall_seconds=float(settings.CHECK_TIME_LIMIT),
                    cpu_seconds=math.ceil(settings.CHECK_TIME_LIMIT * CORES),
                    memory_bytes=settings.SANDBOX_MEMORY_MB * 2**20,
                ),
            ),
            progress=self.progress,
        )

    def _file(self, dataset: DatasetVersion) -> Path:
        """The data as Parquet, which the sandbox reads: the sealed bytes, or a copy of what a CSV file holds."""
        if dataset.format == "parquet":
            return _local(dataset)
        copy = self.directory / "data.parquet"
        pa.parquet.write_table(_read_table(dataset), copy)
        return copy

    def _model(self, version: ModelVersion) -> Path:
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

    def clean(self) -> None:
        """Remove the read-only trees, which an ordinary removal cannot."""
        for target in self._laid_out:
            remove_directory(target)

    def _dataset(self) -> DatasetVersion:
        if self.run.dataset is None:
            raise CheckError("inputs.missing", "No data set was planned for this check.")
        return self.run.dataset

    def _roles(self) -> Roles:
        columns: dict[str, Any] = self.run.dataset.columns if self.run.dataset else {}
        wanted = self.run.requirement.get("sensitive") or columns.get("sensitive") or ()
        return Roles(
            label=columns.get("label"),
            sensitive=tuple(wanted),
            features=tuple(columns.get("features") or ()),
            positive=columns.get("positive"),
        )

    def _scores(self, key: str) -> "pa.Table | None":
        """Predictions of the scoring job of that kind which this run waited for."""
        needed = self.run.needs
        while needed is not None:
            if needed.key.startswith(key) and needed.output_blob_id:
                with blobs().open(needed.output_blob_id) as stream:
                    return pa.parquet.read_table(io.BytesIO(stream.read()))
            needed = needed.needs
        return None

    def _training(self) -> "pa.Table | None":
        """The registered training data, if the plan found it in the lineage of the version."""
        named = self.run.requirement.get("training")
        return _read_table(DatasetVersion.objects.get(pk=named)) if named else None

    def _record(self, outcome: sandbox.SandboxOutcome) -> dict[str, Any]:
        return {
            **outcome.record(),
            "platform": f"python {sys.version.split()[0]}, {platform.system()} {platform.machine()}",
        }


def _stored(result: CheckResult, verdict: str, sentence: str, record: dict[str, Any], output: str = "") -> Outcome:
    digest = _store(result.to_json().encode())
    return Outcome(
        verdict,
        sentence,
        result=result.as_dict(),
        result_digest=digest,
        result_blob=digest,
        output_blob=output,
        sandbox=record,
    )


def _store(content: bytes) -> str:
    """Bytes first, content-addressed; the row that names them follows."""
    sha256, size = blobs().put(io.BytesIO(content))
    Blob.objects.bulk_create([Blob(sha256=sha256, size=size)], ignore_conflicts=True)
    return sha256


def _local(dataset: DatasetVersion) -> Path:
    path = blobs().path(dataset.digest)
    if path is None:
        raise CheckError("inputs.missing", f"The bytes of {dataset} are not in the artifact store.")
    return path


def _read_table(dataset: DatasetVersion) -> "pa.Table":
    """The rows, Parquet or CSV. Raises ``Invalid`` for bytes that are neither."""
    return tabular.read(_local(dataset))[1]
