"""A real tracking process for tests: the supervisor's own command, on a schema of its own in the test cluster."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
from django.db import connections

from config.runtime.ports import free_port
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[3]
SECRET = "test-tracking-secret"


@contextmanager
def tracking_process(data_dir: Path, schema: str, more: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run the tracking process, with ``more`` in its environment, and give its address."""
    owner = os.environ["DATABASE_OWNER_URL"]
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
        connection.execute(f'CREATE SCHEMA "{schema}"')
    port = free_port()
    parts = urlsplit(owner)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(data_dir),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DATA_DIR": str(data_dir),
        "TRACKING_SECRET": SECRET,
        "DATABASE_CATALOGUE_URL": urlsplit(os.environ["DATABASE_CATALOGUE_URL"])
        ._replace(path=f"/{connections['default'].settings_dict['NAME']}")
        .geturl(),
        "TRACKING_DATABASE_URL": parts._replace(
            scheme="postgresql+psycopg", query=f"options=-csearch_path%3D{schema}"
        ).geturl(),
        **(more or {}),
    }
    log = data_dir / "tracking.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--config", "python:config.runtime.gunicorn_tracking"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _answers(process, url, log), what="the tracking process", seconds=90)
        yield url
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: our own connections to it are still open
        process.wait(30)
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')


def _answers(process: "subprocess.Popen[bytes]", url: str, log: Path) -> bool:
    if process.poll() is not None:
        raise AssertionError(f"The tracking process ended with {process.returncode}:\n{log.read_text()[-3000:]}")
    try:
        return httpx.get(f"{url}/health", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False
