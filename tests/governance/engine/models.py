"""Small models and data for the engine's tests, made by hand so that no test needs MLflow."""

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

FEATURES = ["age", "dose"]


def people(rows: int = 600, *, seed: int = 7) -> pa.Table:
    """A label that follows age and dose, two equal groups."""
    random = np.random.default_rng(seed)
    age, dose = random.normal(50, 10, rows), random.normal(0, 1, rows)
    label = (age / 10 + dose + random.normal(0, 1, rows) > 5).astype(int)
    sex = np.where(random.random(rows) < 0.5, "female", "male")
    return pa.table({"age": age, "dose": dose, "sex": sex, "y": label})


def parquet(table: pa.Table) -> bytes:
    """The table as a Parquet file."""
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink)
    return sink.getvalue()


def sound_model(*, seed: int = 7) -> dict[str, bytes]:
    """A logistic regression that has learned the label."""
    frame = people(seed=seed)
    rows = np.column_stack([frame[name].to_numpy() for name in FEATURES])
    return packed(pickle.dumps(LogisticRegression(max_iter=1000).fit(rows, frame["y"].to_numpy())))


class Deadly:
    """Unpickled, it would make a directory."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def deadly_model(mark: Path) -> dict[str, bytes]:
    """A pickle that would make the directory ``mark`` at load."""
    return packed(pickle.dumps(Deadly(mark)))


def endless_model() -> dict[str, bytes]:
    """A tree whose root is its own child: of types that every gate lets through, and no row ever reaches a leaf."""
    frame = people()
    rows = np.column_stack([frame[name].to_numpy() for name in FEATURES])
    model = DecisionTreeClassifier(max_depth=1).fit(rows, frame["y"].to_numpy())
    state = model.tree_.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"]["left_child"][0] = state["nodes"]["right_child"][0] = 0
    model.tree_.__setstate__(state)
    return packed(pickle.dumps(model))


def packed(content: bytes) -> dict[str, bytes]:
    """The files of an MLflow model with this pickle."""
    flavor = {"pickled_model": "model.pkl", "serialization_format": "pickle", "code": None}
    document = {"flavors": {"sklearn": flavor}}
    return {"MLmodel": yaml.safe_dump(document).encode(), "model.pkl": content}
