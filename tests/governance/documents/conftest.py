"""An approved request in a log that is integrated, and people who may ask for reports."""

import pytest

from governance.models import PromotionRequest
from governance.standing import with_rows
from registry.models import User
from registry.roles import Role
from tests.factories import governance as make


@pytest.fixture
def auditor(house: object) -> User:
    """Audits every model."""
    return make.person("auditor", Role.AUDITOR)


@pytest.fixture
def approved(ready: PromotionRequest, approvers: list[User]) -> PromotionRequest:
    """A request that two approvers have signed, with everything in the log."""
    make.approve(ready, approvers)
    make.integrate()
    return with_rows(PromotionRequest.objects.filter(pk=ready.pk)).get()
