"""From the last signature to the permit: two signers, each in its own time, and exactly one permit."""

import json

import pytest

from governance.models import Permit, PromotionRequest
from governance.permits import verify_permit
from governance.selectors.permits import permit_file, trust_root
from registry.models import Alias, User
from tests.factories import governance as make

pytestmark = pytest.mark.django_db


def test_after_both_signers_the_permit_is_there_and_verifies_offline(
    ready: PromotionRequest, approvers: list[User]
) -> None:
    make.approve(ready, approvers)
    make.publish()
    permit = Permit.objects.get()
    proved, _ = verify_permit.verify(json.loads(permit_file(permit)), json.loads(trust_root()))
    assert proved["permit"] == str(permit.pk)
    assert Alias.objects.get().version == ready.version
