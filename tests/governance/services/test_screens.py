"""What the pages show: buttons agree with the services, the queries do not grow, and nobody sees what is not theirs."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.models import Entry
from config.errors import NotFound, Refusal
from governance.followers import Plan
from governance.models import Permit, PromotionRequest, WorkerHeartbeat
from governance.screens import decision_screen
from governance.selectors.requests import request_of, workers_alive
from governance.services import promotions
from governance.states import RequestState
from registry.models import User
from registry.roles import Role
from tests.factories import governance as make

pytestmark = pytest.mark.django_db


def screen(request: PromotionRequest, user: User) -> Any:
    return decision_screen(request_of(user, request.pk), make.actor(user))


def test_a_request_is_found_by_id_number_and_reference(ready: PromotionRequest, scientist: User) -> None:
    for which in (ready.pk, str(ready.pk), ready.number, str(ready.number), ready.ref, ready.ref.lower()):
        assert request_of(scientist, which) == ready
    for which in ("REQ-0", "none", "", "REQ-999999999"):
        with pytest.raises(NotFound):
            request_of(scientist, which)


def test_a_stranger_gets_404(ready: PromotionRequest) -> None:
    stranger = make.person("stranger")
    with pytest.raises(NotFound):
        request_of(stranger, ready.pk)


def test_the_buttons_say_what_the_services_would(
    ready: PromotionRequest, scientist: User, approvers: list[User]
) -> None:
    shown = screen(ready, approvers[0])
    assert shown.actions["sign"].allowed
    assert "no contributor" in shown.actions["run_again"].why_not
    with pytest.raises(Refusal) as caught:
        promotions.run_again(request=ready, by=make.actor(approvers[0]))
    assert str(caught.value) == shown.actions["run_again"].why_not
    own = screen(ready, scientist)
    with pytest.raises(Refusal) as caught:
        make.sign(ready, scientist)
    assert str(caught.value) == own.actions["sign"].why_not


def test_it_shows_what_the_policy_asks_and_what_is_missing(ready: PromotionRequest, approvers: list[User]) -> None:
    shown = screen(ready, approvers[0])
    assert [node.key for node in shown.requirements] == ["checks", "card", "review"]
    assert [node.key for node in shown.blocking] == ["review/approval/1", "review/approval/2"]
    assert [row.run.key for row in shown.checks] == ["performance.binary"]
    assert [row.run.key for row in shown.scoring] == ["predict.scores"]
    assert shown.checks[0].judged[0].headroom is not None
    assert shown.checks[0].percent == 100
    assert shown.progress.done
    assert shown.evidence_digest == ready.evidence_digest


def test_it_shows_the_differences_to_the_live_version(
    ready: PromotionRequest, scientist: User, approvers: list[User]
) -> None:
    make.approve(ready, approvers)
    newer = make.sealed_version(ready.model, scientist, parameters={"C": "2"})
    shown = screen(make.request(newer, scientist), approvers[0])
    assert {(change.what, change.name, change.after) for change in shown.changes} == {
        ("files", "digest", newer.manifest_digest),
        ("parameters", "C", "2"),
    }
    assert shown.live_permit == Permit.objects.get()


def queries(user: User, request: PromotionRequest) -> int:
    by = make.actor(user)
    assert isinstance(by.user, User)
    with CaptureQueriesContext(connection) as captured:
        decision_screen(request_of(by.user, request.pk), by)
    return len(captured)


def test_the_decision_screen_needs_few_queries(ready: PromotionRequest, approvers: list[User]) -> None:
    reader = make.person("approver", Role.APPROVER)
    few = queries(reader, ready)
    make.approve(ready, approvers)
    assert queries(reader, ready) <= few + 1
    assert few <= 20


def test_without_a_worker_the_page_knows(ready: PromotionRequest) -> None:
    assert not workers_alive()
    WorkerHeartbeat.objects.create(name="w", started_at=timezone.now(), seen_at=timezone.now())
    assert workers_alive()


def test_the_follower_rings_for_what_is_due_once(
    checking: PromotionRequest, django_capture_on_commit_callbacks: Any
) -> None:
    entry = Entry(canon="{}")
    entry.action, entry.object_id = "promotion.checks_started", str(checking.pk)
    with django_capture_on_commit_callbacks() as callbacks:
        Plan().handle(entry)
    assert len(callbacks) == 1
    assert checking.checks.exclude(rung_at=None).get().key == "predict.scores"
    assert checking.state == RequestState.CHECKING
