"""The newest MLflow client that installs, against us: the main job and every registry method."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from django.test import Client
from mlflow import MlflowClient
from mlflow.data.pandas_dataset import from_pandas
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
from requests import HTTPError
from sklearn.linear_model import LogisticRegression

from registry import tasks
from registry.models import Edge, ManifestFile, ModelVersion, Node, RegisteredModel
from registry.roles import Role
from registry.services import catalog, ingest, provenance
from registry.storage import blobs
from registry.tracking import TrackingClient
from tests.conformance.mlflow.conftest import Person, person, sealed
from tests.factories.audit import by_hand

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # The client and the libraries under it warn about themselves; what we test is what goes over the wire.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture
def client(server: str, ada: Person, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowClient]:
    """MLflow's own client, as ada has it: an address and a token."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", ada.token)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    mlflow.set_tracking_uri(server)
    yield MlflowClient()
    mlflow.set_tracking_uri("")


def as_person(who: Person, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", who.token)
    return MlflowClient()


def trained() -> tuple[pd.DataFrame, LogisticRegression]:
    frame = pd.DataFrame({"age": np.linspace(20, 60, 40), "sex": [0.0, 1.0] * 20})
    return frame, LogisticRegression(random_state=7).fit(frame, (frame["age"] > 40).astype(int))


def test_the_main_job(client: MlflowClient, worker: Callable[[], int], ada: Person, server: str) -> None:
    frame, estimator = trained()
    mlflow.set_experiment("credit")
    with mlflow.start_run() as run:
        mlflow.log_input(from_pandas(frame, name="bureau"), context="training")
        mlflow.log_params({"random_state": 7, "penalty": "l2"})
        mlflow.log_metric("auc", 0.81)
        mlflow.set_tags({"git.author": "ada@example.org", "git.dirty": "true", "mlflow.source.git.commit": "c0ffee12"})
        logged = mlflow.sklearn.log_model(
            estimator,
            name="model",
            input_example=frame[:3],
            registered_model_name="credit-default",
            pip_requirements=["x"],
        )
    assert worker() == 1
    version = client.get_model_version("credit-default", "1")
    assert (version.status, version.current_stage, version.user_id) == ("READY", "None", "ada")
    assert version.run_id == run.info.run_id
    assert version.source == f"models:/{logged.model_id}"

    row = ModelVersion.objects.get()
    assert {"python_function", "sklearn"} <= set(row.flavours)
    assert row.signature["inputs"][0]["name"] == "age"
    paths = set(ManifestFile.objects.filter(manifest=row.manifest).values_list("path", flat=True))
    assert {"MLmodel", "requirements.txt", "conda.yaml", "python_env.yaml"} <= paths

    client.set_registered_model_alias("credit-default", "candidate", "1")
    for uri in ("models:/credit-default/1", "models:/credit-default@candidate", "models:/credit-default/latest"):
        loaded = mlflow.pyfunc.load_model(uri)
        assert list(loaded.predict(frame)) == list(estimator.predict(frame))

    provenance.record_from_run(row.pk)
    row.refresh_from_db()
    assert (row.trained_by, row.code_author) == (ada.user, ada.user)
    assert (row.parameters["penalty"], row.metrics["auc"]) == ("l2", 0.81)
    kinds = set(Node.objects.values_list("kind", flat=True))
    assert kinds == {"dataset", "code", "environment", "run", "version"}
    assert Node.objects.get(kind="code").version == "c0ffee12-dirty"
    assert Node.objects.get(kind="run").facts["seeds"] == {"random_state": "7"}
    assert Node.objects.get(kind="dataset").name == "bureau"
    assert Edge.objects.get(src__kind="dataset").context == "training"
    environment = Node.objects.get(kind="environment").facts
    assert set(environment["files"]) == {"requirements.txt", "conda.yaml", "python_env.yaml"}

    with TrackingClient() as tracking:
        path = tracking.logged_model(logged.model_id).artifact_path
    mlflow.artifacts.download_artifacts(f"mlflow-artifacts:/{path}/MLmodel")
    with pytest.raises(HTTPError, match="never changed"):
        repository(server, row).log_artifact(str(Path(__file__)))


def repository(server: str, version: ModelVersion) -> Any:
    return MlflowArtifactsRepository(f"mlflow-artifacts:/sealed/{version.model_id}/{version.number}", server)


@pytest.mark.usefixtures("worker")
def test_what_is_served_is_what_was_sealed(client: MlflowClient, tmp_path: Path) -> None:
    frame, estimator = trained()
    with mlflow.start_run() as run:
        mlflow.sklearn.save_model(estimator, str(tmp_path / "m"), pip_requirements=["x"])
        mlflow.log_artifacts(str(tmp_path / "m"), "m")
    version = mlflow.register_model(f"runs:/{run.info.run_id}/m", "old-way")
    assert (version.version, version.run_id) == ("1", run.info.run_id)
    assert client.get_model_version("old-way", "1").status == "READY"
    (tmp_path / "m" / "MLmodel").write_text("flavors: {python_function: {loader_module: evil}}")
    with pytest.raises((HTTPError, MlflowException), match="old-way v1 was sealed from the artifacts"):
        client.log_artifact(run.info.run_id, str(tmp_path / "m" / "MLmodel"), "m")
    assert list(mlflow.sklearn.load_model("models:/old-way/1").predict(frame)) == list(estimator.predict(frame))
    copied = client.copy_model_version("models:/old-way/1", "copied")
    assert mlflow.sklearn.load_model(f"models:/copied/{copied.version}") is not None
    one, two = ModelVersion.objects.order_by("created_at")
    assert one.manifest_digest == two.manifest_digest


def test_every_method_of_the_registry(client: MlflowClient, ada: Person) -> None:
    made = client.create_registered_model("credit", {"team": "risk"}, "Cards")
    assert (made.name, made.description, made.tags) == ("credit", "Cards", {"team": "risk"})
    with pytest.raises(MlflowException) as refused:
        client.create_registered_model("credit")
    assert refused.value.error_code == "RESOURCE_ALREADY_EXISTS"
    assert client.update_registered_model("credit", "Other").description == "Other"
    client.set_registered_model_tag("credit", "tier", "1")
    client.delete_registered_model_tag("credit", "team")
    assert client.get_registered_model("credit").tags == {"tier": "1"}
    client.rename_registered_model("credit", "credit cards")
    assert client.get_registered_model("credit cards").description == "Other"
    with pytest.raises(MlflowException) as refused:
        client.get_registered_model("credit")
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    model = RegisteredModel.objects.get()
    for _ in range(3):
        sealed(model, ada.actor)
    assert client.update_model_version("credit cards", "2", "second").description == "second"
    client.set_model_version_tag("credit cards", "2", "k", "v")
    assert client.get_model_version("credit cards", "2").tags == {"k": "v"}
    client.delete_model_version_tag("credit cards", "2", "k")
    assert client.get_model_version("credit cards", "2").tags == {}
    client.set_registered_model_alias("credit cards", "candidate", "2")
    found = client.get_model_version_by_alias("credit cards", "candidate")
    assert (found.version, found.aliases) == ("2", ["candidate"])
    assert client.get_registered_model("credit cards").aliases == {"candidate": "2"}
    assert client.get_model_version_by_alias("credit cards", "latest").version == "3"
    client.delete_registered_model_alias("credit cards", "candidate")
    with pytest.raises(MlflowException, match="alias candidate not found"):
        client.get_model_version_by_alias("credit cards", "candidate")
    with pytest.warns(FutureWarning):
        client.transition_model_version_stage("credit cards", "1", "Staging")
    with pytest.warns(FutureWarning):
        moved = client.transition_model_version_stage("credit cards", "3", "staging", archive_existing_versions=True)
    assert moved.current_stage == "Staging"
    with pytest.warns(FutureWarning):
        latest = client.get_latest_versions("credit cards")
    assert {version.current_stage: version.version for version in latest} == {
        "Archived": "1",
        "Staging": "3",
        "None": "2",
    }
    with pytest.warns(FutureWarning):
        assert [v.version for v in client.get_latest_versions("credit cards", ["Staging"])] == ["3"]
    assert client.get_model_version_download_uri("credit cards", "3") == f"mlflow-artifacts:/sealed/{model.pk}/3"
    assert [v.version for v in client.search_model_versions("name='credit cards'", order_by=["version_number"])] == [
        "1",
        "2",
        "3",
    ]
    page = client.search_model_versions("name='credit cards'", max_results=2, order_by=["version_number DESC"])
    assert [v.version for v in page] == ["3", "2"]
    rest = client.search_model_versions(
        "name='credit cards'", max_results=2, order_by=["version_number DESC"], page_token=page.token
    )
    assert ([v.version for v in rest], rest.token) == (["1"], "")
    assert [m.name for m in client.search_registered_models("name LIKE 'credit%' AND tags.tier = '1'")] == [
        "credit cards"
    ]
    client.delete_model_version("credit cards", "3")
    with pytest.raises(MlflowException) as refused:
        client.get_model_version("credit cards", "3")
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert sealed(model, ada.actor).number == 4
    client.delete_registered_model("credit cards")
    assert list(client.search_registered_models()) == []


def test_a_refusal_of_the_gate_reaches_the_notebook(client: MlflowClient, ada: Person) -> None:
    model = catalog.create_model(name="credit", by=ada.actor)
    sealed(model, ada.actor)
    with pytest.raises(MlflowException) as refused:
        client.set_registered_model_alias("credit", "production", "1")
    assert refused.value.error_code == "PERMISSION_DENIED"
    for part in ("governed by the policy credit-risk", "Ask for promotion.", "/models/credit/requests/new"):
        assert part in str(refused.value)
    with pytest.warns(FutureWarning), pytest.raises(MlflowException, match="governed"):
        client.transition_model_version_stage("credit", "1", "Production")
    with pytest.raises(MlflowException, match="look like approvals"):
        client.set_model_version_tag("credit", "1", "approved_by", "me")
    model.refresh_from_db()
    assert not model.aliases.exists()
    assert model.versions.get().stage == "None"


@pytest.mark.parametrize(
    ("files", "part"),
    [
        ({"note.txt": "no model"}, "no MLmodel"),
        ({"MLmodel": "flavors: []"}, "no flavors"),
        ({"MLmodel": "{"}, "not valid YAML"),
    ],
)
def test_what_is_no_model_fails_with_the_reason(
    client: MlflowClient, tmp_path: Path, files: dict[str, str], part: str
) -> None:
    client.create_registered_model("credit")
    with mlflow.start_run() as run:
        for name, text in files.items():
            (tmp_path / name).write_text(text)
            mlflow.log_artifact(str(tmp_path / name), "m")
    source = f"{run.info.artifact_uri}/m"
    client.create_model_version("credit", source, run.info.run_id, await_creation_for=0)
    ingest.ingest(ModelVersion.objects.get().pk)
    version = client.get_model_version("credit", "1")
    assert version.status == "FAILED_REGISTRATION"
    assert part in str(version.status_message)


def test_a_source_outside_of_its_run_fails(client: MlflowClient) -> None:
    client.create_registered_model("credit")
    with mlflow.start_run() as one:
        mlflow.log_text("x", "m/MLmodel")
    with mlflow.start_run() as two:
        pass
    client.create_model_version("credit", f"{one.info.artifact_uri}/m", two.info.run_id, await_creation_for=0)
    client.create_model_version("credit", f"runs:/{'e' * 32}/m", "e" * 32, await_creation_for=0)
    for version in ModelVersion.objects.all():
        ingest.ingest(version.pk)
    assert "does not lie in the artifacts of run" in str(client.get_model_version("credit", "1").status_message)
    assert "has no run" in str(client.get_model_version("credit", "2").status_message)


def test_too_large_a_model_fails(client: MlflowClient, settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 10
    client.create_registered_model("credit")
    with mlflow.start_run() as run:
        mlflow.log_text("flavors: {python_function: {a: b}}", "m/MLmodel")
    client.create_model_version("credit", f"runs:/{run.info.run_id}/m", run.info.run_id, await_creation_for=0)
    ingest.ingest(ModelVersion.objects.get().pk)
    assert "too large" in str(client.get_model_version("credit", "1").status_message)


@pytest.mark.usefixtures("ada", "monkeypatch")
def test_who_trained_is_who_started_the_run(client: MlflowClient) -> None:
    run = client.create_run("0", tags={"mlflow.user": "somebody else", "a": "b"})
    told = client.get_run(run.info.run_id)
    assert (told.info.user_id, told.data.tags["mlflow.user"], told.data.tags["a"]) == ("ada", "ada", "b")
    with pytest.raises(MlflowException, match="nobody may change it"):
        client.set_tag(run.info.run_id, "mlflow.user", "eve")
    with pytest.raises(MlflowException, match="nobody may change it"):
        client.log_batch(run.info.run_id, tags=[mlflow.entities.RunTag("mlflow.user", "eve")])
    with pytest.raises(MlflowException, match="nobody may change it"):
        client.delete_tag(run.info.run_id, "mlflow.user")
    assert client.get_run(run.info.run_id).data.tags["mlflow.user"] == "ada"


def test_roles_hold_for_runs_too(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    run = client.create_run("0")
    auditor = as_person(person("auditor", Role.AUDITOR), monkeypatch)
    assert auditor.get_run(run.info.run_id).info.user_id == "ada"
    assert auditor.search_runs(["0"]) is not None
    with pytest.raises(MlflowException, match="Only contributors"):
        auditor.log_param(run.info.run_id, "a", "b")
    with pytest.raises(MlflowException, match="Only contributors"):
        auditor.create_run("0")
    stranger = as_person(person("stranger", None), monkeypatch)
    with pytest.raises(MlflowException, match="no role"):
        stranger.get_run(run.info.run_id)


def test_artifacts_of_runs_stream_through(client: MlflowClient, tmp_path: Path) -> None:
    run = client.create_run("0")
    content = bytes(range(256)) * 40_000
    (tmp_path / "big.bin").write_bytes(content)
    client.log_artifact(run.info.run_id, str(tmp_path / "big.bin"), "some dir")
    [listed] = client.list_artifacts(run.info.run_id, "some dir")
    assert listed.file_size == len(content)
    got = client.download_artifacts(run.info.run_id, "some dir/big.bin", str(tmp_path))
    assert Path(got).read_bytes() == content


def test_traces_and_nested_runs_pass(client: MlflowClient) -> None:
    @mlflow.trace
    def double(x: int) -> int:
        return 2 * x

    with mlflow.start_run() as outer, mlflow.start_run(nested=True) as inner:
        double(2)
    assert client.get_run(inner.info.run_id).data.tags["mlflow.parentRunId"] == outer.info.run_id


def test_while_tracking_is_down_registry_reads_go_on(client: MlflowClient, ada: Person, settings: Any) -> None:
    model = catalog.create_model(name="credit", by=ada.actor)
    sealed(model, ada.actor)
    settings.TRACKING_URL = "http://127.0.0.1:9"
    assert client.get_model_version("credit", "1").status == "READY"
    with pytest.raises(MlflowException, match="503"):
        client.get_run("a" * 32)
    answer = Client(headers={"authorization": f"Bearer {ada.token}"}).get("/api/2.0/mlflow/runs/get", {"run_id": "a"})
    assert (answer.status_code, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")


def test_a_worker_waits_for_tracking_and_gives_up_at_last(client: MlflowClient, settings: Any) -> None:
    run_id = "a" * 32
    client.create_registered_model("credit")
    client.create_model_version("credit", f"runs:/{run_id}/m", run_id, await_creation_for=0)
    settings.TRACKING_URL = "http://127.0.0.1:9"
    settings.JOB_LEASE = timedelta(0)
    row = ModelVersion.objects.get()
    for _ in range(settings.JOB_MAX_ATTEMPTS):
        assert ingest.ingest(row.pk)
        assert client.get_model_version("credit", "1").status == "PENDING_REGISTRATION"
    assert not ingest.ingest(row.pk)
    with by_hand():
        ModelVersion.objects.update(created_at="2020-01-01T00:00:00Z")
    tasks.sweep()
    version = client.get_model_version("credit", "1")
    assert version.status == "FAILED_REGISTRATION"
    assert "in 3 attempts" in str(version.status_message)
    assert "does not answer" in str(version.status_message)


def test_only_one_worker_takes_a_version(client: MlflowClient) -> None:
    run_id = "a" * 32
    client.create_registered_model("credit")
    client.create_model_version("credit", f"runs:/{run_id}/m", run_id, await_creation_for=0)
    row = ModelVersion.objects.get()
    first = ingest._take(row.pk)
    assert first is not None
    assert ingest._take(row.pk) is None
    first.renew()
    ModelVersion.objects.update(ingest_lease_until="2020-01-01T00:00:00Z")
    second = ingest._take(row.pk)
    assert second is not None
    with pytest.raises(ingest.ClaimLost):
        first.renew()
    assert blobs() is not None
