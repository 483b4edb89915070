"""What a job leaves in the blob store: results, predictions, states of parts. Bytes first; the rows that name them follow."""

import io
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from governance.checks import CheckResult
from governance.engine.drawing import drawings_of
from governance.services.checks import Outcome
from registry.models import Blob
from registry.storage import blobs

ROW_GROUP: Final = 2**18


def stored(result: CheckResult, verdict: str, sentence: str, record: dict[str, Any], output: str = "") -> Outcome:
    digest = _store(result.to_json().encode())
    return Outcome(
        verdict,
        sentence,
        result=result.as_dict(),
        result_digest=digest,
        result_blob=digest,
        output_blob=output,
        sandbox=record,
        drawings={key: _store(svg.encode()) for key, svg in drawings_of(result).items()},
    )


def store_rows(table: pa.Table, path: Path) -> str:
    """A table as Parquet in the blob store."""
    write_rows(table, path)
    return _put(path)


def write_rows(table: pa.Table, path: Path) -> None:
    """A table as Parquet, written by row groups: it need not fit into memory. Equal rows give equal bytes."""
    with pa.parquet.ParquetWriter(path, table.schema) as writer:
        for start in range(0, table.num_rows, ROW_GROUP):
            writer.write_table(table.slice(start, ROW_GROUP).combine_chunks(), row_group_size=ROW_GROUP)


def store_state(state: pa.Table, path: Path) -> str:
    """The counts of a part as an Arrow stream in the blob store; what the schema says beside them travels along."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, state.schema) as writer:
        writer.write_table(state)
    return _put(path)


def state_of(sha256: str) -> pa.Table:
    with blobs().open(sha256) as stream, pa.ipc.open_stream(stream) as reader:
        return reader.read_all()


def _put(path: Path) -> str:
    with path.open("rb") as stream:
        sha256, size = blobs().put(stream)
    Blob.objects.bulk_create([Blob(sha256=sha256, size=size)], ignore_conflicts=True)
    return sha256


def _store(content: bytes) -> str:
    """Bytes first, content-addressed; the row that names them follows."""
    sha256, size = blobs().put(io.BytesIO(content))
    Blob.objects.bulk_create([Blob(sha256=sha256, size=size)], ignore_conflicts=True)
    return sha256
