"""A database with real commits, people, and the moments between what they do."""

from pathlib import Path

import pytest
from django.db import connection

from audit.keys import ensure_keys
from registry.models import ModelVersion, RegisteredModel, User
from tests.factories import pages as make
from tests.pages.registry.conftest import auditor, model, scientist, visit

__all__ = ["auditor", "model", "scientist", "visit"]  # fixtures of theirs that hold here, too
_FORGET = """
DO $$
DECLARE one record;
BEGIN
    FOR one IN SELECT relid::regclass AS relation FROM pg_stat_user_tables WHERE schemaname = 'history' AND relname <> 'era'
    LOOP
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', one.relation);
        EXECUTE format('DELETE FROM %s', one.relation);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER keep_history', one.relation);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only_history', one.relation);
    END LOOP;
END
$$
"""
"""The history of the tests before this one: what they flushed has no end in it."""


@pytest.fixture(autouse=True)
def places(transactional_db: None, artifact_root: Path, keys_dir: Path) -> None:
    """A database, bytes and keys of this test's own."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET)
    ensure_keys(keys_dir)


@pytest.fixture
def version(model: RegisteredModel, scientist: User) -> ModelVersion:
    """A sealed version of the model with recorded lineage."""
    sealed = make.sealed_version(model, scientist, metrics={"auc": 0.784}, tags={"region": "all"}, run_id="run-1")
    make.record_lineage(sealed)
    return sealed
