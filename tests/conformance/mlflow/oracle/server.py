"""A plain ``mlflow server`` beside us: its own process, its own database, nothing of ours in between.

Its database is SQLite: there MLflow compares LIKE as written, and its transitions that archive work. With psycopg 3 they do
not, which is the driver that installs here (``ORACLE_STORE=postgresql`` takes a schema in the test cluster all the same).
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

import psycopg

from tests.conformance.mlflow.existing import mlflow_server

ON_POSTGRESQL: Final = os.environ.get("ORACLE_STORE") == "postgresql"
# Children first: MLflow's own delete of a model leaves no row behind either.
_TABLES: Final = (
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
        self._do([(f"DELETE FROM {self.schema}{table}", ()) for table in _TABLES])

    def forget_version(self, name: str, number: int) -> None:
        """Take back a version that it registered and we refused, as if it had refused it too."""
        mark = "%s" if ON_POSTGRESQL else "?"
        self._do(
            [
                (f"DELETE FROM {self.schema}{table} WHERE name = {mark} AND version = {mark}", (name, number))
                for table in ("model_version_tags", "model_versions")
            ]
        )

    def _do(self, statements: list[tuple[str, tuple[Any, ...]]]) -> None:
        connect = psycopg.connect(self.database) if ON_POSTGRESQL else sqlite3.connect(self.database, timeout=30)
        with closing(cast("sqlite3.Connection", connect)) as connection:
            for statement, values in statements:
                connection.execute(statement, values)
            connection.commit()


def _database(data_dir: Path, schema: str) -> tuple[str, str, str]:
    """An empty database: its address for MLflow, for us, and what stands before the names of its tables."""
    if not ON_POSTGRESQL:
        return f"sqlite:///{data_dir / 'mlflow.db'}", str(data_dir / "mlflow.db"), ""
    owner = os.environ["DATABASE_OWNER_URL"]
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
        connection.execute(f'CREATE SCHEMA "{schema}"')
    query = f"options=-csearch_path%3D{schema}"
    return urlsplit(owner)._replace(scheme="postgresql+psycopg", query=query).geturl(), owner, f'"{schema}".'


@contextmanager
def plain_server(data_dir: Path, schema: str) -> Iterator[PlainServer]:
    """Run MLflow's own server on an empty database."""
    store, database, prefix = _database(data_dir, schema)
    with mlflow_server(data_dir, store=store) as url:
        yield PlainServer(url, database, prefix)
