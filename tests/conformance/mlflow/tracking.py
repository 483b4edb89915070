"""A real tracking process for tests: the supervisor's own command, on a schema of its own in the test cluster."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from django.db import connections

from config.runtime.ports import LOOPBACK, free_port
from tests.serving import serving

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
        "HOST": LOOPBACK,
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
    url = f"http://{LOOPBACK}:{port}"
    command = [sys.executable, "-m", "gunicorn", "--config", "python:config.runtime.gunicorn_tracking"]
    log = data_dir / "tracking.log"
    try:
        # SIGQUIT ends it at once: our own connections to it are still open.
        with serving(command, f"{url}/health", environment=environment, log=log, end=signal.SIGQUIT):
            yield url
    finally:
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
