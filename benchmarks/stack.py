"""A throw-away PostgreSQL with two servers on it: Countersign's web processes and a plain ``mlflow server``."""

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from config.runtime import roles
from config.runtime.account import database_account
from config.runtime.ports import free_port
from config.runtime.postgres import Cluster, temporary_parent
from config.runtime.secretfiles import SecretFiles

ROOT = Path(__file__).resolve().parents[1]
WORKERS = "2"
_START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running HTTP server: where it listens and which process heads its tree."""

    name: str
    host: str
    port: int
    pid: int
    headers: dict[str, str]


def prepare_django(cluster: Cluster, parent: Path) -> None:
    """Set this process's environment, migrate as owner and load Django, so that benchmarks can use the services."""
    os.environ.update(
        cluster.urls(),
        DATA_DIR=str(parent / "data"),
        SECRET_KEY=secrets.token_urlsafe(48),
        TRACKING_SECRET=secrets.token_urlsafe(24),
        DATABASE_ROLE="owner",
        DJANGO_SETTINGS_MODULE="config.settings.prod",
        LOG_FORMAT="json",
    )
    os.environ.pop("TRACKING_DATABASE_URL", None)
    for command in (["ensure_keys"], ["setup_database"], ["collectstatic", "--noinput", "--verbosity", "0"]):
        subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    import django

    django.setup()


@contextmanager
def database() -> Iterator[Cluster]:
    """A cluster with durable settings (fsync on: both servers pay for it), removed at the end; Django is loaded."""
    parent = temporary_parent(database_account())
    cluster = Cluster(parent / "postgres", SecretFiles(parent / "secrets"), durable=True)
    try:
        cluster.initialise()
        cluster.start(parent / "postgres.log")
        cluster.set_up_roles()
        prepare_django(cluster, parent)
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(parent)


@contextmanager
def _server(name: str, command: list[str], port: int, health: str, env: dict[str, str]) -> Iterator[Server]:
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        give_up = time.monotonic() + _START_SECONDS
        while True:
            if process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"{name} did not start: {' '.join(command)}")
            try:
                with urlopen(f"http://127.0.0.1:{port}{health}", timeout=2):
                    break
            except (URLError, OSError):
                time.sleep(0.1)
        yield Server(name=name, host="127.0.0.1", port=port, pid=process.pid, headers={})
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def countersign(token: str) -> Iterator[Server]:
    """Our web processes as the supervisor starts them, as the runtime role."""
    port = free_port()
    env = {**os.environ, "DATABASE_ROLE": "app", "PORT": str(port), "HOST": "127.0.0.1", "WEB_WORKERS": WORKERS}
    command = [sys.executable, "-m", "gunicorn", "--config", "python:config.runtime.gunicorn_web"]
    with _server("countersign", command, port, "/health/ready", env) as server:
        yield Server(server.name, server.host, port, server.pid, {"Authorization": f"Bearer {token}"})


@contextmanager
def mlflow(cluster: Cluster) -> Iterator[Server]:
    """``mlflow server`` with its own defaults, as many workers as ours, on a database of its own in the same cluster."""
    with cluster.connect() as connection:
        connection.execute(f"CREATE DATABASE peer OWNER {roles.OWNER}")
    port = free_port()
    uri = cluster.url(roles.OWNER, "peer", driver="psycopg")
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--host", "127.0.0.1"),
        *("--port", str(port), "--workers", WORKERS, "--artifacts-destination", os.environ["DATA_DIR"] + "/peer"),
    ]
    env = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    with _server("mlflow server", command, port, "/health", env) as server:
        yield server


@contextmanager
def both(token: str, cluster: Cluster) -> Iterator[tuple[Server, Server]]:
    """The two servers side by side."""
    with ExitStack() as stack:
        yield stack.enter_context(countersign(token)), stack.enter_context(mlflow(cluster))
