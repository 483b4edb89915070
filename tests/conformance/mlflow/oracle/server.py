"""A plain ``mlflow server`` beside us: its own process, its own schema in the test cluster, nothing of ours in between."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg

from config.runtime.ports import free_port
from tests.waiting import until

# Children first: MLflow's own delete of a model leaves no row behind either.
_TABLES = (
    "registered_model_aliases",
    "model_version_tags",
    "registered_model_tags",
    "model_versions",
    "registered_models",
)


@dataclass(frozen=True)
class PlainServer:
    """Where it answers, and a way to forget what it was told."""

    url: str
    database: str
    schema: str

    def forget(self) -> None:
        """Empty its registry."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            for table in _TABLES:
                connection.execute(f'DELETE FROM "{self.schema}"."{table}"')  # type: ignore[call-overload]

    def forget_version(self, name: str, number: int) -> None:
        """Take back a version that it registered and we refused, as if it had refused it too."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            for table in ("model_version_tags", "model_versions"):
                connection.execute(
                    f'DELETE FROM "{self.schema}"."{table}" WHERE name = %s AND version = %s',  # type: ignore[call-overload]
                    (name, number),
                )


@contextmanager
def plain_server(data_dir: Path, schema: str) -> Iterator[PlainServer]:
    """Run MLflow's own server, as its documentation says, on PostgreSQL."""
    owner = os.environ["DATABASE_OWNER_URL"]
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')  # type: ignore[call-overload]
        connection.execute(f'CREATE SCHEMA "{schema}"')  # type: ignore[call-overload]
    port = free_port()
    store = urlsplit(owner)._replace(scheme="postgresql+psycopg", query=f"options=-csearch_path%3D{schema}").geturl()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(data_dir),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", store, "--artifacts-destination", str(data_dir / "artifacts")),
    ]
    log = data_dir / "mlflow.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=data_dir, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _answers(process, url, log), what="a plain mlflow server", seconds=120)
        yield PlainServer(url, owner, schema)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')  # type: ignore[call-overload]


def _answers(process: "subprocess.Popen[bytes]", url: str, log: Path) -> bool:
    if process.poll() is not None:
        raise AssertionError(f"mlflow server ended with {process.returncode}:\n{log.read_text()[-3000:]}")
    try:
        return httpx.get(f"{url}/health", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False
