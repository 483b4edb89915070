"""MLflow's client and pages against our door with a real tracking process behind it."""

from collections.abc import Iterator

import mlflow
import pytest
from mlflow import MlflowClient

from tests.conformance.mlflow.conftest import Person, ada, gate, server, tracking_url, worker

__all__ = ["ada", "gate", "server", "tracking_url", "worker"]


@pytest.fixture
def client(server: str, ada: Person, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowClient]:
    """MLflow's own client, as ada has it: an address and a token."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", ada.token)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING", "false")
    mlflow.set_tracking_uri(server)
    yield MlflowClient()
    mlflow.set_tracking_uri("")
