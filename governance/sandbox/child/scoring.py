"""Reading tables and asking models, for every mode. Loads numpy and pandas: only after the confinement."""

# ruff: noqa: ANN401 - a model, and what it returns, can be anything
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

READ = 65_536


def read_table(path: str, columns: list[str]) -> pa.Table:
    """The columns asked for, in memory. Raises what pyarrow raises."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    if path.endswith(".arrow"):
        with pa.OSFile(path, "rb") as source:
            return pa.ipc.open_file(source).read_all().select(columns)
    return pa.parquet.read_table(path, columns=columns, use_threads=False)


def frames(job: dict[str, Any], columns: list[str], *, rows: int) -> Iterator[pd.DataFrame]:
    """The rows in order, ``rows`` at a time, with the types that all of them together would have.

    The pieces have the same rows whatever the file's own pieces are. Raises what pyarrow raises.
    """
    if not job["streamed"]:
        whole = read_table(job["data"], columns).to_pandas()
        yield from (whole.iloc[start : start + rows] for start in range(0, len(whole), rows))
        return
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    held: list[pa.RecordBatch] = []
    count = begun = 0
    for batch in _batches(job["data"], columns):
        held.append(batch)
        count += batch.num_rows
        while count >= rows:
            table = pa.Table.from_batches(held)
            yield _frame(table.slice(0, rows), job["missing"], begun)
            begun, count = begun + rows, count - rows
            held = table.slice(rows).to_batches()
    if count:
        yield _frame(pa.Table.from_batches(held), job["missing"], begun)


def _batches(path: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    if path.endswith(".arrow"):
        with pa.OSFile(path, "rb") as source:
            reader = pa.ipc.open_file(source)
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number).select(columns)
    else:
        with pa.parquet.ParquetFile(path, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=READ, columns=columns, use_threads=False)


def _frame(table: pa.Table, missing: list[str], start: int) -> pd.DataFrame:
    """As pandas would make it of the whole: numbers with a missing one somewhere are floats, and truths are objects."""
    for name in missing:
        if name in table.column_names and pa.types.is_integer(table.schema.field(name).type):
            place = table.column_names.index(name)
            table = table.set_column(place, name, table.column(name).cast(pa.float64(), safe=False))
    frame: pd.DataFrame = table.to_pandas()
    for name in missing:
        if name in frame and frame[name].dtype == bool:
            frame[name] = frame[name].astype(object)
    frame.index = pd.RangeIndex(start, start + len(frame))
    return frame


def plain(values: Any) -> pa.Array:
    """Integers, booleans, floats or text; anything else is turned to text only if it is text already."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"predict returned {values.ndim} dimensions, expected one value for each row")
    if values.dtype.kind in "iub":
        return pa.array(values.astype("int64"))
    if values.dtype.kind == "f":
        return pa.array(values.astype("float64"))
    return pa.array([None if item is None else str(item) for item in values.tolist()], pa.string())


def scores(model: Any, part: pd.DataFrame, positive: Any) -> Any:
    """Probability of the positive class, or None if the model has no two-class ``predict_proba``."""
    if not hasattr(model, "predict_proba"):
        return None
    probabilities = np.asarray(model.predict_proba(part), dtype="float64")
    if probabilities.ndim != 2 or probabilities.shape[1] != 2:
        return None
    classes = [_simple(item) for item in getattr(model, "classes_", [0, 1])]
    if positive is not None and positive not in classes and str(positive) not in map(str, classes):
        raise ValueError(f"the model has the classes {classes}, not {positive!r}")
    if positive is None:
        return probabilities[:, 1]
    column = classes.index(positive) if positive in classes else [str(c) for c in classes].index(str(positive))
    return probabilities[:, column]


def _simple(item: Any) -> Any:
    return item.item() if hasattr(item, "item") else item
