"""A database with real commits, people, and the moments between what they do."""

from pathlib import Path

import pytest
from django.db import connection
from django.test import Client

from audit.keys import ensure_keys
from registry.models import ModelVersion, RegisteredModel, User
from registry.roles import Role
from tests.factories import pages as make
from tests.time_travel.moments import Visit

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
def visit() -> Visit:
    """A browser in which somebody is signed in."""

    def signed_in(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return signed_in


@pytest.fixture
def scientist() -> User:
    """A contributor on every model."""
    return make.person("ada", Role.CONTRIBUTOR)


@pytest.fixture
def auditor() -> User:
    """Sees everything, changes nothing."""
    return make.person("audrey", Role.AUDITOR)


@pytest.fixture
def model(scientist: User) -> RegisteredModel:
    """``credit-default``."""
    return make.model(scientist, use_case="Default of card accounts.", card={"intended_use": "Rank applications."})


@pytest.fixture
def version(model: RegisteredModel, scientist: User) -> ModelVersion:
    """A sealed version of the model with recorded lineage."""
    sealed = make.sealed_version(model, scientist, metrics={"auc": 0.784}, tags={"region": "all"}, run_id="run-1")
    make.record_lineage(sealed)
    return sealed
