"""Predictions flow by pieces: the same ones whatever the file's own pieces are, in memory that rows do not add to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest

from governance.sandbox import Limits, SandboxJob, run
from governance.sandbox.modes.predict import CHUNK
from governance.sandbox.output import InvalidOutputError, read_predictions
from tests.governance.sandbox.conftest import MakeModel

ROWS = 2 * CHUNK + 17


def table_of(rows: int) -> pa.Table:
    whole = np.arange(rows)
    missing = pa.array(whole, mask=whole == rows - 1)
    return pa.table({"whole": whole, "gap": missing, "truth": pa.array(whole % 2 == 0, mask=whole == 0)})


@pytest.mark.parametrize("pieces", [7_001, ROWS])
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_pieces_are_the_same_whatever_the_files_are(
    make_model: MakeModel, tmp_path: Path, kind: str, pieces: int
) -> None:
    class ByType:
        def predict(self, rows: Any) -> Any:
            kinds = "/".join(str(kind) for kind in rows.dtypes)
            return [f"{kinds} {len(rows)} {rows.index[0]}"] * len(rows)

    table, path = table_of(ROWS), tmp_path / f"data.{kind}"
    if kind == "parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=pieces)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=pieces)
    seen: list[tuple[int, int]] = []
    job = SandboxJob("predict", make_model(ByType()), path, features=tuple(table.column_names), scan=False)
    outcome = run(job, lambda done, total: seen.append((done, total)))
    assert outcome.predictions is not None, outcome.message
    told = outcome.predictions["prediction"].to_pylist()
    # A number that is missing in the last piece makes a float of the column in all of them, as it would in one table.
    kinds = "int64/float64/object"
    assert told[0] == f"{kinds} {CHUNK} 0"
    assert told[CHUNK] == f"{kinds} {CHUNK} {CHUNK}"
    assert told[-1] == f"{kinds} 17 {2 * CHUNK}"
    assert seen == [(CHUNK, ROWS), (2 * CHUNK, ROWS), (ROWS, ROWS)]


def test_a_later_piece_of_another_type_widens_them_all(make_model: MakeModel, tmp_path: Path) -> None:
    class Undecided:
        def predict(self, rows: Any) -> Any:
            return rows["a"] * 1.5 if rows.index[0] else rows["a"]

    path = tmp_path / "data.parquet"
    pyarrow.parquet.write_table(pa.table({"a": np.arange(CHUNK + 1)}), path)
    outcome = run(SandboxJob("predict", make_model(Undecided()), path, scan=False))
    assert outcome.predictions is not None, outcome.message
    assert outcome.predictions.schema.field("prediction").type == pa.float64()
    assert outcome.predictions["prediction"].to_pylist()[-2:] == [CHUNK - 1, CHUNK * 1.5]


def test_categories_are_read_in_one_piece(make_model: MakeModel, tmp_path: Path) -> None:
    class Categories:
        def predict(self, rows: Any) -> Any:
            return [len(rows["word"].cat.categories)] * len(rows)

    path = tmp_path / "data.parquet"
    words = pa.array([f"w{n // CHUNK}" for n in range(ROWS)]).dictionary_encode()
    pyarrow.parquet.write_table(pa.table({"word": words}), path, row_group_size=1_000)
    outcome = run(SandboxJob("predict", make_model(Categories()), path, scan=False))
    assert outcome.predictions is not None, outcome.message
    assert set(outcome.predictions["prediction"].to_pylist()) == {3}


def test_memory_does_not_grow_with_the_rows(make_model: MakeModel, tmp_path: Path) -> None:
    class Sum:
        def predict(self, rows: Any) -> Any:
            return rows.to_numpy().sum(axis=1)

    folder = make_model(Sum())
    peaks = []
    for millions in (1, 8):
        path = tmp_path / f"{millions}.parquet"
        table = pa.table({f"c{n}": np.zeros(millions * 1_000_000) for n in range(8)})
        pyarrow.parquet.write_table(table, path, row_group_size=100_000)
        # 8 million rows of 8 numbers are 488 MiB, and twice that as pandas: they would not fit.
        outcome = run(SandboxJob("predict", folder, path, scan=False, limits=Limits(memory_bytes=640 * 1024**2)))
        assert outcome.ok, outcome.message
        peaks.append(outcome.peak_bytes)
    assert peaks[1] - peaks[0] < 64 * 1024**2


def test_packed_predictions_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    table = pa.table({"prediction": np.zeros(1000)})
    for name, codec in (("plain", None), ("zstd", "zstd"), ("lz4", "lz4")):
        folder = tmp_path / name
        folder.mkdir()
        options = pa.ipc.IpcWriteOptions(compression=codec)
        with (
            pa.OSFile(str(folder / "predictions.arrow"), "wb") as sink,
            pa.ipc.new_file(sink, table.schema, options=options) as writer,
        ):
            writer.write_table(table)
    assert read_predictions(tmp_path / "plain", rows=1000, max_bytes=10**6).equals(table)
    for name in ("zstd", "lz4"):
        with pytest.raises(InvalidOutputError, match="not a valid Arrow file"):
            read_predictions(tmp_path / name, rows=1000, max_bytes=10**6)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    table = pa.table({"prediction": np.arange(100), "score": np.linspace(0, 1, 100)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=40)
    whole = sink.getvalue().to_pybytes()
    path = tmp_path / "predictions.arrow"
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        try:
            found = read_predictions(tmp_path, rows=100, max_bytes=10**6)
        except InvalidOutputError:
            continue
        assert found.equals(table)  # only the footer was cut, and it is not needed
