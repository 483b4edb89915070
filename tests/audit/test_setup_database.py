"""One command brings an empty database to where every process can start, and may be run again."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from psycopg import sql

from config.runtime import roles


@pytest.fixture
def empty_database(transactional_db: None) -> Iterator[str]:
    """An empty database of the owner, with the schema of the tracking process; its owner's address."""
    name = f"{connection.settings_dict['NAME']}_setup"
    url = os.environ["DATABASE_OWNER_URL"]
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield f"{url.rsplit('/', 1)[0]}/{name}"
        server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def run(address: str, tmp_path: Path, tracking: str = "") -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.audit.process_settings",
        "SECRET_KEY": "x" * 40,
        "DATABASE_ROLE": "owner",
        "DATABASE_OWNER_URL": address,
        "DATA_DIR": str(tmp_path),
        "TRACKING_DATABASE_URL": tracking,
    }
    command = [sys.executable, "-m", "django", "setup_database", "--verbosity", "0"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_an_empty_database_gets_schema_and_rights_twice_over(empty_database: str, tmp_path: Path) -> None:
    for _ in range(2):
        done = run(empty_database, tmp_path)
        assert done.returncode == 0, done.stderr
        assert "Rights of the runtime roles granted" in done.stdout
    app = f"{os.environ['DATABASE_URL'].rsplit('/', 1)[0]}/{empty_database.rsplit('/', 1)[1]}"
    with psycopg.connect(app) as web:
        assert web.execute("SELECT count(*) FROM audit_entry").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            web.execute("SELECT * FROM audit_inbox")


@pytest.mark.slow
def test_the_tracking_schema_is_made_by_mlflow_and_then_left_alone(empty_database: str, tmp_path: Path) -> None:
    with psycopg.connect(empty_database, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(roles.TRACKING_SCHEMA)))
    tracking = f"{empty_database.replace('postgresql://', 'postgresql+psycopg://')}?options=-csearch_path%3Dmlflow"
    assert run(empty_database, tmp_path, tracking).returncode == 0
    with psycopg.connect(empty_database, autocommit=True) as owner:
        made = owner.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'mlflow'").fetchone()
        assert made is not None
        assert made[0] > 20
        assert owner.execute("SELECT to_regclass('public.experiments')").fetchone() == (None,)
        # If MLflow were asked again it would find its version table gone and complain.
        owner.execute("DROP TABLE mlflow.alembic_version")
    again = run(empty_database, tmp_path, tracking)
    assert again.returncode == 0, again.stderr
    assert "is that of mlflow 3.17.2" in again.stdout


OLDER = """
import os, sys
from alembic import command
from alembic.script import ScriptDirectory
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.initial_models import Base
from sqlalchemy import create_engine

address = os.environ["TRACKING_DATABASE_URL"]
Base.metadata.create_all(create_engine(address))
config = _get_alembic_config(address)
history = list(ScriptDirectory.from_config(config).walk_revisions())
command.upgrade(config, history[10].revision)
"""


@pytest.mark.slow
def test_a_schema_of_an_older_release_is_upgraded_and_keeps_what_it_holds(empty_database: str, tmp_path: Path) -> None:
    with psycopg.connect(empty_database, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(roles.TRACKING_SCHEMA)))
    tracking = f"{empty_database.replace('postgresql://', 'postgresql+psycopg://')}?options=-csearch_path%3Dmlflow"
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    made = subprocess.run(
        [sys.executable, "-c", OLDER],
        env={**os.environ, **quiet, "TRACKING_DATABASE_URL": tracking},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    with psycopg.connect(empty_database, autocommit=True) as owner:
        owner.execute("COMMENT ON SCHEMA mlflow IS 'mlflow 3.0.0'")
        owner.execute("INSERT INTO mlflow.experiments (name, lifecycle_stage) VALUES ('kept', 'active')")
        older = owner.execute("SELECT version_num FROM mlflow.alembic_version").fetchone()
    done = run(empty_database, tmp_path, tracking)
    assert done.returncode == 0, done.stderr
    assert "Upgrading MLflow's tracking schema" in done.stdout
    with psycopg.connect(empty_database, autocommit=True) as owner:
        assert owner.execute("SELECT version_num FROM mlflow.alembic_version").fetchone() != older
        assert owner.execute("SELECT name FROM mlflow.experiments").fetchall() == [("kept",)]
    again = run(empty_database, tmp_path, tracking)
    assert again.returncode == 0
    assert "Upgrading" not in again.stdout


def test_a_tracking_database_without_its_schema_is_named(empty_database: str, tmp_path: Path) -> None:
    tracking = empty_database.replace("postgresql://", "postgresql+psycopg://")
    done = run(empty_database, tmp_path, tracking)
    assert done.returncode == 1
    assert "has no schema mlflow" in done.stderr
