"""What webhooks are told of requests and permits, from the entries that governance writes."""

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings as django_settings
from django.urls import reverse
from django.utils import timezone

from audit import actions
from audit.actors import SYSTEM
from governance.models import Permit, PromotionRequest
from governance.services import broken_glass, permits, promotions
from governance.states import PermitState, RequestState
from registry import events
from registry.models import ModelVersion, User, WebhookDelivery
from registry.roles import Role
from registry.services import access, webhooks
from tests.factories import governance as make
from tests.registry.webhooks.conftest import follow

pytestmark = pytest.mark.django_db


@pytest.fixture
def webhook(approvers: list[User]) -> None:
    """One that is told of everything."""
    admin = make.person("administrator", Role.ADMINISTRATOR)
    webhooks.create_webhook(
        name="all", url="https://example.org/", event_names=list(events.known()), by=make.actor(admin)
    )


def told(prefix: str = "promotion_request.,permit.,model_version_alias.") -> list[tuple[str, dict[str, Any]]]:
    """Events and data, in the order of the ledger."""
    follow()
    rows = WebhookDelivery.objects.order_by("entry_index")
    found = [(row.event, json.loads(row.body)) for row in rows if row.event.startswith(tuple(prefix.split(",")))]
    for event, document in found:
        assert f"{document['entity']}.{document['action']}" == event
        assert document["actor"].keys() == {"id", "name", "kind"}
        assert document["ledger"].keys() == {"index", "id", "leaf_hash"}
        sample = events.known()[event].example
        assert document["data"].keys() == sample.keys(), event
    return [(event, {**document["data"], "by": document["actor"]["name"]}) for event, document in found]


@pytest.mark.usefixtures("webhook")
def test_the_way_of_a_request_to_its_permit_and_the_end_of_that(
    version: ModelVersion, scientist: User, approvers: list[User]
) -> None:
    request = make.request(version, scientist)
    request = make.approve(make.finish_all(request), approvers)
    permit = Permit.objects.get()
    permits.revoke(permit=permit, reason="It was wrong.", by=make.actor(approvers[0]))

    found = told()
    assert [event for event, _ in found] == [
        "promotion_request.requested",
        "promotion_request.checks_started",
        "promotion_request.checks_finished",
        "promotion_request.signed",
        "promotion_request.review_opened",
        "promotion_request.signed",
        "promotion_request.approved",
        "permit.issued",
        "model_version_alias.created",
        "permit.revoked",
        "model_version_alias.deleted",
    ]
    data = dict(found)
    about = {
        "name": version.model.name,
        "version": "1",
        "target": "alias:production",
        "manifest_digest": version.manifest_digest,
        "request": request.ref,
    }
    url = django_settings.PUBLIC_URL + reverse("ui:request", args=[request.ref])
    assert data["promotion_request.requested"] == about | {
        "state": "draft", "reason": "", "url": url, "by": scientist.username,
    }  # fmt: skip
    assert data["promotion_request.signed"]["outcome"] == "approve"
    assert data["promotion_request.signed"]["by"] == approvers[1].username
    assert data["promotion_request.approved"]["state"] == "approved"
    assert data["permit.issued"] == about | {
        "permit": str(permit.pk),
        "state": "active",
        "expires_at": permit.expires_at.isoformat(),
        "reason": "",
        "url": django_settings.PUBLIC_URL + reverse("ui:permit", args=[permit.pk]),
        "by": "permits",
    }
    assert (data["permit.revoked"]["state"], data["permit.revoked"]["reason"]) == ("revoked", "It was wrong.")
    assert data["permit.revoked"]["by"] == approvers[0].username


@pytest.mark.usefixtures("webhook")
def test_a_successor_and_the_end_of_time(version: ModelVersion, scientist: User, approvers: list[User]) -> None:
    make.approve(make.finish_all(make.request(version, scientist)), approvers)
    second = make.sealed_version(version.model, scientist)
    make.approve(make.finish_all(make.request(second, scientist)), approvers)
    with time_machine.travel(timezone.now() + timedelta(days=400)):
        assert permits.expire_due() == 1
    found = [(event, data["version"], data["by"]) for event, data in told("permit.")]
    assert [(event, number) for event, number, _ in found] == [
        ("permit.issued", "1"),
        ("permit.superseded", "1"),
        ("permit.issued", "2"),
        ("permit.expired", "2"),
    ]
    assert found[-1][2] == SYSTEM.name


@pytest.mark.usefixtures("webhook")
def test_a_request_that_is_withdrawn(checking: PromotionRequest, scientist: User) -> None:
    promotions.withdraw(request=checking, by=make.actor(scientist), reason="Not yet.")
    event, data = told("promotion_request.")[-1]
    assert (event, data["state"], data["reason"]) == ("promotion_request.withdrawn", "withdrawn", "Not yet.")


def test_every_reader_reads_an_action_that_can_be_logged_and_every_event_has_a_reader() -> None:
    known = {action.name for action in actions.known()}
    assert events.actions() <= known
    of_states = {f"promotion_request.{state}" for state in ("approved", "rejected", "withdrawn", "lapsed")}
    assert of_states <= set(events.known())
    assert {f"permit.{state}" for state in PermitState.values if state != "active"} <= set(events.known())
    named = {name for name in events.known() if name.startswith("promotion_request.")}
    for name in named:
        state = events.known()[name].example["state"]
        assert state in RequestState.values


@pytest.mark.usefixtures("webhook")
def test_a_broken_glass_and_its_review(approvers: list[User]) -> None:
    gate = access.create_user(username="gate", password=None, is_service=True, by=SYSTEM)
    broken = broken_glass.report(
        uid="1", namespace="credit", title="Pod credit/x", digests=["0" * 64], user="olga", reason="Fraud wave.",
        refused_because="no permit", at=timezone.now(), by=make.actor(gate),
    )  # fmt: skip
    broken_glass.review(broken=broken, outcome="unjustified", text="It was up.", by=make.actor(approvers[0]))
    (reported, first), (reviewed, second) = told("broken_glass.")
    assert (reported, first["reason"], first["namespace"]) == ("broken_glass.reported", "Fraud wave.", "credit")
    assert (reviewed, second["reason"], second["outcome"]) == ("broken_glass.reviewed", "It was up.", "unjustified")
    assert second["url"].endswith(reverse("ui:broken-glass", args=[broken.pk]))
