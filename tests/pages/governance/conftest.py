"""A house with a policy, people, and requests in each state that a page shows."""

from collections.abc import Callable

import pytest
from django.test import Client

from governance.models import PolicyVersion, PromotionRequest
from registry.models import User
from registry.roles import Role
from tests.factories import governance as make
from tests.governance.conftest import checking, house, model, ready, scientist, signing_keys, version

__all__ = [
    "checking",
    "house",
    "model",
    "ready",
    "scientist",
    "signing_keys",
    "version",
]  # fixtures of theirs that hold here, too
Browser = Callable[[User], Client]


@pytest.fixture
def officers(house: PolicyVersion) -> list[User]:
    """Two compliance officers."""
    return [make.person("officer", Role.APPROVER), make.person("officer", Role.APPROVER)]


@pytest.fixture
def stranger(house: PolicyVersion) -> User:
    """An account without a role."""
    return make.person("stranger")


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
