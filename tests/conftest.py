"""Fixtures every test may use. The database comes from tests/cluster.py; the loopback-only sockets from pyproject."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.db.backends.postgresql.operations import DatabaseOperations
from pytest_django import DjangoDbBlocker, Settings

from audit import personal
from audit.append_only import TRUNCATE_TRIGGER
from tests.factories.audit import writing_by_hand

_STAND_ASIDE = f"""
DO $$
DECLARE one record;
BEGIN
    FOR one IN SELECT tgrelid::regclass AS relation FROM pg_trigger WHERE tgname = '{TRUNCATE_TRIGGER}' LOOP
        EXECUTE format('ALTER TABLE %s {{}} TRIGGER {TRUNCATE_TRIGGER}', one.relation);
    END LOOP;
END
$$
"""


@pytest.fixture(scope="session", autouse=True)
def _transactional_tests_may_clean_up() -> Iterator[None]:
    """Between transactional tests Django truncates every table, which the triggers of ours refuse even its owner."""

    def flush(operations: DatabaseOperations, statements: Sequence[str]) -> None:
        with transaction.atomic(using=operations.connection.alias), operations.connection.cursor() as cursor:
            for statement in [_STAND_ASIDE.format("DISABLE"), *statements, _STAND_ASIDE.format("ENABLE ALWAYS")]:
                cursor.execute(statement)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", flush)
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The test database, which at the end is dropped even if a browser still holds a connection to a live server open.

    The thread behind that connection keeps a session of the database that nobody can close from here.
    """
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
        )


@pytest.fixture(autouse=True)
def nobody_is_known() -> None:
    """A test's database forgets people, so what this process knows to be committed there is forgotten, too."""
    personal.forget_what_is_known()


@pytest.fixture
def artifact_root(settings: Settings, tmp_path: Path) -> Path:
    """Point ARTIFACT_ROOT to an empty directory of this test's own."""
    root = tmp_path / "artifacts"
    root.mkdir()
    settings.ARTIFACT_ROOT = root
    return root


@pytest.fixture
def keys_dir(settings: Settings, tmp_path: Path) -> Path:
    """Point KEYS_DIR to an empty directory of this test's own."""
    directory = tmp_path / "keys"
    directory.mkdir(mode=0o700)
    settings.KEYS_DIR = directory
    return directory


@pytest.fixture
def by_hand(db: None) -> Iterator[None]:
    """Let the test write governed rows by itself: entries that PostgreSQL misses at the test's end are made up."""
    with writing_by_hand():
        yield
