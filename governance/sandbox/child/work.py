"""What is done with the model: scores for every row, or the importance of its inputs."""

# ruff: noqa: ANN401 - a model, and what it returns, can be anything
from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

CHUNK = 50_000
HALVES_FROM = 100
Progress = Callable[[int, int], None]


def work(model: Any, job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Do the job's mode; returns the answer for ``answer.json``. Raises what the model raises."""
    columns = [*job["features"], *([job["label"]] if job["mode"] == "importance" else [])]
    table = _read(job["data"], columns)
    if job["mode"] == "importance":
        return {"code": "ok", "report": _importance(model, table, job, progress)}
    scored = _predict(model, table, job, progress)
    path = os.path.join(job["scratch"], "predictions.arrow")  # noqa: PTH118
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, scored.schema) as writer:
        writer.write_table(scored)
    return {"code": "ok"}


def _read(path: str, columns: list[str]) -> pa.Table:
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    if path.endswith(".arrow"):
        with pa.OSFile(path, "rb") as source:
            return pa.ipc.open_file(source).read_all().select(columns)
    return pa.parquet.read_table(path, columns=columns, use_threads=False)


def _predict(model: Any, table: pa.Table, job: dict[str, Any], progress: Progress) -> pa.Table:
    frame = table.select(job["features"]).to_pandas()
    predictions: list[Any] = []
    scores: list[Any] = []
    total = len(frame)
    for start in range(0, total, CHUNK):
        part = frame.iloc[start : start + CHUNK]
        probabilities = _scores(model, part, job["positive"])
        if probabilities is not None:
            scores.append(probabilities)
        predictions.append(np.asarray(model.predict(part)))
        progress(min(start + CHUNK, total), total)
    columns: dict[str, Any] = {"prediction": _plain(np.concatenate(predictions) if predictions else np.zeros(0))}
    if scores:
        columns["score"] = pa.array(np.concatenate(scores).astype("float64"))
    return pa.table(columns)


def _plain(values: Any) -> pa.Array:
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


def _scores(model: Any, part: pd.DataFrame, positive: Any) -> Any:
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


def _importance(model: Any, table: pa.Table, job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Loss of AUC (R² without scores) when one input is shuffled; each repeat on its own random half of the rows."""
    features: list[str] = job["features"]
    frame = table.select(features).to_pandas()
    label = table.column(job["label"]).to_pandas()
    random = np.random.Generator(np.random.PCG64(job["seed"]))
    binary = _scores(model, frame.iloc[:1], job["positive"]) is not None
    repeats: int = job["repeats"]
    drops = np.zeros((len(features), repeats))
    baselines = []
    for repeat in range(repeats):
        rows = _rows(random, len(frame))
        part = frame.iloc[rows].reset_index(drop=True)
        truth = _truth(label.iloc[rows], job["positive"]) if binary else label.iloc[rows].to_numpy(dtype="float64")
        base = _quality(model, part, truth, job, binary=binary)
        baselines.append(base)
        for number, name in enumerate(features):
            shuffled = part.copy()
            shuffled[name] = part[name].to_numpy()[random.permutation(len(part))]
            drops[number, repeat] = base - _quality(model, shuffled, truth, job, binary=binary)
        progress(repeat + 1, repeats)
    return {
        "metric": "auc" if binary else "r2", "rows": len(frame), "rows_per_repeat": len(_rows(random, len(frame))),
        "baseline": float(np.mean(baselines)), "features": features, "drops": drops.tolist(), "seed": job["seed"],
    }  # fmt: skip


def _rows(random: Any, count: int) -> Any:
    return np.sort(random.permutation(count)[: count // 2]) if count >= HALVES_FROM else np.arange(count)


def _truth(label: Any, positive: Any) -> Any:
    if positive is None:
        return label.to_numpy(dtype="float64") == 1
    return np.asarray([item == positive or str(item) == str(positive) for item in label])


def _quality(model: Any, part: pd.DataFrame, truth: Any, job: dict[str, Any], *, binary: bool) -> float:
    if binary:
        return _auc(truth, _scores(model, part, job["positive"]))
    predicted = np.asarray(model.predict(part), dtype="float64")
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1.0 - float(((truth - predicted) ** 2).sum()) / spread if spread else 0.0


def _auc(truth: Any, score: Any) -> float:
    values, inverse = np.unique(score, return_inverse=True)
    positive = np.bincount(inverse, weights=truth, minlength=len(values))
    negative = np.bincount(inverse, weights=~truth, minlength=len(values))
    below = np.cumsum(negative) - negative
    pairs = positive.sum() * negative.sum()
    if not pairs:
        raise ValueError("the label has one class only in a resample; importance needs both")
    return float((positive * (below + negative / 2)).sum() / pairs)
