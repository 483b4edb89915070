"""The real MLflow client against a live server and a real tracking process."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.mlflow.tracking import tracking_process


@pytest.fixture(scope="session")
def tracking_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a tracking process that runs for the whole session."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    directory: Path = tmp_path_factory.mktemp("tracking")
    with tracking_process(directory, f"mlflow_tests_{worker}") as url:
        yield url
