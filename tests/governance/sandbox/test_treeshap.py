"""Mode ``treeshap`` in the sandbox: what is read from a sound model, and a report that a model made up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.neighbors import KNeighborsClassifier

from governance.checks.explanations import trees
from governance.sandbox import SandboxJob, run
from governance.sandbox.modes import treeshap
from governance.sandbox.output import InvalidOutputError
from tests.governance.sandbox.conftest import MakeModel


def learned(people: Path, model: Any) -> Any:
    frame = pd.read_parquet(people)
    return model.fit(frame[["age", "noise"]], frame["y"])


def test_a_model_of_trees_gives_its_sum(make_model: MakeModel, people: Path) -> None:
    model = learned(people, HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=3, random_state=0))
    outcome = run(SandboxJob("treeshap", make_model(model), people, features=("age", "noise")))
    assert outcome.ok, outcome.message
    assert outcome.report is not None
    found = trees.parsed(outcome.report, ["noise", "age"])
    assert set(found.origin.tolist()) <= {0, 1}
    said = model.predict_proba(pd.read_parquet(people)[["age", "noise"]])[:, 1]
    assert found.output(trees.margins(found, found.cells)) == pytest.approx(said, abs=1e-12)


def test_another_model_gives_the_reason(make_model: MakeModel, people: Path) -> None:
    folder = make_model(learned(people, KNeighborsClassifier(3)))
    outcome = run(SandboxJob("treeshap", folder, people, features=("age", "noise")))
    assert outcome.ok, outcome.message
    assert outcome.report == {"why": "is a KNeighborsClassifier, which is not read as trees or weights"}


def test_more_rows_than_can_be_held_are_not_read() -> None:
    said = treeshap.work(None, {"rows": treeshap.MOST_ROWS + 1}, lambda _done, _total: None)
    assert said == {"why": "would be read with 200001 rows at once, and 200000 are the most"}


@pytest.fixture
def written(people: Path, tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any], Path]:
    """A sound report with its files, as the child leaves them."""
    frame = pd.read_parquet(people)
    model = RandomForestRegressor(3, max_depth=3, random_state=0).fit(
        frame[["age", "noise"]], frame["y"] + frame["noise"]
    )
    job = {"data": str(people), "features": ["age", "noise"], "positive": None, "scratch": str(tmp_path), "rows": 40}
    report = treeshap.work(model, job, lambda _done, _total: None)
    return report, {"rows": 40, "features": ["age", "noise"], "max_bytes": 10**6}, tmp_path


def write(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def test_the_sound_report_is_read(written: tuple[dict[str, Any], dict[str, Any], Path]) -> None:
    assert treeshap.read(*written).report is not None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"link": "odd"}, "no known link"), ({"base": float("inf")}, "no known link"), ({"origin": [7, 0]}, "do not name"),
        ({"origin": [0]}, "do not name"), ({"origin": "x"}, "do not name"), ({"weights": [1.0]}, "one number for each"),
        ({"weights": ["1", 2]}, "one number for each"),
    ],
)  # fmt: skip
def test_a_report_out_of_form_is_refused(
    written: tuple[dict[str, Any], dict[str, Any], Path], change: Mapping[str, Any], said: str
) -> None:
    report, asked, scratch = written
    with pytest.raises(InvalidOutputError, match=said):
        treeshap.read({**report, **change}, asked, scratch)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("left", 0), ("left", 10**6), ("right", 1), ("tree", 5), ("column", 9), ("column", -1), ("value", float("nan")),
        ("threshold", float("nan")),
    ],
)  # fmt: skip
def test_trees_that_are_none_are_refused(
    written: tuple[dict[str, Any], dict[str, Any], Path], column: str, value: float
) -> None:
    """A child before its parent would be walked for ever; a column that is not there would be read from elsewhere."""
    report, asked, scratch = written
    path = scratch / treeshap.NODES
    nodes = pa.ipc.open_file(path.read_bytes()).read_all()
    cells = nodes.column(column).to_numpy().copy()
    cells[0] = value
    place = nodes.column_names.index(column)
    write(path, nodes.set_column(place, nodes.schema.field(place), pa.array(cells, nodes.schema.field(place).type)))
    with pytest.raises(InvalidOutputError, match="not of their form"):
        treeshap.read(report, asked, scratch)


def test_files_that_are_missing_or_garbage_are_refused(written: tuple[dict[str, Any], dict[str, Any], Path]) -> None:
    report, asked, scratch = written
    write(scratch / treeshap.ROWS, pa.table({"c0": np.zeros(3), "c1": np.zeros(3)}))
    with pytest.raises(InvalidOutputError, match="encoded 3 rows of 40"):
        treeshap.read(report, asked, scratch)
    write(scratch / treeshap.ROWS, pa.table({"c0": ["a"] * 40, "c1": np.zeros(40)}))
    with pytest.raises(InvalidOutputError, match="no table of numbers"):
        treeshap.read(report, asked, scratch)
    (scratch / treeshap.NODES).write_bytes(b"garbage")
    with pytest.raises(InvalidOutputError, match="not a valid Arrow file"):
        treeshap.read(report, asked, scratch)
    (scratch / treeshap.NODES).unlink()
    with pytest.raises(InvalidOutputError, match="left no"):
        treeshap.read(report, asked, scratch)
