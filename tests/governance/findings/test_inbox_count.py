"""The number beside “Inbox” counts the findings that this person could record, and nobody else's."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.models import CheckRun, PromotionRequest
from governance.selectors.inbox import inbox_of, waiting_count
from registry.models import User
from registry.roles import Role
from tests.factories import governance as make
from tests.factories.audit import by_hand
from tests.governance.findings.conftest import POLICY

pytestmark = pytest.mark.django_db


def listed(user: User) -> int:
    return len(inbox_of(user, make.actor(user)).findings)


def test_a_finding_that_waits_is_counted_for_the_role_that_is_named(
    waiting: PromotionRequest, validator: User, scientist: User, approvers: list[User]
) -> None:
    assert (waiting_count(validator), listed(validator)) == (1, 1)
    for other in (scientist, *approvers):
        assert (waiting_count(other), listed(other)) == (0, 0)


@pytest.mark.parametrize("role", ["approver", "auditor"])
def test_another_role_is_another_person(awaited: CheckRun, validator: User, role: str) -> None:
    with by_hand():
        CheckRun.objects.filter(pk=awaited.pk).update(parameters=awaited.parameters | {"role": role})
    person = make.person("somebody", {"approver": Role.APPROVER, "auditor": Role.AUDITOR}[role])
    assert (waiting_count(person), listed(person)) == (1, 1)
    assert (waiting_count(validator), listed(validator)) == (0, 0)


def test_who_may_not_record_it_is_not_called(waiting: PromotionRequest, awaited: CheckRun, validator: User) -> None:
    """Where independence is asked for, nobody from inside the development is."""
    with by_hand():
        CheckRun.objects.filter(pk=awaited.pk).update(parameters=awaited.parameters | {"independent": True})
    assert (waiting_count(validator), listed(validator)) == (1, 1)
    with by_hand():
        waiting.model.owner = validator
        waiting.model.save()
    assert (waiting_count(validator), listed(validator)) == (0, 0)


def test_nobody_is_called_to_judge_their_own_work(house: object, scientist: User, validator: User) -> None:
    make.policy(POLICY)
    model = make.registered_model(scientist)
    make.finish_all(make.request(make.sealed_version(model, scientist, trained_by=validator), scientist))
    assert (waiting_count(validator), listed(validator)) == (0, 0)


def test_it_takes_one_query(waiting: PromotionRequest, validator: User) -> None:
    waiting_count(validator)  # what the person may do is asked once per request
    with CaptureQueriesContext(
        connection,
    ) as queries:
        waiting_count(validator)
    assert len(queries) == 1
