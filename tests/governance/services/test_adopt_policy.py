"""Policies come into force: one per target and tier, each text once, every figure known."""

import pytest
from django.core.management import call_command
from django.db import DatabaseError, transaction

from audit.actors import SYSTEM
from config.errors import Conflict, Invalid, NotAllowed
from governance.models import PolicyVersion
from governance.selectors.policies import governed_targets, policy_for
from governance.services import policies
from registry.models import RegisteredModel, User
from registry.roles import Role
from tests.factories import governance as make

pytestmark = pytest.mark.django_db


def test_adopting_the_text_in_force_again_changes_nothing(house: PolicyVersion) -> None:
    assert policies.adopt(document=make.TWO_APPROVERS, by=SYSTEM) == house
    assert PolicyVersion.objects.count() == 1


def test_a_new_text_is_a_new_version_in_force(house: PolicyVersion, model: RegisteredModel) -> None:
    second = make.policy(make.VALIDATOR_THEN_APPROVER)
    assert (second.policy_id, second.number) == (house.policy_id, 2)
    assert policy_for(model, "alias:production") == second


def test_two_policies_never_govern_the_same(house: PolicyVersion) -> None:
    with pytest.raises(Conflict) as caught:
        make.policy(make.TWO_APPROVERS.replace("policy: house", "policy: other"))
    assert caught.value.extra == {
        "policy": "house",
        "targets": ["alias:production", "stage:Production"],
        "tiers": [1, 2, 3],
    }
    other = make.TWO_APPROVERS.replace("policy: house", "policy: other").replace(
        '["alias:production", "stage:Production"]', '["alias:shadow"]'
    )
    make.policy(other)


def test_the_tier_decides(house: PolicyVersion, model: RegisteredModel) -> None:
    make.policy(make.TWO_APPROVERS.replace("[1, 2, 3]", "[2]"))
    assert policy_for(model, "alias:production") is None
    assert governed_targets(model) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("performance.binary\n", "performance.magic"),
        ("auc:", "beauty"),
        ("n: 2}]\nvalid", "n: none}]"),
    ],
)
def test_a_text_that_is_no_policy_is_refused_with_the_cause(db: None, wrong: str, said: str) -> None:
    replacement = {"performance.binary\n": "performance.magic\n", "auc:": "beauty:"}.get(wrong, "n: none}]\nvalid")
    with pytest.raises(Invalid) as caught:
        make.policy(make.TWO_APPROVERS.replace(wrong, replacement))
    assert caught.value.field == "document"
    assert said.partition(":")[0] in caught.value.message
    assert not PolicyVersion.objects.exists()


def test_only_an_administrator_of_every_model_adopts(scientist: User) -> None:
    with pytest.raises(NotAllowed):
        policies.adopt(document=make.VALIDATOR_THEN_APPROVER, by=make.actor(scientist))
    administrator = make.person("administrator", Role.ADMINISTRATOR)
    assert policies.adopt(document=make.VALIDATOR_THEN_APPROVER, by=make.actor(administrator)).number == 2


def test_setup_adopts_the_built_in_policy_once(db: None) -> None:
    call_command("setup_governance")
    call_command("setup_governance")
    version = PolicyVersion.objects.get()
    assert {"alias:production", "stage:Production"} <= set(version.targets)
    assert version.tiers == [1, 2, 3]


def test_a_policy_text_is_never_changed(house: PolicyVersion) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        PolicyVersion.objects.update(document="policy: none")
