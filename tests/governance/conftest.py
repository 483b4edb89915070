"""Fixtures of governance: people by their part in a promotion, a model, a version, a policy."""

from pathlib import Path

import pytest

from audit.keys import ensure_keys
from governance.models import PolicyVersion, PromotionRequest
from registry.models import ModelVersion, RegisteredModel, User
from registry.roles import Role
from tests.factories import governance as make


@pytest.fixture
def signing_keys(keys_dir: Path) -> Path:
    """The two key pairs of an installation."""
    ensure_keys(keys_dir)
    return keys_dir


@pytest.fixture
def house(db: None, artifact_root: Path, signing_keys: Path) -> PolicyVersion:
    """A policy with two approvers in force, a store for blobs, and keys."""
    return make.policy()


@pytest.fixture
def scientist(house: PolicyVersion) -> User:
    """Registers versions and asks for promotions."""
    return make.person("scientist", Role.CONTRIBUTOR)


@pytest.fixture
def approvers(house: PolicyVersion) -> list[User]:
    """Two compliance officers."""
    return [make.person("approver", Role.APPROVER), make.person("approver", Role.APPROVER)]


@pytest.fixture
def model(scientist: User) -> RegisteredModel:
    """A model of the scientist's."""
    return make.registered_model(scientist)


@pytest.fixture
def version(model: RegisteredModel, scientist: User) -> ModelVersion:
    """A sealed version of the model."""
    return make.sealed_version(model, scientist)


@pytest.fixture
def checking(version: ModelVersion, scientist: User) -> PromotionRequest:
    """A request whose checks wait."""
    return make.request(version, scientist)


@pytest.fixture
def ready(checking: PromotionRequest) -> PromotionRequest:
    """A request whose checks have passed."""
    return make.finish_all(checking)
