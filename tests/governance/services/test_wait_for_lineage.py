"""A promotion asked for before the lineage of the version was read: it waits, starts by itself, and not for ever."""

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.actors import Actor
from config.errors import Conflict, Invalid
from governance import tasks
from governance.models import PromotionRequest
from governance.services import checks, promotions
from governance.states import RequestState
from registry.models import ModelVersion, RegisteredModel, User
from registry.selectors.lineage import PATIENCE, is_settled
from registry.services.lineage import CodeInput, LineageInput, note_people, record
from tests.factories import governance as make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("by_hand")]
BY = Actor.service("lineage")
KNOWN = LineageInput(code=CodeInput(commit="ab12cd34", repository="https://example.org/credit"))


@pytest.fixture
def logged(model: RegisteredModel, scientist: User) -> ModelVersion:
    """A version from a run whose lineage nobody has read yet."""
    return make.sealed_version(model, scientist, run_id="f" * 32)


@pytest.fixture
def draft(logged: ModelVersion, scientist: User) -> PromotionRequest:
    return make.request(logged, scientist)


def state_of(request: PromotionRequest) -> str:
    return PromotionRequest.objects.get(pk=request.pk).state


def test_the_request_waits_without_checks(draft: PromotionRequest) -> None:
    assert draft.state == RequestState.DRAFT
    assert not draft.checks.exists()
    assert promotions.start_waiting(by=checks.ENGINE) == 0
    assert state_of(draft) == RequestState.DRAFT


def test_it_starts_when_the_lineage_is_there_and_what_is_signed_includes_it(draft: PromotionRequest) -> None:
    record(version=draft.version, inputs=KNOWN, by=BY)
    tasks.sweep()
    assert state_of(draft) == RequestState.CHECKING
    assert draft.checks.exists()
    assert promotions.start_waiting(by=checks.ENGINE) == 0


def test_who_trained_is_not_the_lineage_yet(draft: PromotionRequest) -> None:
    note_people(version=draft.version, inputs=KNOWN, by=BY)
    assert promotions.start_waiting(by=checks.ENGINE) == 0


def test_it_does_not_wait_for_ever(logged: ModelVersion) -> None:
    assert logged.sealed_at is not None
    assert not is_settled(logged, at=logged.sealed_at + PATIENCE)
    assert is_settled(logged, at=logged.sealed_at + PATIENCE + timedelta(minutes=1))


def test_a_version_without_a_run_has_nothing_to_wait_for(version: ModelVersion, scientist: User) -> None:
    assert is_settled(version, at=timezone.now())
    assert make.request(version, scientist).state == RequestState.CHECKING


def test_missing_data_is_told_at_once_not_when_the_lineage_is_there(logged: ModelVersion, scientist: User) -> None:
    RegisteredModel.objects.filter(pk=logged.model_id).update(evaluation_dataset=None)
    with pytest.raises(Invalid) as refused:
        make.request(logged, scientist)
    assert refused.value.code == "promotion.no_dataset"
    assert not PromotionRequest.objects.exists()


def test_one_that_cannot_start_does_not_hold_up_the_others(draft: PromotionRequest, scientist: User) -> None:
    another = make.registered_model(scientist, name="credit-limit")
    other = make.request(make.sealed_version(another, scientist, run_id="e" * 32), scientist)
    for request in (draft, other):
        record(version=request.version, inputs=KNOWN, by=BY)
    RegisteredModel.objects.filter(pk=draft.model_id).update(evaluation_dataset=None)
    assert promotions.start_waiting(by=checks.ENGINE) == 1
    assert (state_of(draft), state_of(other)) == (RequestState.DRAFT, RequestState.CHECKING)


def test_a_draft_is_not_run_again_by_hand_and_can_be_withdrawn(draft: PromotionRequest, scientist: User) -> None:
    by = Actor.person(scientist, auth="test")
    with pytest.raises(Conflict) as refused:
        promotions.run_again(request=draft, by=by)
    assert refused.value.code == "promotion.lineage_pending"
    promotions.withdraw(request=draft, by=by)
    record(version=draft.version, inputs=KNOWN, by=BY)
    assert promotions.start_waiting(by=checks.ENGINE) == 0
    assert state_of(draft) == RequestState.WITHDRAWN
