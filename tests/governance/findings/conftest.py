"""A house whose policy asks for a validator's finding beside a computed check."""

import pytest

from governance.models import CheckRun, PromotionRequest
from registry.models import User
from registry.roles import Role
from tests.factories import governance as make

POLICY = make.TWO_APPROVERS.replace(
    "card: [",
    """  - use: manual@1
    id: conceptual.soundness
    params:
      title: Conceptual soundness
      instructions: Read the design document. Is the method right for its use?
card: [""",
)


@pytest.fixture
def validator(house: object) -> User:
    """Examines what others have made."""
    return make.person("validator", Role.VALIDATOR)


@pytest.fixture
def waiting(house: object, scientist: User) -> PromotionRequest:
    """A request whose computed checks have passed, and which waits for the finding."""
    make.policy(POLICY)
    model = make.registered_model(scientist)
    return make.finish_all(make.request(make.sealed_version(model, scientist), scientist))


@pytest.fixture
def awaited(waiting: PromotionRequest) -> CheckRun:
    """The finding that is waited for."""
    return waiting.checks.get(key="conceptual.soundness")
