"""A house with a policy, people, and requests in each state that a page shows."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from audit.keys import ensure_keys
from governance.models import PolicyVersion, PromotionRequest
from registry.models import ModelVersion, RegisteredModel, User
from registry.roles import Role
from tests.factories import governance as make

Browser = Callable[[User], Client]


@pytest.fixture
def house(db: None, artifact_root: Path, keys_dir: Path) -> PolicyVersion:
    """A policy with two approvers in force, a store, and keys."""
    ensure_keys(keys_dir)
    return make.policy()


@pytest.fixture
def scientist(house: PolicyVersion) -> User:
    """Registers versions and asks for promotions."""
    return make.person("scientist", Role.CONTRIBUTOR)


@pytest.fixture
def officers(house: PolicyVersion) -> list[User]:
    """Two compliance officers."""
    return [make.person("officer", Role.APPROVER), make.person("officer", Role.APPROVER)]


@pytest.fixture
def stranger(house: PolicyVersion) -> User:
    """An account without a role."""
    return make.person("stranger")


@pytest.fixture
def model(scientist: User) -> RegisteredModel:
    """A model of the scientist's."""
    return make.registered_model(scientist)


@pytest.fixture
def version(model: RegisteredModel, scientist: User) -> ModelVersion:
    """A sealed version."""
    return make.sealed_version(model, scientist)


@pytest.fixture
def checking(version: ModelVersion, scientist: User) -> PromotionRequest:
    """A request whose checks wait."""
    return make.request(version, scientist)


@pytest.fixture
def ready(checking: PromotionRequest) -> PromotionRequest:
    """A request whose checks have passed."""
    return make.finish_all(checking)


@pytest.fixture
def stopped(checking: PromotionRequest) -> PromotionRequest:
    """A request that its checks have stopped."""
    return make.finish_all(checking, auc=0.6)


@pytest.fixture
def as_person() -> Browser:
    """A browser in which that person is signed in."""

    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return sign_in
