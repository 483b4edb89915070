"""Fixtures for the runtime's own tests: directories where PostgreSQL may live, and a way to see processes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.runtime.account import database_account
from config.runtime.postgres import Cluster, temporary_parent
from config.runtime.secretfiles import SecretFiles


def _temporary_place() -> Iterator[Path]:
    parent = temporary_parent(database_account())
    yield parent
    shutil.rmtree(parent)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory of this test's own that the database's system user can enter."""
    yield from _temporary_place()


@pytest.fixture(scope="module")
def module_place() -> Iterator[Path]:
    """The same for all tests of a module."""
    yield from _temporary_place()


@pytest.fixture
def secrets(place: Path) -> SecretFiles:
    return SecretFiles(place / "secrets")


@pytest.fixture
def cluster(place: Path, secrets: SecretFiles) -> Iterator[Cluster]:
    """A created cluster that does not run yet, and does not run any more when the test ends."""
    made = Cluster(place / "postgres", secrets, durable=False)
    made.initialise()
    yield made
    made.stop()
