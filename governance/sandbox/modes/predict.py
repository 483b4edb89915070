"""Mode ``predict``: a prediction, and a score where the model has one, for every row."""

# ruff: noqa: ANN401 - a model, and what it returns, can be anything
from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from governance.sandbox.child.scoring import plain, read_table, scores
from governance.sandbox.modes import Output, Progress
from governance.sandbox.output import read_predictions

CHUNK = 50_000


def work(model: Any, job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Write ``predictions.arrow``. Raises what the model raises."""
    scored = _predict(model, read_table(job["data"], job["features"]), job, progress)
    path = os.path.join(job["scratch"], "predictions.arrow")  # noqa: PTH118
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, scored.schema) as writer:
        writer.write_table(scored)
    return {}


def read(report: Mapping[str, Any], asked: Mapping[str, Any], scratch: Path) -> Output:
    """The table, checked. Raises ``InvalidOutputError``."""
    table = read_predictions(scratch, rows=asked["rows"], max_bytes=asked["max_bytes"])
    return Output(f"The model scored {asked['rows']} rows.", predictions=table)


def _predict(model: Any, table: pa.Table, job: dict[str, Any], progress: Progress) -> pa.Table:
    frame = table.select(job["features"]).to_pandas()
    predictions: list[Any] = []
    found: list[Any] = []
    total = len(frame)
    for start in range(0, total, CHUNK):
        part = frame.iloc[start : start + CHUNK]
        probabilities = scores(model, part, job["positive"])
        if probabilities is not None:
            found.append(probabilities)
        predictions.append(np.asarray(model.predict(part)))
        progress(min(start + CHUNK, total), total)
    columns: dict[str, Any] = {"prediction": plain(np.concatenate(predictions) if predictions else np.zeros(0))}
    if found:
        columns["score"] = pa.array(np.concatenate(found).astype("float64"))
    return pa.table(columns)
