"""Mode ``importance``: how much of its quality the model loses when one input is shuffled."""

# ruff: noqa: ANN401 - a model, and what it returns, can be anything
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from governance.sandbox.child.scoring import read_table, scores
from governance.sandbox.modes import Output, Progress
from governance.sandbox.output import InvalidOutputError, is_number

HALVES_FROM = 100


def work(model: Any, job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """The drops of every repeat. Raises what the model raises."""
    table = read_table(job["data"], [*job["features"], job["label"]])
    return _importance(model, table, job, progress)


def read(report: Mapping[str, Any], asked: Mapping[str, Any], scratch: Path) -> Output:
    """The report, checked. Raises ``InvalidOutputError``."""
    features, repeats = asked["features"], asked["repeats"]
    if report.get("features") != features:
        raise InvalidOutputError("The importance report does not list the inputs that were asked for.")
    drops = report.get("drops")
    if not isinstance(drops, list) or len(drops) != len(features):
        raise InvalidOutputError("The importance report has the wrong shape.")
    for row in drops:
        if not isinstance(row, list) or len(row) != repeats or not all(is_number(item) for item in row):
            raise InvalidOutputError("The importance report holds values that are not finite numbers.")
    whole = ("rows", "rows_per_repeat", "seed")
    if report.get("metric") not in ("auc", "r2") or not is_number(report.get("baseline")):
        raise InvalidOutputError("The importance report has no known measure.")
    if not all(isinstance(report.get(name), int) for name in whole):
        raise InvalidOutputError("The importance report has no row counts.")
    kept = {key: report[key] for key in ("metric", "baseline", "features", "drops", *whole)}
    return Output("The importance of every input was measured.", report=kept)


def _importance(model: Any, table: pa.Table, job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Loss of AUC (R² without scores) when one input is shuffled; each repeat on its own random half of the rows."""
    features: list[str] = job["features"]
    frame = table.select(features).to_pandas()
    label = table.column(job["label"]).to_pandas()
    random = np.random.Generator(np.random.PCG64(job["seed"]))
    binary = scores(model, frame.iloc[:1], job["positive"]) is not None
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
        return _auc(truth, scores(model, part, job["positive"]))
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
