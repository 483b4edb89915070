"""``MLFLOW_TRACKING_URI``: an organisation's own MLflow server behind our door, asked with credentials of ours."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from pytest_django import Settings
from sklearn.linear_model import LogisticRegression

from registry.models import Experiment, ModelVersion, Node
from registry.services import provenance
from tests.conformance.mlflow.conftest import Person
from tests.conformance.mlflow.existing import asking_for, mlflow_server
from tests.waiting import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.filterwarnings("ignore")]
THEIRS = "Basic Y291bnRlcnNpZ246b3VyIHBhc3N3b3JkIHRoZXJl"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Their MLflow server."""
    with mlflow_server(tmp_path_factory.mktemp("theirs")) as url:
        yield url


@pytest.fixture
def seen(plain: str, server: str, settings: Settings) -> Iterator[list[dict[str, str]]]:
    """Put it behind us; give the headers that arrive there."""
    del server
    headers: list[dict[str, str]] = []
    with asking_for(THEIRS, plain, headers) as url:
        settings.MLFLOW_TRACKING_URI = url
        settings.MLFLOW_TRACKING_AUTHORIZATION = THEIRS
        yield headers


@pytest.fixture
def client(
    server: str, ada: Person, seen: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[MlflowClient]:
    """Ada's client, pointed at us."""
    del seen
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", ada.token)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    mlflow.set_tracking_uri(server)
    yield MlflowClient()
    mlflow.set_tracking_uri("")


def test_a_model_is_logged_there_and_sealed_here(
    client: MlflowClient, worker: Callable[[], int], plain: str, seen: list[dict[str, str]], ada: Person
) -> None:
    frame = np.linspace(0, 1, 20).reshape(10, 2)
    estimator = LogisticRegression().fit(frame, [0, 1] * 5)
    mlflow.set_experiment("theirs")
    with mlflow.start_run() as run:
        mlflow.log_param("penalty", "l2")
        logged = mlflow.sklearn.log_model(
            estimator, name="model", registered_model_name="credit", pip_requirements=["x"]
        )
    assert worker() == 1
    version = ModelVersion.objects.get()
    assert (version.status, version.run_id, version.logged_model_id) == ("READY", run.info.run_id, logged.model_id)
    assert version.artifact_path == f"{run.info.experiment_id}/models/{logged.model_id}/artifacts"
    provenance.record_from_run(version.pk)
    assert Node.objects.get(kind="run").facts["user"] == f"user:{ada.user.pk}"
    loaded = mlflow.pyfunc.load_model("models:/credit/1")
    assert list(loaded.predict(frame)) == list(estimator.predict(frame))
    experiment = Experiment.objects.get()
    assert (experiment.owner, experiment.name, experiment.artifact_root) == (ada.user, "theirs", experiment.tracking_id)

    there = httpx.get(f"{plain}/api/2.0/mlflow/runs/get", params={"run_id": run.info.run_id}, timeout=30).json()["run"]
    assert there["info"]["user_id"] == "ada"
    assert all("x-countersign-tracking" not in headers and "x-countersign-user" not in headers for headers in seen)
    assert {headers.get("authorization") for headers in seen} == {THEIRS}
    with pytest.raises(MlflowException, match="credit v1 was sealed from"):
        client.delete_run(run.info.run_id)


def test_artifacts_that_lie_elsewhere_fail_the_registration_in_words(
    client: MlflowClient, worker: Callable[[], int], plain: str, tmp_path: Path
) -> None:
    del worker
    given = {"name": "elsewhere", "artifact_location": tmp_path.as_uri()}
    made = httpx.post(f"{plain}/api/2.0/mlflow/experiments/create", json=given, timeout=30).json()["experiment_id"]
    run = client.create_run(made)
    client.create_registered_model("far")
    version = client.create_model_version(
        "far", f"runs:/{run.info.run_id}/model", run.info.run_id, await_creation_for=0
    )
    row = ModelVersion.objects.get(model__name="far", number=int(version.version))

    def failed() -> bool:
        row.refresh_from_db()
        return row.status == ModelVersion.Status.FAILED

    until(failed, what="the registration to fail", seconds=60)
    assert "does not read" in row.status_message
    assert "--serve-artifacts" in row.status_message


def test_our_credentials_being_wrong_there_is_not_the_clients_fault(
    ada: Person, server: str, seen: list[dict[str, str]], settings: Settings
) -> None:
    settings.MLFLOW_TRACKING_AUTHORIZATION = "Bearer forgotten"
    headers = {"Authorization": f"Bearer {ada.token}"}
    for method, address, more in (
        ("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0", {}),
        ("GET", "/api/2.0/mlflow/runs/get?run_id=0123", {}),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/x", {"content": b"x"}),
    ):
        answer = httpx.request(method, server + address, headers=headers, timeout=30, **more)  # type: ignore[arg-type]
        assert answer.status_code == 403, answer.text
        assert "WWW-Authenticate" not in answer.headers
        assert "Your own token is not at fault" in answer.json()["message"]
    assert {headers["authorization"] for headers in seen} == {"Bearer forgotten"}


def test_a_server_that_is_down_is_said_at_once(ada: Person, server: str, settings: Settings) -> None:
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    headers = {"Authorization": f"Bearer {ada.token}"}
    for address in (
        "experiments/get?experiment_id=0",
        "runs/get?run_id=abc",
        "experiments/get-by-name?experiment_name=x",
    ):
        answer = httpx.get(f"{server}/api/2.0/mlflow/{address}", headers=headers, timeout=30)
        assert (answer.status_code, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        assert answer.headers["Retry-After"] == "1"
