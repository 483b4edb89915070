"""Predictions of one version on one data set, by chunks of rows through the sandbox: neither side holds them all.

Chunks end where the sandbox's own batches end, and a column has the same type in all of them, so that a model sees the
same batches however the rows are cut into chunks, or parts for several workers: the predictions are the same bytes.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.ipc

from governance import sandbox
from governance.checks import CheckError, CheckResult
from governance.engine.rows import map_stream, rows_in
from governance.engine.storing import state_of, store_rows, store_state, stored
from governance.engine.workspace import Progress, SandboxRefused, Workspace
from governance.models import CheckRun
from governance.sandbox.modes.predict import CHUNK
from governance.services.checks import Outcome
from governance.services.parts import PartClaim
from registry.models import DatasetVersion, ModelVersion

CELLS: Final = 30_000_000
"""So many cells of the data go into the sandbox at a time: 240 MB as numbers, and a model needs room beside them."""
_RECORD: Final = b"countersign.sandbox"


def score(
    run: CheckRun, directory: Path, progress: Progress, *, part: tuple[int, int] = (0, 1), again: bool = False
) -> tuple[pa.Table, sandbox.SandboxOutcome, dict[str, Any]]:
    """The predictions for a part (i of k) of the rows, memory-mapped; how it went; and its record. Nothing is stored.

    The outcome is that of the last chunk, with the times of all. ``again``: with the libraries on record. Raises
    ``CheckError``, ``Refusal``, ``SandboxRefused`` and what ``progress`` raises.
    """
    work = Workspace(run, directory, progress, again=again)
    try:
        return _in_chunks(work, ModelVersion.objects.get(pk=run.parameters["version"]), directory, part)
    finally:
        work.clean()


def score_part(run: CheckRun, held: PartClaim, directory: Path, progress: Progress) -> str:
    """Where the predictions for one part lie in the blob store, with the sandbox's record beside them."""
    table, outcome, record = score(run, directory, progress, part=(held.number, held.of))
    beside = {_RECORD: json.dumps({"record": record, "seconds": outcome.seconds}).encode()}
    return store_state(table.replace_schema_metadata(beside), directory / "state.arrow")


def scored(run: CheckRun, directory: Path, progress: Progress) -> Outcome:
    """The predictions as Parquet in the blob store: computed here, or put together from the parts."""
    parts = [str(sha256) for sha256 in run.parts.order_by("number").values_list("counts_id", flat=True)]
    if parts:
        table, seconds, record = _put_together(parts, directory / "predictions.arrow")
    else:
        table, outcome, record = score(run, directory, progress)
        seconds = outcome.seconds
    output = store_rows(table, directory / "predictions.parquet")
    version = ModelVersion.objects.get(pk=run.parameters["version"])
    result = CheckResult(
        check="predict.scores",
        version=1,
        params={
            "manifest_digest": version.manifest_digest,
            "dataset_digest": run.dataset.digest if run.dataset else "",
        },
        n=table.num_rows,
        facts={"output_sha256": output, "columns": ", ".join(table.column_names)},
    )
    sentence = f"{table.num_rows} rows predicted in {seconds:.1f} s."
    return stored(result, CheckRun.Verdict.PASS, sentence, record, output)


def _in_chunks(
    work: Workspace, version: ModelVersion, directory: Path, part: tuple[int, int]
) -> tuple[pa.Table, sandbox.SandboxOutcome, dict[str, Any]]:
    dataset, roles = work.dataset(), work.roles()
    if not roles.features:  # and the model's signature names none: everything that has no other part
        never = {roles.label, roles.weight, roles.prediction, roles.id, roles.time}
        roles = replace(roles, features=tuple(one["name"] for one in dataset.schema if one["name"] not in never))
    told, seconds, cpu, kept = work.progress, 0.0, 0.0, directory / "predictions.arrow"
    rows = rows_in(work.rows_blob(dataset))
    if not rows:
        raise CheckError("data.empty", "The data set has no rows.")
    outcome: sandbox.SandboxOutcome | None = None
    with ExitStack() as stack:
        sink = stack.enter_context(pa.OSFile(str(kept), "wb"))
        writer: pa.ipc.RecordBatchStreamWriter | None = None
        schema: pa.Schema | None = None
        first, last = (min(rows, -(-rows // CHUNK) * one // part[1] * CHUNK) for one in (part[0], part[0] + 1))
        for begin, data in _chunks(work, dataset, directory, first, last, whole=(first, last) == (0, rows)):
            work.progress = _shifted(told, begin - first, last - first)
            outcome = work.run_model("predict", version, data, roles=roles)
            data.unlink() if data.parent == directory else None
            found = outcome.predictions
            if found is None:
                raise SandboxRefused(outcome)
            if writer is None:
                schema = found.schema
                writer = stack.enter_context(pa.ipc.new_stream(sink, schema))
            if found.schema != schema:
                raise CheckError("data.predictions_invalid", "The model's predictions change their type between rows.")
            writer.write_table(found)
            seconds, cpu = seconds + outcome.seconds, cpu + outcome.cpu_seconds
    if outcome is None:
        raise CheckError("data.empty", "This part has no rows.")
    return map_stream(kept), replace(outcome, seconds=seconds, cpu_seconds=cpu, predictions=None), work.record


def _chunks(
    work: Workspace, dataset: DatasetVersion, directory: Path, first: int, last: int, *, whole: bool
) -> Iterator[tuple[int, Path]]:
    """Files of rows, each with the number of its first one: the sealed file itself where it is small enough."""
    size = max(CHUNK, CELLS // max(1, len(dataset.schema)) // CHUNK * CHUNK)
    if whole and last <= size:
        yield 0, work.file(dataset)
        return
    table = _one_type(work.table(dataset))
    for begin in range(first, last, size):
        path = directory / f"rows-{begin}.arrow"
        chunk = table.slice(begin, min(size, last - begin))
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, chunk.schema) as writer:
            writer.write_table(chunk.unify_dictionaries())
        yield begin, path


def _one_type(table: pa.Table) -> pa.Table:
    """Whole numbers with gaps become numbers with gaps everywhere, as they would if all rows were read at once."""
    fields = [
        field.with_type(pa.float64())
        if pa.types.is_integer(field.type) and table.column(field.name).null_count
        else field
        for field in table.schema
    ]
    return table if fields == list(table.schema) else table.cast(pa.schema(fields))


def _put_together(parts: Sequence[str], path: Path) -> tuple[pa.Table, float, dict[str, Any]]:
    """All parts' predictions in their order, memory-mapped; the seconds of all; the record of the first."""
    seconds, records, schema = 0.0, [], None
    with ExitStack() as stack:
        sink = stack.enter_context(pa.OSFile(str(path), "wb"))
        writer = None
        for sha256 in parts:
            table = state_of(sha256)
            beside = json.loads(table.schema.metadata[_RECORD])
            table = table.replace_schema_metadata(None)
            if writer is None:
                schema = table.schema
                writer = stack.enter_context(pa.ipc.new_stream(sink, schema))
            if table.schema != schema:
                raise CheckError("data.predictions_invalid", "The model's predictions change their type between rows.")
            writer.write_table(table)
            seconds += beside["seconds"]
            records.append(beside["record"])
    return map_stream(path), seconds, records[0]


def _shifted(progress: Progress, before: int, total: int) -> Progress:
    """Progress of one chunk as progress of all rows."""
    return lambda done, _: progress(min(before + done, total), total)
