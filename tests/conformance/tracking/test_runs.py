"""Runs and what is logged to them, with MLflow's ordinary client through our door."""

import time
from pathlib import Path

import matplotlib as mpl
import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from sklearn.linear_model import LogisticRegression

from tests.conformance.mlflow.conftest import Person

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore"),  # the client's and its libraries' own
]


@pytest.fixture
def experiment(client: MlflowClient, request: pytest.FixtureRequest) -> str:
    """An experiment of this test's own, and the active one."""
    return str(mlflow.set_experiment(f"{request.node.name} {time.time_ns()}").experiment_id)


def test_parameters_metrics_and_tags_one_by_one_and_in_batches(client: MlflowClient, experiment: str) -> None:
    with mlflow.start_run(run_name="named", description="about it") as run:
        mlflow.log_param("depth", 3)
        mlflow.log_params({"rate": 0.1, "text": "ü ☂"})
        for step in range(5):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metrics({"auc": 0.75, "nan": float("nan"), "inf": float("inf")}, step=4)
        mlflow.set_tag("team", "risk")
        mlflow.set_tags({"a": "1", "b": "2"})
        mlflow.delete_tag("b")
    now = int(time.time() * 1000)
    client.log_batch(
        run.info.run_id,
        metrics=[Metric("many", float(step), now, step) for step in range(1000)],
        params=[Param(f"p{number}", "x") for number in range(100)],
        tags=[RunTag(f"t{number}", "y") for number in range(100)],
    )
    found = client.get_run(run.info.run_id)
    assert (found.info.status, found.info.run_name, found.info.user_id) == ("FINISHED", "named", "ada")
    assert found.data.params["text"] == "ü ☂"
    assert (len(found.data.params), found.data.metrics["auc"], found.data.metrics["many"]) == (103, 0.75, 999.0)
    assert np.isnan(found.data.metrics["nan"])
    assert (found.data.tags["a"], found.data.tags["mlflow.note.content"], "b" in found.data.tags) == (
        "1",
        "about it",
        False,
    )
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(one.step, one.value) for one in history] == [(step, 1 / (step + 1)) for step in range(5)]
    assert len(client.get_metric_history(run.info.run_id, "many")) == 1000


def test_nested_runs_are_found_by_their_parent(client: MlflowClient, experiment: str) -> None:
    with mlflow.start_run(run_name="parent") as parent:
        for depth in (1, 2, 3):
            with mlflow.start_run(nested=True, run_name=f"child {depth}"):
                mlflow.log_param("depth", depth)
                mlflow.log_metric("auc", depth / 10)
    children = mlflow.search_runs(
        filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'", order_by=["metrics.auc DESC"]
    )
    assert list(children["params.depth"]) == ["3", "2", "1"]
    assert client.get_parent_run(children["run_id"][0]).info.run_id == parent.info.run_id  # type: ignore[union-attr]
    first = client.search_runs([experiment], max_results=2)
    rest = client.search_runs([experiment], max_results=2, page_token=first.token)
    assert len({run.info.run_id for run in [*first, *rest]}) == 4


def test_runs_and_experiments_are_deleted_and_brought_back(client: MlflowClient, experiment: str) -> None:
    with mlflow.start_run() as run:
        mlflow.log_metric("auc", 1)
    client.delete_run(run.info.run_id)
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "deleted"
    assert client.search_runs([experiment]) == []
    assert len(client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)) == 1
    client.restore_run(run.info.run_id)
    assert len(client.search_runs([experiment])) == 1
    client.rename_experiment(experiment, f"renamed {experiment}")
    client.set_experiment_tag(experiment, "area", "credit")
    client.delete_experiment(experiment)
    assert client.get_experiment(experiment).lifecycle_stage == "deleted"
    client.restore_experiment(experiment)
    assert client.get_experiment_by_name(f"renamed {experiment}").tags["area"] == "credit"  # type: ignore[union-attr]
    assert [one.name for one in client.search_experiments(filter_string=f"name = 'renamed {experiment}'")]


def test_artifacts_in_every_form(client: MlflowClient, experiment: str, tmp_path: Path) -> None:
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    folder = tmp_path / "folder" / "deep"
    folder.mkdir(parents=True)
    (folder / "a b.txt").write_text("spaces")
    (tmp_path / "one.bin").write_bytes(bytes(range(256)) * 4096)
    figure = plt.figure()
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(tmp_path / "one.bin"), "files")
        mlflow.log_artifacts(str(tmp_path / "folder"), "files")
        mlflow.log_dict({"k": [1, 2]}, "facts.json")
        mlflow.log_dict({"k": 1}, "facts.yaml")
        mlflow.log_text("héllo", "notes/ü.txt")
        mlflow.log_figure(figure, "plot.png")
        mlflow.log_image(np.zeros((4, 4, 3), dtype=np.uint8), "image.png")
        mlflow.log_table({"question": ["a"], "answer": ["b"]}, "table.json")
    plt.close(figure)
    root = {entry.path: entry.is_dir for entry in client.list_artifacts(run.info.run_id)}
    assert root == {
        "facts.json": False, "facts.yaml": False, "files": True, "image.png": False, "notes": True, "plot.png": False,
        "table.json": False,
    }  # fmt: skip
    assert {entry.path for entry in client.list_artifacts(run.info.run_id, "files")} == {"files/deep", "files/one.bin"}
    there = Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, dst_path=str(tmp_path / "back")))
    assert (there / "files" / "one.bin").read_bytes() == (tmp_path / "one.bin").read_bytes()
    assert (there / "files" / "deep" / "a b.txt").read_text() == "spaces"
    assert (there / "notes" / "ü.txt").read_text() == "héllo"
    assert mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/facts.json") == {"k": [1, 2]}
    assert mlflow.load_table("table.json", run_ids=[run.info.run_id])["answer"].tolist() == ["b"]
    with pytest.raises(MlflowException):
        mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="none", dst_path=str(tmp_path / "x"))


def test_data_sets_that_went_in(client: MlflowClient, experiment: str) -> None:
    frame = pd.DataFrame({"age": [30.0, 40.0], "default": [0, 1]})
    with mlflow.start_run() as run:
        mlflow.log_input(
            from_pandas(frame, name="bureau", targets="default"), context="training", tags={"sha256": "ab" * 32}
        )
        mlflow.log_inputs([from_pandas(frame[:1], name="holdout")], ["testing"], [{}])
    inputs = {one.dataset.name: one for one in client.get_run(run.info.run_id).inputs.dataset_inputs}  # type: ignore[union-attr]
    assert {tag.key: tag.value for tag in inputs["bureau"].tags} == {
        "mlflow.data.context": "training",
        "sha256": "ab" * 32,
    }
    assert set(inputs) == {"bureau", "holdout"}
    assert "age" in str(inputs["bureau"].dataset.schema)
    assert len(mlflow.search_runs(filter_string="dataset.name = 'holdout'")) == 1


def test_logged_models_have_a_life_of_their_own(client: MlflowClient, experiment: str) -> None:
    frame = pd.DataFrame({"age": np.linspace(20, 60, 40)})
    estimator = LogisticRegression(random_state=7).fit(frame, (frame["age"] > 40).astype(int))
    with mlflow.start_run() as run:
        made = mlflow.sklearn.log_model(
            estimator, name="model", input_example=frame[:2], pip_requirements=["scikit-learn"]
        )
        mlflow.log_metric("auc", 0.8, model_id=made.model_id)
    client.set_logged_model_tags(made.model_id, {"note": "kept"})
    found = mlflow.get_logged_model(made.model_id)
    assert (found.source_run_id, found.tags["note"], str(found.status)) == (run.info.run_id, "kept", "READY")
    assert [metric.value for metric in found.metrics or []] == [0.8]
    listed = mlflow.search_logged_models(
        experiment_ids=[experiment], filter_string="metrics.auc > 0.5", output_format="list"
    )
    assert [one.model_id for one in listed] == [made.model_id]
    assert list(mlflow.pyfunc.load_model(made.model_uri).predict(frame[:1])) == [0]
    waiting = client.create_logged_model(experiment_id=experiment, name="external", params={"a": "1"})
    client.finalize_logged_model(waiting.model_id, "READY")
    client.delete_logged_model_tag(made.model_id, "note")
    client.delete_logged_model(waiting.model_id)
    assert [one.model_id for one in client.search_logged_models([experiment])] == [made.model_id]


def test_autologging_notes_what_scikit_learn_did(client: MlflowClient, experiment: str) -> None:
    frame = pd.DataFrame({"age": np.linspace(20, 60, 40)})
    mlflow.sklearn.autolog(log_datasets=True, log_input_examples=True)
    try:
        LogisticRegression(random_state=7, C=0.5).fit(frame, (frame["age"] > 40).astype(int))
    finally:
        mlflow.sklearn.autolog(disable=True)
    [run] = client.search_runs([experiment])
    assert (run.data.params["C"], run.data.params["random_state"]) == ("0.5", "7")
    assert "training_accuracy_score" in run.data.metrics
    assert [one.dataset.source_type for one in run.inputs.dataset_inputs]  # type: ignore[union-attr]
    assert len(client.search_logged_models([experiment])) == 1


def test_what_is_wrong_is_said_at_once(client: MlflowClient, experiment: str, ada: Person) -> None:
    with pytest.raises(MlflowException, match=r"not found") as missing:
        client.get_run("f" * 32)
    assert missing.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    with mlflow.start_run() as run:
        mlflow.log_param("depth", 3)
        with pytest.raises(MlflowException, match="Changing param values is not allowed"):
            mlflow.log_param("depth", 4)
    with pytest.raises(MlflowException, match=r"alphanumerics|Names may only contain|Invalid"):
        client.log_metric(run.info.run_id, "no\nnewline", 1)
    with pytest.raises(MlflowException, match="already exists"):
        client.create_experiment(client.get_experiment(experiment).name)
    with pytest.raises(MlflowException, match="Invalid"):
        client.search_runs([experiment], filter_string="nonsense ==")
    with pytest.raises(MlflowException, match="says who trained"):
        client.set_tag(run.info.run_id, "mlflow.user", "eve")
    assert client.get_run(run.info.run_id).data.tags["mlflow.user"] == "ada"
