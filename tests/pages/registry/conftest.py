"""People by what they may do, a model with a sealed version, and browsers without a script."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from audit.keys import ensure_keys
from registry.models import ModelVersion, RegisteredModel, User
from registry.roles import Role
from tests.factories import pages as make

QUERIES = 25
"""The most that one page may ask of the database, whatever there is to show."""

Visit = Callable[[User], Client]


@pytest.fixture(autouse=True)
def places(db: None, artifact_root: Path, keys_dir: Path) -> None:
    """A database, bytes and keys of this test's own."""
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
def stranger() -> User:
    """Signed in, without any role."""
    return make.person("stranger")


@pytest.fixture
def model(scientist: User) -> RegisteredModel:
    """``credit-default``."""
    return make.model(scientist, use_case="Default of card accounts.", card={"intended_use": "Rank applications."})


@pytest.fixture
def version(model: RegisteredModel, scientist: User) -> ModelVersion:
    """A sealed version of the model with recorded lineage."""
    sealed = make.sealed_version(
        model, scientist, parameters={"C": "0.1"}, metrics={"auc": 0.784}, tags={"region": "all"}, run_id="run-1"
    )
    make.record_lineage(sealed)
    return sealed
