"""Sound models through the sandbox, as MLflow writes them, and the input errors that need no model."""

# ruff: noqa: PLC0415 - MLflow and skops take seconds to import
from __future__ import annotations

import fcntl
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from governance.sandbox import Layers, SandboxJob, run
from registry.formats.scan import scan_directory
from tests.governance.sandbox.conftest import MakeModel


def patients() -> tuple[pd.DataFrame, pd.Series]:
    study = load_diabetes(as_frame=True, scaled=False)
    return study.data, (study.target > 140).astype(int)


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    """Two pipelines in the formats that MLflow 3.17 writes, with signature and input example."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.sklearn
        from mlflow.models import infer_signature

        inputs, label = patients()
        columns = make_column_transformer((OneHotEncoder(), ["sex"]), remainder="passthrough")
        models = {
            "skops": make_pipeline(StandardScaler(), LogisticRegression()),
            "cloudpickle": make_pipeline(columns, HistGradientBoostingClassifier(max_iter=10, random_state=0)),
        }
        made = {}
        for format_, model in models.items():
            folder = tmp_path_factory.mktemp("logged") / "model"
            model.fit(inputs, label)
            mlflow.sklearn.save_model(
                model, str(folder), serialization_format=format_, input_example=inputs[:2],
                signature=infer_signature(inputs, model.predict(inputs)), pip_requirements=["scikit-learn"],
            )  # fmt: skip
            made[format_] = (folder, model)
    return made


@pytest.fixture
def data(tmp_path: Path) -> Path:
    inputs, label = patients()
    path = tmp_path / "patients.parquet"
    inputs.assign(y=label, age_band="any").to_parquet(path)
    return path


@pytest.mark.parametrize("format_", ["skops", "cloudpickle"])
def test_scores_are_those_of_the_model(logged: dict[str, tuple[Path, Any]], data: Path, format_: str) -> None:
    folder, model = logged[format_]
    seen: list[tuple[int, int]] = []
    outcome = run(SandboxJob("predict", folder, data), lambda done, total: seen.append((done, total)))
    assert (outcome.code, outcome.message) == ("ok", "The model scored 442 rows.")
    assert outcome.predictions is not None
    inputs, _ = patients()
    np.testing.assert_allclose(outcome.predictions["score"].to_numpy(), model.predict_proba(inputs)[:, 1], rtol=1e-12)
    np.testing.assert_array_equal(outcome.predictions["prediction"].to_numpy(), model.predict(inputs))
    assert seen == [(442, 442)]


def test_every_layer_is_reported(logged: dict[str, tuple[Path, Any]], data: Path) -> None:
    outcome = run(SandboxJob("predict", logged["skops"][0], data))
    expected = {
        "environment",
        "descriptors",
        "session",
        "namespaces",
        "limits",
        "user",
        "no_new_privs",
        "landlock",
        "seccomp",
    }
    assert set(outcome.layers.on) == expected
    off = {name: why for name, why in outcome.layers.on.items() if why != "on"}
    assert not set(off) - {"user", "namespaces", "landlock"}, off
    assert outcome.record()["level"] == ("reduced" if "landlock" in off else "confined" if off else "full")
    assert outcome.record()["peak_bytes"] > 0


def test_a_level_is_full_only_if_every_layer_is_on() -> None:
    assert Layers({}).level == "reduced"
    assert Layers({"landlock": "on", "seccomp": "no table"}).level == "reduced"
    assert Layers({"landlock": "on", "seccomp": "on"}).level == "reduced"  # the others were not reported


def test_a_positive_class_by_name_picks_its_column(make_model: MakeModel, tmp_path: Path) -> None:
    inputs, label = patients()
    words = label.map({0: "well", 1: "ill"})
    model = LogisticRegression(max_iter=5000).fit(inputs.to_numpy(), words)
    path = tmp_path / "data.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, pa.table(dict(inputs)).schema) as writer:
        writer.write_table(pa.table(dict(inputs)))
    job = SandboxJob("predict", make_model(model), path, features=tuple(inputs.columns), positive="ill")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = run(job)
    assert outcome.ok, outcome.message
    assert outcome.predictions is not None
    np.testing.assert_allclose(outcome.predictions["score"].to_numpy(), model.predict_proba(inputs.to_numpy())[:, 0])
    assert set(outcome.predictions["prediction"].to_pylist()) == {"ill", "well"}


def test_a_regression_gives_predictions_without_scores(make_model: MakeModel, people: Path) -> None:
    model = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    outcome = run(SandboxJob("predict", make_model(model), people, features=("age",)))
    assert outcome.ok, outcome.message
    assert outcome.predictions is not None
    assert outcome.predictions.column_names == ["prediction"]
    np.testing.assert_allclose(outcome.predictions["prediction"].to_numpy(), range(20, 60))


def test_a_column_that_is_not_there_is_named(logged: dict[str, tuple[Path, Any]], people: Path) -> None:
    outcome = run(SandboxJob("predict", logged["skops"][0], people))
    assert (outcome.code, outcome.message) == (
        "input_invalid",
        "The data set has no column “sex”, which the model needs.",
    )


def test_a_directory_without_mlmodel_is_no_model(tmp_path: Path, people: Path) -> None:
    (tmp_path / "weights.txt").write_text("0.1")
    outcome = run(SandboxJob("predict", tmp_path, people))
    assert outcome.code == "cannot_load"
    assert "no file “MLmodel”" in outcome.message


def test_a_file_that_is_no_table_is_said(logged: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    path.write_bytes(b"age,sex\n1,2\n")
    assert run(SandboxJob("predict", logged["skops"][0], path)).code == "input_invalid"


def test_a_table_without_rows_is_said(make_model: MakeModel, tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pyarrow.parquet.write_table(pa.table({"age": pa.array([], pa.int64())}), path)
    outcome = run(SandboxJob("predict", make_model(LinearRegression()), path, features=("age",)))
    assert (outcome.code, outcome.message) == ("input_invalid", "The data set has no rows.")


def test_a_broken_pickle_cannot_be_loaded(make_model: MakeModel, people: Path) -> None:
    outcome = run(SandboxJob("predict", make_model(b"\x80\x04K\x01"), people, features=("age",), scan=False))
    assert outcome.code == "cannot_load"


def test_the_models_own_list_of_trusted_types_is_ignored(
    logged: dict[str, tuple[Path, Any]], data: Path, tmp_path: Path
) -> None:
    import skops.io

    folder = tmp_path / "copy"
    shutil.copytree(logged["skops"][0], folder)
    skops.io.dump(make_pipeline(StandardScaler(), _Stranger()), folder / "model.skops")
    text = (folder / "MLmodel").read_text()
    (folder / "MLmodel").write_text(text.replace("skops_trusted_types: null", "skops_trusted_types: [os.system]"))
    report = scan_directory(folder)
    assert any("_Stranger" in finding.message for finding in report.refused)
    assert any(finding.code == "mlmodel.trusted_types" for finding in report.findings)
    outcome = run(SandboxJob("predict", folder, data, scan=False))
    assert outcome.code == "cannot_load"
    assert "not on the allow-list" in outcome.message


class _Stranger(LogisticRegression):  # type: ignore[misc]
    """An estimator of a module that nobody allowed."""


def test_what_the_progress_callback_raises_ends_the_run(logged: dict[str, tuple[Path, Any]], data: Path) -> None:
    class Cancelled(Exception):
        pass

    def progress(_done: int, _total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        run(SandboxJob("predict", logged["skops"][0], data), progress)


def test_what_a_killed_worker_left_is_removed_by_the_next_run(
    make_model: MakeModel, people: Path, run_directories: Path
) -> None:
    folder = make_model(LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0]))
    left, young, running = (run_directories / f"countersign-run-{name}" for name in ("left", "young", "running"))
    for path in (left, young, running):
        (path / "scratch" / "deep").mkdir(parents=True)
    for path in (left, running):
        os.utime(path, (1_000, 1_000))
    held = os.open(running, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    assert run(SandboxJob("predict", folder, people, features=("age",))).ok
    assert sorted(path.name for path in run_directories.iterdir()) == [
        "countersign-run-running",
        "countersign-run-young",
    ]
    os.close(held)
    for path in (young, running):
        shutil.rmtree(path)
