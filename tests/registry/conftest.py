"""People and things of the registry's own tests."""

from pathlib import Path

import pytest

from registry.models import ModelVersion, RegisteredModel, User
from registry.roles import Role
from tests.factories import registry as make


@pytest.fixture
def scientist(db: None, artifact_root: Path) -> User:
    """Contributes to every model."""
    return make.person(Role.CONTRIBUTOR)


@pytest.fixture
def stranger(db: None) -> User:
    """Holds no role."""
    return make.person()


@pytest.fixture
def model(scientist: User) -> RegisteredModel:
    """The scientist's."""
    return make.registered_model(scientist, "credit-default")


@pytest.fixture
def pending(model: RegisteredModel, scientist: User) -> ModelVersion:
    """A version without bytes."""
    return make.pending_version(model, scientist)


@pytest.fixture
def sealed(model: RegisteredModel, scientist: User) -> ModelVersion:
    """A sealed version."""
    return make.sealed_version(model, scientist)
