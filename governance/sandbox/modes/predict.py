"""Mode ``predict``: a prediction, and a score where the model has one, for every row."""

# ruff: noqa: ANN401 - a model, and what it returns, can be anything
from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from governance.sandbox.child.scoring import frames, plain, scores
from governance.sandbox.modes import Output, Progress
from governance.sandbox.output import read_predictions

CHUNK = 50_000


def work(model: Any, job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Write ``predictions.arrow``, piece by piece, so that memory does not grow with the rows. Raises what the model raises."""
    path = os.path.join(job["scratch"], "predictions.arrow")  # noqa: PTH118
    pieces = _pieces(model, job, progress)
    first = next(pieces)
    schema = first.schema
    while schema is not None:
        schema = _written(path, schema, first, pieces)
        if schema is not None:  # a later piece has another type: begin again, with one that holds both
            pieces = _pieces(model, job, progress)
            first = next(pieces)
    return {}


def read(report: Mapping[str, Any], asked: Mapping[str, Any], scratch: Path) -> Output:
    """The table, checked. Raises ``InvalidOutputError``."""
    table = read_predictions(scratch, rows=asked["rows"], max_bytes=asked["max_bytes"])
    return Output(f"The model scored {asked['rows']} rows.", predictions=table)


def _pieces(model: Any, job: dict[str, Any], progress: Progress) -> Iterator[pa.Table]:
    """Predictions, and scores where the model has them, for ``CHUNK`` rows at a time."""
    done, total = 0, job["rows"]
    for part in frames(job, job["features"], rows=CHUNK):
        probabilities = scores(model, part, job["positive"])
        columns: dict[str, Any] = {"prediction": plain(np.asarray(model.predict(part)))}
        if probabilities is not None:
            columns["score"] = pa.array(probabilities.astype("float64"))
        yield pa.table(columns)
        done += len(part)
        progress(done, total)


def _written(path: str, schema: pa.Schema, first: pa.Table, rest: Iterator[pa.Table]) -> pa.Schema | None:
    """Write all pieces. Returns None, or the schema that is needed when one does not fit. Raises ``ValueError``."""
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for piece in chain([first], rest):
            if piece.schema.names != schema.names:
                raise ValueError("the model has probabilities for some rows only")
            wider = _wider(schema.field("prediction").type, piece.schema.field("prediction").type)
            if wider != schema.field("prediction").type:
                return schema.set(0, pa.field("prediction", wider))
            writer.write_table(piece.cast(schema))
    return None


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other:
        return one
    return pa.string() if pa.string() in (one, other) else pa.float64()
