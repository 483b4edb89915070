"""Mode ``treeshap``: what exact Shapley values are computed from: the trees (or weights), and the rows as these see them.

Nothing is computed about the model here, beside it: trees, encoded rows, and which input each encoded column comes from go
out; the worker does the rest (``governance.checks.explanations.trees``) and holds all of it against the model's own answers.
A model that is no such sum gives a reason in place of it, which is an answer, not an error.
"""

# ruff: noqa: ANN401 - a model, and what it returns, can be anything
from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc

from governance.sandbox.child.additive import read as read_model
from governance.sandbox.child.scoring import read_table
from governance.sandbox.child.sums import LINKS, MOST_NODES, Additive, Nodes, NotAdditiveError
from governance.sandbox.modes import Output, Progress
from governance.sandbox.output import InvalidOutputError, is_number, read_file

NODES, ROWS = "nodes.arrow", "encoded.arrow"
MOST_COLUMNS = 5000
MOST_ROWS = 200_000
"""More are never asked about (a check's own rows are a sample), and all are held at once."""
WORDS = 8
"""Categories that go left are 256 bits in so many words, as scikit-learn has them."""
NODE_SCHEMA = pa.schema([
    ("tree", pa.int32()), ("left", pa.int32()), ("right", pa.int32()), ("column", pa.int32()), ("threshold", pa.float64()),
    ("missing_left", pa.bool_()), ("value", pa.float64()), ("categories", pa.list_(pa.uint32())),
])  # fmt: skip


def work(model: Any, job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Write both tables. Raises what the model raises."""
    if job["rows"] > MOST_ROWS:
        return {"why": f"would be read with {job['rows']} rows at once, and {MOST_ROWS} are the most"}
    frame = read_table(job["data"], job["features"]).to_pandas()
    try:
        steps, last = _parts(model)
        found = read_model(last, job["positive"])
        encode = _encoder(steps, last, single=found.single)
        encoded = encode(frame)
        used = _used(found)
        if len(used) > MOST_COLUMNS or (len(used) and used[-1] >= encoded.shape[1]):
            raise NotAdditiveError("uses more columns than can be explained")
        origin = _origins(frame, encode, encoded[:, used], used, job["features"])
    except NotAdditiveError as error:
        return {"why": str(error)[:300]}
    progress(1, 1)
    _write(job, ROWS, pa.table({f"c{place}": encoded[:, column] for place, column in enumerate(used)}))
    _write(job, NODES, _node_table(found.nodes, used))
    weights = None if found.weights is None else [float(one) for one in found.weights[used]]
    return {"link": found.link, "base": found.base, "origin": origin, "weights": weights, "trees": found.nodes.trees}


def _parts(model: Any) -> tuple[Any, Any]:
    """The preprocessing (or None) and the last step, out of MLflow's wrapper."""
    if type(model).__name__ == "PyFuncModel":
        try:
            model = model.get_raw_model()
        except NotImplementedError as error:
            raise NotAdditiveError("is of a flavour whose own model MLflow does not give") from error
    if type(model).__name__ != "Pipeline" or type(model).__module__ != "sklearn.pipeline":
        return None, model
    return (model[:-1] if len(model.steps) > 1 else None), model.steps[-1][1]


def _encoder(steps: Any, last: Any, *, single: bool) -> Any:
    histogram = type(last).__name__.startswith("Hist")

    def encode(frame: pd.DataFrame) -> np.ndarray:
        made: Any = frame if steps is None else steps.transform(frame)
        if histogram:
            made = last._preprocess_X(made, reset=False)  # orders the columns as its trees number them
        made = made.toarray() if hasattr(made, "toarray") else np.asarray(made)
        try:
            return np.asarray(made, dtype="float32" if single else "float64").astype("float64")
        except (TypeError, ValueError) as error:
            raise NotAdditiveError("takes inputs that are no numbers") from error

    return encode


def _used(found: Additive) -> Any:
    if found.weights is not None:
        return np.arange(len(found.weights))
    columns = np.unique(np.concatenate([np.zeros(0, dtype="int64"), *found.nodes.column]))
    return columns[columns >= 0]


def _origins(frame: pd.DataFrame, encode: Any, encoded: Any, used: Any, names: list[str]) -> list[int]:
    """The input that each used column comes from, found by moving one input's values on by a row; -1: it never changes.

    Raises ``NotAdditiveError`` when a column follows two inputs: then no single input owns what it adds.
    """
    owner = np.full(len(used), -1)
    moved = np.roll(np.arange(len(frame)), 1)
    for number, name in enumerate(names):
        shifted = frame.copy()
        shifted[name] = frame[name].array[moved]
        other = encode(shifted)[:, used]
        changed = ~((other == encoded) | (np.isnan(other) & np.isnan(encoded))).all(axis=0)
        if (owner[changed] >= 0).any():
            first = names[int(owner[changed].max())]
            raise NotAdditiveError(f"mixes inputs before its trees (“{first}” and “{name}”)")
        owner[changed] = number
    return [int(one) for one in owner]


def _node_table(nodes: Nodes, used: Any) -> pa.Table:
    def whole(parts: list[Any]) -> Any:
        return np.concatenate(parts) if parts else np.zeros(0)

    column = whole(nodes.column).astype("int64")
    place = np.where(column >= 0, np.searchsorted(used, column), -1)
    made = {
        "tree": whole(nodes.tree).astype("int32"), "left": whole(nodes.left).astype("int32"),
        "right": whole(nodes.right).astype("int32"), "column": place.astype("int32"),
        "threshold": whole(nodes.threshold).astype("float64"), "missing_left": whole(nodes.missing_left).astype(bool),
        "value": whole(nodes.value).astype("float64"), "categories": pa.array(nodes.categories, pa.list_(pa.uint32())),
    }  # fmt: skip
    return pa.table(made, schema=NODE_SCHEMA)


def _write(job: dict[str, Any], name: str, table: pa.Table) -> None:
    path = os.path.join(job["scratch"], name)  # noqa: PTH118
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def read(report: Mapping[str, Any], asked: Mapping[str, Any], scratch: Path) -> Output:
    """The report with its tables ``nodes`` and ``encoded``, checked; or only ``why``. Raises ``InvalidOutputError``."""
    if set(report) == {"why"} and isinstance(report["why"], str):
        why = " ".join(report["why"].split())[:300]
        return Output(f"No exact values: the model {why}.", report={"why": why})
    nodes = _table(scratch, NODES, asked["max_bytes"])
    encoded = _table(scratch, ROWS, asked["max_bytes"])
    columns = encoded.num_columns
    origin, weights, base = report.get("origin"), report.get("weights"), report.get("base")
    if report.get("link") not in LINKS or not is_number(base):
        raise InvalidOutputError("The trees have no known link or base.")
    if columns and encoded.num_rows != asked["rows"]:
        raise InvalidOutputError(f"The model encoded {encoded.num_rows} rows of {asked['rows']}.")
    if columns > MOST_COLUMNS or any(kind != pa.float64() for kind in encoded.schema.types):
        raise InvalidOutputError("The encoded rows are no table of numbers.")
    inputs = len(asked["features"])
    if not isinstance(origin, list) or len(origin) != columns or not all(_whole(one, -1, inputs) for one in origin):
        raise InvalidOutputError("The encoded columns do not name the inputs they come from.")
    if weights is not None and not (
        isinstance(weights, list) and len(weights) == columns and all(map(is_number, weights))
    ):
        raise InvalidOutputError("The weights are not one number for each column.")
    _check_nodes(nodes, columns)
    kept = {"link": report["link"], "base": float(base or 0.0), "origin": origin, "weights": weights,
            "features": list(asked["features"]), "rows": asked["rows"]}  # fmt: skip
    return Output("The model was read as a sum.", report={**kept, "nodes": nodes, "encoded": encoded})


def _whole(item: Any, low: int, stop: int) -> bool:
    return isinstance(item, int) and not isinstance(item, bool) and low <= item < stop


def _table(scratch: Path, name: str, most: int) -> pa.Table:
    data = read_file(scratch / name, most)
    if data is None:
        raise InvalidOutputError(f"The model left no {name}.")
    try:
        table = pa.ipc.open_file(pa.py_buffer(data)).read_all().combine_chunks()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InvalidOutputError(f"{name} is not a valid Arrow file.") from error
    if any(
        column.null_count
        for name, column in zip(table.column_names, table.columns, strict=True)
        if name != "categories"
    ):
        raise InvalidOutputError(f"{name} has empty cells.")
    return table


def _check_nodes(nodes: pa.Table, columns: int) -> None:
    """Every tree is a tree: children come after their parent, in the same tree, and each once."""
    if not nodes.schema.equals(NODE_SCHEMA) or nodes.num_rows > MOST_NODES:
        raise InvalidOutputError("The trees are not of their form.")
    tree, left, right, column, value, threshold = (
        nodes.column(name).to_numpy() for name in ("tree", "left", "right", "column", "value", "threshold")
    )
    count, place = len(tree), np.arange(len(tree))
    leaf = left < 0
    inner = ~leaf
    ordered = count == 0 or (tree[0] == 0 and bool(np.isin(np.diff(tree), (0, 1)).all()))
    children = np.concatenate([left[inner], right[inner]])
    roots = np.flatnonzero(np.diff(tree, prepend=-1))
    sound = (
        ordered
        and bool((right[leaf] < 0).all()) and bool((column[inner] >= 0).all()) and bool((column < max(columns, 1)).all())
        and bool((left[inner] > place[inner]).all()) and bool((right[inner] > place[inner]).all())
        and bool((children < count).all())
        and np.array_equal(np.sort(np.concatenate([children, roots])), place)
        and np.array_equal(tree[children], np.concatenate([tree[inner], tree[inner]]))
        and bool(np.isfinite(value).all()) and not bool(np.isnan(threshold).any())
    )  # fmt: skip
    if not sound:
        raise InvalidOutputError("The trees are not of their form.")
    sizes = {len(one) for one in nodes.column("categories").to_pylist() if one is not None}
    if sizes - {WORDS}:
        raise InvalidOutputError("The categories of a tree are not of their form.")
