"""A plain MLflow server for the session, and an empty pair for each test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.roles import Role
from tests.conformance.mlflow.conftest import person
from tests.conformance.mlflow.oracle.pair import Pair
from tests.conformance.mlflow.oracle.server import PlainServer, plain_server


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainServer]:
    """MLflow's own server, for the whole session."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    with plain_server(tmp_path_factory.mktemp("mlflow"), f"mlflow_oracle_{worker}") as server:
        yield server


@pytest.fixture
def pair(transactional_db: None, artifact_root: Path, mlflow_server: PlainServer) -> Iterator[Pair]:
    """Both servers, empty. Ours has no policy in force, so nothing is governed."""
    mlflow_server.forget()
    who = person("ada", Role.CONTRIBUTOR)
    found = Pair(mlflow_server, who.token, who.user)
    yield found
    found.http.close()
