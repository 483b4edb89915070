"""``run(job) -> outcome``: stage, scan, start, follow, judge the end, and parse the output."""

# ruff: noqa: PLC0415 - the child imports this module too, and loads pyarrow only after it is confined
from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from governance.sandbox.failed import EnvironmentFailed
from governance.sandbox.job import (
    Code,
    Layers,
    Limits,
    Progress,
    SandboxJob,
    SandboxOutcome,
    limits_as_dict,
)
from governance.sandbox.levels import level_of, reaches, why_refused
from governance.sandbox.modes import MODES, module_of
from governance.sandbox.process import Ended, follow
from governance.sandbox.staging import Stage, staged
from registry.formats.scan import MLmodelError, ModelFile, read_model_file, scan_directory

if TYPE_CHECKING:
    from governance.sandbox.environments import Chosen

_NONE = Layers({})
_READERS = ("skops", "cloudpickle")
"""Formats that are read by the package of that name."""
_ROW_BYTES = 24
"""Two numbers and their validity, for each row."""
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def run(job: SandboxJob, progress: Progress = lambda _done, _total: None) -> SandboxOutcome:
    """Run one job to its end. Raises ``OSError`` if files cannot be staged, and what ``progress`` raises.

    Guarantee: whatever the model does is an outcome, never an exception; when this returns no process of the
    model is left and its directory is gone. ``progress`` is called in this thread.
    """
    if refused := _unfit(job):
        return refused
    with staged(job) as stage:
        prepared = _prepare(job, stage)
        if isinstance(prepared, SandboxOutcome):
            return prepared
        try:
            with _environment(job, stage, prepared, progress) as chosen:
                if job.compatible and chosen.record and not chosen.record["compatible"]:
                    return SandboxOutcome("environment_failed", _differs(chosen), _NONE, environment=chosen.record)
                ended = follow(prepared, stage, chosen, limits=job.limits, progress=progress)
        except EnvironmentFailed as error:
            return SandboxOutcome("environment_failed", str(error), _NONE)
        outcome = _judge(job, ended) or _collect(job, stage, prepared)
    notes = (f"{ended.garbage} lines of garbage on the result channel were dropped.",) if ended.garbage else ()
    return replace(
        outcome,
        layers=Layers(dict(ended.layers)),
        seconds=ended.seconds,
        cpu_seconds=ended.cpu_seconds,
        peak_bytes=ended.peak_bytes,
        notes=notes,
        detail=ended.stderr.decode("utf-8", errors="replace"),
        environment=chosen.record,
        warm=ended.warm,
    )


def _differs(chosen: Chosen) -> str:
    words = str(chosen.record["words"]).replace("It ran in", "Here is only", 1)
    return f"The policy demands the libraries that the model records. {words} Nothing of the model was run."


@contextmanager
def _environment(job: SandboxJob, stage: Stage, told: dict[str, Any], progress: Progress) -> Iterator[Chosen]:
    """The libraries this run gets. Raises ``EnvironmentFailed``, and what ``progress`` raises."""
    from governance.sandbox.environments import Chosen, choose

    if stage.model_dir is None or not MODES[job.mode].model:
        yield Chosen({})
        return
    needs = ["mlflow"] if told["flavor"] == "python_function" else [one for one in _READERS if one == told["format"]]
    with choose(
        stage.model_dir, needs=needs, allowed=job.environments, beat=lambda: progress(0, max(1, told["rows"]))
    ) as chosen:
        yield chosen


def _unfit(job: SandboxJob) -> SandboxOutcome | None:
    """The outcome of a job that lacks what its mode needs."""
    if job.mode not in MODES:
        return SandboxOutcome("input_invalid", f"The sandbox has no mode “{job.mode}”.", _NONE)
    mode = MODES[job.mode]
    if mode.model and (job.model_dir is None or not job.model_dir.is_dir()):
        name = job.model_dir.name if job.model_dir else "none given"
        return SandboxOutcome("cannot_load", f"There is no model directory “{name}”.", _NONE)
    if mode.data and job.data is None:
        return SandboxOutcome("input_invalid", "There is no data file.", _NONE)
    for path in (*([job.data] if job.data else []), *job.files.values()):
        if not path.is_file():
            return SandboxOutcome("input_invalid", f"There is no data file “{path.name}”.", _NONE)
    if odd := next((name for name in job.files if not _FILE_NAME.fullmatch(name)), None):
        return SandboxOutcome("input_invalid", f"A file cannot be staged under the name “{odd[:100]}”.", _NONE)
    return None


def _prepare(job: SandboxJob, stage: Stage) -> dict[str, Any] | SandboxOutcome:
    """What the child is told; or the outcome that makes a run pointless."""
    signed: tuple[str, ...] = ()
    flavor = format_ = file = ""
    if stage.model_dir is not None and MODES[job.mode].model:
        try:
            model = read_model_file(stage.model_dir)
            flavor, format_, file = _flavor(model)
            signed = model.inputs
        except MLmodelError as error:
            return SandboxOutcome("cannot_load", str(error), _NONE)
        if job.scan and not (report := scan_directory(stage.model_dir)).ok:
            first = report.refused[0]
            more = f" ({len(report.refused) - 1} more)" if len(report.refused) > 1 else ""
            return SandboxOutcome("refused_by_scan", f"{first.path}: {first.message}{more}", _NONE)
    rows = _table(job, stage, signed)
    if isinstance(rows, SandboxOutcome):
        return rows
    inputs = (stage.model_dir, rows["data"], *stage.files.values())
    limits = _with_room_for(job.limits, rows["rows"])
    return {
        **rows,
        "mode": job.mode,
        "model_dir": str(stage.model_dir or ""),
        "files": {name: str(path) for name, path in stage.files.items()},
        "readable": [str(path) for path in inputs if path],
        "scratch": str(stage.scratch),
        "uid": stage.uid,
        "code": [str(path) for path in stage.code],
        "limits": limits_as_dict(limits),
        "max_bytes": limits.file_bytes,
        "flavor": flavor,
        "format": format_,
        "model_file": file,
        "listed_only": job.scan,
        "positive": job.positive,
        "seed": job.seed,
        "options": dict(job.options),
        "warm": job.warm,
        "level": job.level,
    }


def _with_room_for(limits: Limits, rows: int) -> Limits:
    """A prediction and a score for every row are no excess, however many rows there are."""
    needed = rows * _ROW_BYTES + 1024**2
    if needed <= limits.file_bytes:
        return limits
    return replace(limits, file_bytes=needed, scratch_bytes=limits.scratch_bytes + needed)


def _table(job: SandboxJob, stage: Stage, signed: tuple[str, ...]) -> dict[str, Any] | SandboxOutcome:
    """The staged table with only the columns that the child is given, their names, and the number of rows."""
    if stage.data is None:
        return {"data": "", "features": list(job.features), "rows": 0, "missing": []}
    # Imported here: the child imports this module too, and loads pyarrow only after it is confined.
    import pyarrow as pa

    from governance.sandbox import table

    try:
        schema, rows = table.described(stage.data)
    except (pa.ArrowException, OSError) as error:
        return SandboxOutcome("input_invalid", f"The data set is neither Parquet nor Arrow: {error}", _NONE)
    features = job.features or signed or tuple(name for name in schema.names if name != job.label)
    missing = [name for name in features if name not in schema.names]
    if missing:
        sentence = f"The data set has no column “{missing[0]}”, which the model needs."
        return SandboxOutcome("input_invalid", sentence, _NONE)
    if rows == 0:
        return SandboxOutcome("input_invalid", "The data set has no rows.", _NONE)
    data, missing = table.only(stage.data, list(features))
    kinds = [schema.field(name).type for name in features]
    return {
        "data": str(data),
        "features": list(features),
        "rows": rows,
        "missing": missing,
        # The categories of a column hold for all of its rows, so such a table is read in one piece.
        "streamed": not any(pa.types.is_dictionary(kind) or pa.types.is_nested(kind) for kind in kinds),
    }


def _flavor(model: ModelFile) -> tuple[str, str, str]:
    """Flavour, serialisation format and file: the native flavour first, for its scores."""
    if "sklearn" in model.flavors:
        config = model.flavors["sklearn"]
        return "sklearn", str(config.get("serialization_format", "cloudpickle")), model.data_path("sklearn")
    if "python_function" in model.flavors:
        if model.loader_module == "mlflow.sklearn":  # MLflow would unpickle it without asking anybody
            return "sklearn", "cloudpickle", model.data_path("python_function")
        return "python_function", "", ""
    known = ", ".join(sorted(model.flavors))
    raise MLmodelError(
        "mlmodel.flavor", f"None of the model's flavours ({known}) can be run. Log it with mlflow.sklearn."
    )


def _judge(job: SandboxJob, ended: Ended) -> SandboxOutcome | None:
    """What the end of the process says by itself; None when it left an answer to read."""
    reached = bool(ended.layers) and reaches(level_of(ended.layers), job.level)
    if reached and not ended.forbidden and not ended.stopped and ended.status == 0:
        return None
    code, message = _ending(job, ended)
    return SandboxOutcome(code, message, _NONE)


def _ending(job: SandboxJob, ended: Ended) -> tuple[Code, str]:
    limits = job.limits
    too_long: tuple[Code, str] = ("cpu", f"The model used more than {limits.cpu_seconds} seconds of CPU.")
    if ended.layers and not reaches(level_of(ended.layers), job.level):
        return "level_unmet", why_refused(ended.layers, job.level)
    if ended.forbidden:
        return "forbidden", f"The model {ended.forbidden}. The sandbox refused it and ended the run."
    if ended.stopped:
        return _stopped(limits, ended.stopped)
    if not ended.layers:
        return "killed", f"The sandbox could not be set up: {_last_line(ended.stderr)}"
    if ended.status > 0:
        return "killed", f"The model left the process with status {ended.status} and no answer."
    by_signal: dict[int, tuple[Code, str]] = {
        signal.SIGXCPU: too_long,
        signal.SIGSYS: ("forbidden", "The model made a system call that the sandbox forbids, and was ended."),
        signal.SIGXFSZ: ("output_too_large", f"The model wrote a file above {limits.file_bytes} bytes."),
    }
    name = {one.value: one.name for one in signal.Signals}.get(-ended.status, f"signal {-ended.status}")
    died: tuple[Code, str] = ("killed", f"The process of the model died with {name}.")
    return by_signal.get(-ended.status, too_long if ended.cpu_seconds >= limits.cpu_seconds else died)


def _stopped(limits: Limits, why: str) -> tuple[Code, str]:
    """We ended it: what for."""
    if why == "timeout":
        return "timeout", f"The model was stopped at its limit of {limits.wall_seconds:g} seconds."
    if why == "memory":
        return "memory", _too_much_memory(limits)
    if why == "noise":
        return "output_too_large", f"The model wrote more than {limits.noise_bytes} bytes of error output and messages."
    return "output_too_large", f"The model wrote more than {limits.scratch_bytes} bytes."


def _too_much_memory(limits: Limits) -> str:
    return f"The model asked for more memory than its limit of {limits.memory_bytes // 1024**2} MiB."


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"


_SENTENCES = {
    "raised": "The model raised in predict: {}",
    "forbidden": "The model tried to reach something outside its sandbox: {}",
    "cannot_load": "The model cannot be loaded: {}",
    "output_too_large": "The model wrote too much: {}",
}


def _collect(job: SandboxJob, stage: Stage, told: dict[str, Any]) -> SandboxOutcome:
    """The answer and the output, checked."""
    from governance.sandbox.output import InvalidOutputError, read_answer

    try:
        answer = read_answer(stage.scratch)
        if answer is None:
            return SandboxOutcome("killed", "The model left the process without an answer.", _NONE)
        code = answer["code"]
        if code == "memory":
            return SandboxOutcome("memory", _too_much_memory(job.limits), _NONE)
        if code != "ok":
            return SandboxOutcome(code, _SENTENCES[code].format(str(answer.get("message", ""))[:500]), _NONE)
        report = answer.get("report")
        if not isinstance(report, dict):
            raise InvalidOutputError("The answer of the sandbox holds no report.")
        output = module_of(job.mode).read(report, told, stage.scratch)
        return SandboxOutcome("ok", output.message, _NONE, predictions=output.predictions, report=output.report)
    except InvalidOutputError as error:
        return SandboxOutcome("output_invalid", str(error), _NONE)
