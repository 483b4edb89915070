"""Asking for a promotion: what is made, what is refused, and that a refusal leaves nothing behind."""

import json

import pytest

from audit.models import Inbox
from config.errors import Conflict, Invalid, NotAllowed, NotFound, Refusal
from governance.models import CheckRun, PromotionRequest
from governance.services import promotions
from governance.states import RequestState
from registry.models import ModelVersion, RegisteredModel, User
from registry.roles import Role
from tests.factories import governance as make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]


def actions() -> list[str]:
    return [json.loads(row.canon)["action"] for row in Inbox.objects.order_by("pk")]


def test_it_plans_scoring_before_the_checks_that_need_it(checking: PromotionRequest) -> None:
    scores, performance = checking.checks.all()
    assert (scores.key, scores.category, performance.key) == ("predict.scores", "scoring", "performance.binary")
    assert performance.needs == scores
    assert performance.dataset == scores.dataset
    assert checking.state == RequestState.CHECKING
    assert checking.replaces is None


def test_it_is_logged_first_with_what_the_verifier_needs(checking: PromotionRequest, scientist: User) -> None:
    bodies = [json.loads(row.canon) for row in Inbox.objects.order_by("pk")]
    first = next(body for body in bodies if body["object"]["id"] == str(checking.pk))
    assert first["action"] == "promotion.requested"
    assert first["facts"]["requested_by"] == f"user:{scientist.pk}"
    assert first["facts"]["authors"] == [f"user:{scientist.pk}"]
    assert first["facts"]["manifest_digest"] == checking.manifest_digest
    assert first["facts"]["policy_digest"] == checking.policy_version.digest
    told = actions()
    assert [one for one in told if one != "check.planned"][-2:] == ["promotion.requested", "promotion.checks_started"]
    assert told.count("check.planned") == CheckRun.objects.count()


def refused(version: ModelVersion, by: User, target: str = "alias:production") -> Refusal:
    before = (PromotionRequest.objects.count(), CheckRun.objects.count(), Inbox.objects.count())
    with pytest.raises(Refusal) as caught:
        make.request(version, by, target)
    assert (PromotionRequest.objects.count(), CheckRun.objects.count(), Inbox.objects.count()) == before
    return caught.value


def test_a_stranger_does_not_learn_that_the_version_exists(version: ModelVersion) -> None:
    assert isinstance(refused(version, make.person("stranger")), NotFound)


def test_who_may_only_look_may_not_ask(version: ModelVersion) -> None:
    assert isinstance(refused(version, make.person("auditor", Role.AUDITOR)), NotAllowed)


def test_a_superuser_is_no_contributor(version: ModelVersion) -> None:
    assert isinstance(refused(version, make.person("root", is_superuser=True)), NotAllowed)


def test_a_version_that_is_not_sealed_is_refused(model: RegisteredModel, scientist: User) -> None:
    pending = ModelVersion.objects.create(model=model, number=7, registered_by=scientist)
    assert refused(pending, scientist).code == "version.not_sealed"


@pytest.mark.parametrize("target", ["production", "alias:", "tag:production", "alias:a\x00b", "alias:" + "a" * 90, ""])
def test_what_is_no_target_is_refused_by_name(version: ModelVersion, scientist: User, target: str) -> None:
    refusal = refused(version, scientist, target)
    assert isinstance(refusal, Invalid)
    assert refusal.field == "target"


def test_a_target_without_a_policy_is_not_governed(version: ModelVersion, scientist: User) -> None:
    assert refused(version, scientist, "alias:champion").code == "promotion.not_governed"


def test_a_second_open_request_for_the_same_target_is_refused(checking: PromotionRequest, scientist: User) -> None:
    refusal = refused(checking.version, scientist)
    assert isinstance(refusal, Conflict)
    assert refusal.extra["request"] == checking.ref


def test_a_missing_data_set_is_named(version: ModelVersion, scientist: User) -> None:
    named = make.TWO_APPROVERS.replace("data: {role: test}", "data: {dataset: holdout-2031, role: test}")
    make.policy(named)
    refusal = refused(version, scientist)
    assert isinstance(refusal, Invalid)
    assert "holdout-2031" in refusal.message


def test_a_model_without_an_evaluation_data_set_is_told_so(version: ModelVersion, scientist: User) -> None:
    RegisteredModel.objects.filter(pk=version.model_id).update(evaluation_dataset=None)
    assert refused(version, scientist).field == "evaluation_dataset"


def test_missing_card_fields_do_not_hinder_asking_but_stop_the_request(scientist: User) -> None:
    version = make.sealed_version(make.registered_model(scientist, card={}), scientist)
    request = make.finish_all(make.request(version, scientist))
    assert request.state == RequestState.CHECKS_FAILED


def test_withdrawing_is_final_and_ends_what_waits(checking: PromotionRequest, scientist: User) -> None:
    promotions.withdraw(request=checking, by=make.actor(scientist), reason="A better one comes.")
    checking.refresh_from_db()
    assert checking.state == RequestState.WITHDRAWN
    assert {run.error_code for run in checking.checks.all()} == {"cancelled"}
    with pytest.raises(Conflict):
        promotions.run_again(request=checking, by=make.actor(scientist))


def test_only_the_asker_or_an_administrator_withdraws(checking: PromotionRequest, approvers: list[User]) -> None:
    with pytest.raises(NotAllowed):
        promotions.withdraw(request=checking, by=make.actor(approvers[0]))
    administrator = make.person("administrator", Role.ADMINISTRATOR)
    promotions.withdraw(request=checking, by=make.actor(administrator))


@pytest.mark.parametrize(
    ("text", "problem"), [("  ", "text.empty"), ("a" * 10_001, "text.long"), ("a\x00b", "text.character")]
)
def test_a_comment_that_cannot_be_kept_is_refused(
    checking: PromotionRequest, scientist: User, text: str, problem: str
) -> None:
    with pytest.raises(Invalid) as caught:
        promotions.comment(request=checking, text=text, by=make.actor(scientist))
    assert caught.value.code == problem
    assert not checking.comments.exists()
