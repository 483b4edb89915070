"""From the ledger to a receiver: at least once, in order, tried again, given up with the reason."""

from collections.abc import Callable
from datetime import timedelta
from threading import Event

import pytest
import time_machine
from django.utils import timezone
from mlflow.webhooks.delivery import _generate_hmac_signature
from pytest_django import Settings

from audit.actors import Actor
from audit.models import Entry
from registry import events
from registry.models import RegisteredModel, User, Webhook, WebhookDelivery
from registry.services import catalog, versions, webhook_delivery, webhooks
from tests.factories import registry as make
from tests.registry.webhooks.conftest import SECRET, NewWebhook, deliver_all, follow
from tests.registry.webhooks.receiver import (
    Answering,
    Receiver,
    endless,
    garbage,
    hang,
    hang_up,
    status,
    trickle,
)

pytestmark = pytest.mark.django_db

NOW = "2027-01-01T12:00:00Z"


def only() -> WebhookDelivery:
    return WebhookDelivery.objects.get()


def test_an_event_arrives_signed_and_names_its_entry(
    new_webhook: NewWebhook, receiver: Receiver, model: RegisteredModel, scientist: User
) -> None:
    new_webhook("model_version.created")
    version = make.pending_version(
        model, scientist, source="s3://bucket/model", run_id="run-1", tags={"region": "eu"}, description="First"
    )
    follow()
    assert deliver_all() == 1

    [request] = receiver.received
    entry = Entry.objects.get(action="version.registered", object_id=str(version.pk))
    assert request.path == "/hooks/one?key=a%20b"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert request.document == {
        "entity": "model_version",
        "action": "created",
        "timestamp": entry.at.isoformat(),
        "data": {
            "name": "credit-default",
            "version": "1",
            "source": "s3://bucket/model",
            "run_id": "run-1",
            "tags": {"region": "eu"},
            "description": "First",
        },
        "actor": {"id": f"user:{scientist.pk}", "name": scientist.username, "kind": "user"},
        "ledger": {"index": entry.index, "id": entry.entry_id, "leaf_hash": bytes(entry.leaf_hash).hex()},
    }
    delivery = only()
    assert request.headers["X-MLflow-Delivery-Id"] == str(delivery.pk)
    expected = _generate_hmac_signature(SECRET, str(delivery.pk), request.headers["X-MLflow-Timestamp"], request.body)
    assert request.headers["X-MLflow-Signature"] == expected
    assert (delivery.state, delivery.attempts, delivery.response_status, delivery.reason) == ("delivered", 1, 200, "")


def test_without_a_secret_nothing_is_signed(
    new_webhook: NewWebhook, receiver: Receiver, model: RegisteredModel, scientist: User
) -> None:
    new_webhook(secret="")
    make.pending_version(model, scientist)
    follow()
    deliver_all()
    assert "X-MLflow-Signature" not in receiver.received[0].headers


def test_name_and_password_of_the_address_are_sent_and_nowhere_shown(
    new_webhook: NewWebhook, receiver: Receiver, model: RegisteredModel, scientist: User
) -> None:
    webhook = new_webhook(url=receiver.url.replace("://", "://robot:pass%20word@"))
    make.pending_version(model, scientist)
    follow()
    deliver_all()
    assert receiver.received[0].headers["Authorization"] == "Basic cm9ib3Q6cGFzcyB3b3Jk"
    assert webhook.url == receiver.url
    for row in (*Webhook.objects.values(), *WebhookDelivery.objects.values(), *Entry.objects.values("canon")):
        for text in ("robot", "pass%20word", "pass word", SECRET):
            assert text not in "".join(
                bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)
                for value in row.values()
            )


def test_what_came_before_it_was_made_and_while_it_was_disabled_is_not_sent(
    new_webhook: NewWebhook, receiver: Receiver, model: RegisteredModel, scientist: User, by: Actor
) -> None:
    make.pending_version(model, scientist, description="before")
    webhook = new_webhook()
    make.pending_version(model, scientist, description="one")
    webhooks.update_webhook(webhook=webhook, status="DISABLED", by=by)
    make.pending_version(model, scientist, description="meanwhile")
    webhooks.update_webhook(webhook=webhook, status="ACTIVE", by=by)
    make.pending_version(model, scientist, description="two")
    # The follower comes late: all of that is in the log before it reads the first of it.
    follow()
    deliver_all()
    assert [document["data"]["description"] for document in receiver.documents] == ["two"]


def test_disabling_cancels_what_waits_and_a_webhook_made_disabled_hears_nothing(
    new_webhook: NewWebhook, receiver: Receiver, model: RegisteredModel, scientist: User, by: Actor
) -> None:
    webhook, silent = new_webhook(), new_webhook(status="DISABLED")
    make.pending_version(model, scientist)
    follow()
    webhooks.update_webhook(webhook=webhook, status="DISABLED", by=by)
    assert deliver_all() == 0
    assert receiver.received == []
    assert (only().state, only().reason) == ("cancelled", "The webhook was disabled.")
    assert not silent.deliveries.exists()


def test_deleting_cancels_and_forgets_the_secret(
    new_webhook: NewWebhook, receiver: Receiver, model: RegisteredModel, scientist: User, by: Actor
) -> None:
    webhook = new_webhook()
    make.pending_version(model, scientist)
    follow()
    webhooks.delete_webhook(webhook=webhook, by=by)
    make.pending_version(model, scientist)
    follow()
    assert deliver_all() == 0
    assert receiver.received == []
    assert only().state == "cancelled"
    assert Webhook.objects.get().secret_sealed is None


def test_the_follower_may_read_an_entry_twice(
    new_webhook: NewWebhook, model: RegisteredModel, scientist: User, receiver: Receiver
) -> None:
    new_webhook()
    make.pending_version(model, scientist)
    follow()
    entry = Entry.objects.get(action="version.registered")
    webhook_delivery.plan(entry)
    assert WebhookDelivery.objects.count() == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status(500), "It answered 500."),
        (status(404), "It answered 404."),
        (status(302, Location="http://127.0.0.1:1/elsewhere"), "It answered 302: redirects are not followed."),
        (garbage, "It does not speak HTTP: BadStatusLine."),
        (hang_up, "No connection: "),
    ],
    ids=["500", "404", "redirect", "no HTTP", "hangs up"],
)
def test_a_receiver_that_refuses_is_tried_again_later(
    answer: Answering, reason: str, new_webhook: NewWebhook, receiver: Receiver, happen: Callable[[], None]
) -> None:
    with time_machine.travel(NOW, tick=True) as clock:
        webhook = new_webhook()
        happen()
        receiver.answers = [answer]
        assert deliver_all() == 1
        first = only()
        assert (first.state, first.attempts) == ("waiting", 1)
        assert first.reason.startswith(reason)
        assert timedelta(seconds=9) < first.next_attempt_at - timezone.now() <= timedelta(seconds=10)
        assert deliver_all() == 0

        clock.shift(timedelta(seconds=11))
        assert deliver_all() == 1
        again = only()
        assert (again.state, again.attempts, again.reason, again.response_status) == ("delivered", 2, "", 200)
        one, two = receiver.received
        assert one.headers["X-MLflow-Delivery-Id"] == two.headers["X-MLflow-Delivery-Id"]
        assert one.body == two.body
        assert one.headers["X-MLflow-Timestamp"] != two.headers["X-MLflow-Timestamp"]
        webhook.refresh_from_db()
        assert (webhook.failures, webhook.paused_until) == (0, None)


@pytest.mark.parametrize("silence", [hang, trickle])
def test_a_receiver_that_hangs_is_left_after_the_time_limit_and_then_alone_for_a_while(
    silence: Callable[[Event], Answering],
    new_webhook: NewWebhook,
    receiver: Receiver,
    happen: Callable[[], None],
    inside: Settings,
) -> None:
    inside.WEBHOOK_TIMEOUT = 0.3
    webhook = new_webhook()
    happen()
    happen()
    receiver.answers = [silence(receiver.over)]
    assert deliver_all() == 1, "the other one need not wait for the same silence"
    tried = WebhookDelivery.objects.get(attempts=1)
    assert tried.reason == "No answer within 0.3 seconds."
    webhook.refresh_from_db()
    assert webhook.failures == 1
    assert webhook.paused_until is not None
    assert deliver_all() == 0


def test_a_body_of_ten_megabytes_is_success_and_hardly_read(
    new_webhook: NewWebhook, receiver: Receiver, model: RegisteredModel, scientist: User
) -> None:
    new_webhook()
    make.pending_version(model, scientist)
    follow()
    receiver.answers = [endless]
    deliver_all()
    assert only().state == "delivered"
    assert only().response_body == "x" * 1000


def test_a_receiver_may_ask_for_time_but_not_for_ever(
    new_webhook: NewWebhook, receiver: Receiver, model: RegisteredModel, scientist: User
) -> None:
    new_webhook()
    make.pending_version(model, scientist)
    follow()
    receiver.answers = [status(429, Retry_After="120")]
    deliver_all()
    assert timedelta(seconds=110) < only().next_attempt_at - timezone.now() <= timedelta(seconds=120)
    WebhookDelivery.objects.update(next_attempt_at=timezone.now())
    receiver.answers = [status(503, Retry_After="999999")]
    deliver_all()
    assert only().next_attempt_at - timezone.now() <= timedelta(seconds=3600)


def test_after_ten_attempts_over_hours_it_fails(
    new_webhook: NewWebhook, receiver: Receiver, model: RegisteredModel, scientist: User
) -> None:
    with time_machine.travel(NOW, tick=True) as clock:
        new_webhook()
        make.pending_version(model, scientist)
        follow()
        receiver.answers = [status(500)] * 20
        began = timezone.now()
        while only().state == "waiting":
            assert deliver_all() == 1
            clock.move_to(only().next_attempt_at + timedelta(seconds=1))
        assert (only().state, only().attempts) == ("failed", 10)
        assert timedelta(hours=7) < timezone.now() - began < timedelta(hours=8)
        assert len(receiver.received) == 10


def test_a_worker_killed_between_taking_and_finishing_loses_nothing(
    new_webhook: NewWebhook, receiver: Receiver, model: RegisteredModel, scientist: User
) -> None:
    with time_machine.travel(NOW, tick=True) as clock:
        webhook = new_webhook()
        make.pending_version(model, scientist)
        follow()
        dead = webhook_delivery.claim(webhook.pk)
        assert dead is not None
        assert webhook_delivery.claim(webhook.pk) is None, "one worker at a time"
        assert deliver_all() == 0

        clock.shift(timedelta(seconds=61))
        assert deliver_all() == 1
        assert (only().state, only().attempts) == ("delivered", 2)

        # The dead one was only slow: it sends after all, under the same id, and its end is not written.
        receiver.answers = [status(500)]
        webhook_delivery.send(dead)
        assert (only().state, only().attempts) == ("delivered", 2)
        ids = {one.headers["X-MLflow-Delivery-Id"] for one in receiver.received}
        assert (len(receiver.received), len(ids)) == (2, 1)


def test_one_that_kills_its_worker_in_the_last_attempt_ends_as_failed(
    new_webhook: NewWebhook, model: RegisteredModel, scientist: User, receiver: Receiver
) -> None:
    with time_machine.travel(NOW, tick=True) as clock:
        webhook = new_webhook()
        make.pending_version(model, scientist)
        follow()
        WebhookDelivery.objects.update(attempts=9)
        assert webhook_delivery.claim(webhook.pk) is not None
        clock.shift(timedelta(seconds=61))
        assert deliver_all() == 0
        assert only().state == "failed"
        assert "died" in only().reason
        assert receiver.received == []


def test_a_receiver_that_is_gone_for_days_is_given_up(
    new_webhook: NewWebhook, model: RegisteredModel, scientist: User, receiver: Receiver
) -> None:
    with time_machine.travel(NOW, tick=True) as clock:
        new_webhook()
        make.pending_version(model, scientist)
        follow()
        clock.shift(timedelta(days=3, seconds=1))
        assert deliver_all() == 0
        assert (only().state, only().reason) == ("failed", "Nobody was there to take it for 3 days.")


def test_events_of_one_object_keep_their_order_for_a_while_and_others_do_not_wait(
    new_webhook: NewWebhook, receiver: Receiver, model: RegisteredModel, scientist: User
) -> None:
    with time_machine.travel(NOW, tick=True) as clock:
        new_webhook("model_version.created")
        other = make.registered_model(scientist, "other")
        for about in (model, model, other):
            make.pending_version(about, scientist)
        follow()
        receiver.answers = [status(500)]
        assert deliver_all() == 2

        def told() -> list[tuple[str, str]]:
            return [(one["data"]["name"], one["data"]["version"]) for one in receiver.documents]

        assert told() == [("credit-default", "1"), ("other", "1")]
        clock.shift(timedelta(seconds=11))
        deliver_all()
        assert told()[2:] == [("credit-default", "1"), ("credit-default", "2")]

        # One that never succeeds holds up what is later for a hundred seconds, not for hours.
        make.pending_version(model, scientist)
        make.pending_version(model, scientist)
        follow()
        receiver.answers = [status(500)] * 4
        for pause in (0, 11, 31, 61):
            clock.shift(timedelta(seconds=pause))
            deliver_all()
        assert told()[4:] == [("credit-default", "3")] * 4 + [("credit-default", "4")]


def test_it_is_sent_again_on_demand_under_the_same_id(
    new_webhook: NewWebhook, receiver: Receiver, model: RegisteredModel, scientist: User, by: Actor
) -> None:
    webhook = new_webhook()
    make.pending_version(model, scientist)
    follow()
    deliver_all()
    webhooks.redeliver(delivery=only(), by=by)
    assert deliver_all() == 1
    one, two = receiver.received
    assert one.headers["X-MLflow-Delivery-Id"] == two.headers["X-MLflow-Delivery-Id"]
    assert one.body == two.body
    last = make.entries()[-1]
    assert (last["action"], last["object"]["version"]) == ("webhook.redelivered", webhook.name)


def test_what_ended_long_ago_is_forgotten_and_what_waits_is_not(
    new_webhook: NewWebhook, receiver: Receiver, model: RegisteredModel, scientist: User
) -> None:
    new_webhook()
    make.pending_version(model, scientist)
    follow()
    deliver_all()
    make.pending_version(model, scientist)
    follow()
    assert webhook_delivery.forget(before=timezone.now() - timedelta(days=1)) == 0
    assert webhook_delivery.forget(before=timezone.now() + timedelta(days=1)) == 1
    assert only().state == "waiting"


def test_a_secret_of_another_key_is_not_sent_unsigned(
    new_webhook: NewWebhook, receiver: Receiver, model: RegisteredModel, scientist: User, inside: Settings
) -> None:
    webhook = new_webhook()
    make.pending_version(model, scientist)
    follow()
    old = inside.SECRET_KEY
    inside.SECRET_KEY = "another secret key of forty characters or so"
    deliver_all()
    assert receiver.received == []
    assert "SECRET_KEY" in only().reason

    inside.SECRET_KEY_FALLBACKS = [old]
    WebhookDelivery.objects.update(next_attempt_at=timezone.now())
    Webhook.objects.filter(pk=webhook.pk).update(paused_until=None)
    deliver_all()
    assert "X-MLflow-Signature" in receiver.received[0].headers


def test_every_kind_of_change_is_told(new_webhook: NewWebhook, receiver: Receiver, scientist: User, by: Actor) -> None:
    wanted = [
        "registered_model.created", "registered_model.updated", "registered_model.renamed", "registered_model.deleted",
        "registered_model_tag.set", "registered_model_tag.deleted", "model_version.created", "model_version.updated",
        "model_version.sealed", "model_version.failed", "model_version.stage_changed", "model_version.deleted",
        "model_version_tag.set", "model_version_tag.deleted", "model_version_alias.created",
        "model_version_alias.deleted",
    ]  # fmt: skip
    new_webhook(*wanted)
    me = make.actor(scientist)
    model = catalog.create_model(name="a", by=me, description="A", tags={"k": "v"})
    catalog.update_model(model=model, by=me, description="B")
    catalog.set_model_tag(model=model, key="t", value="1", by=me)
    catalog.delete_model_tag(model=model, key="t", by=me)
    version = make.sealed_version(model, scientist)
    versions.update_version(version=version, by=me, description="D")
    versions.set_version_tag(version=version, key="t", value="x" * 5000, by=me)
    versions.delete_version_tag(version=version, key="t", by=me)
    versions.set_stage(version=version, stage="Staging", archive_existing=False, by=me)
    catalog.set_alias(model=model, alias="best", number=1, by=me)
    catalog.delete_alias(model=model, alias="best", by=me)
    failed = make.pending_version(model, scientist)
    versions.fail_version(version_id=failed.pk, message="No bytes.", by=me)
    model = catalog.rename_model(model=model, new_name="b", by=me)
    catalog.set_alias(model=model, alias="last", number=1, by=me)
    catalog.delete_model(model=model, by=me)
    follow()
    deliver_all()

    told = [(f"{one['entity']}.{one['action']}", one["data"]) for one in receiver.documents]
    assert set(wanted) == {name for name, _ in told}
    for name, one in told:
        assert one.keys() == events.known()[name].example.keys(), name
    data = dict(told)
    assert told[0] == ("registered_model.created", {"name": "a", "tags": {"k": "v"}, "description": "A"})
    assert data["registered_model.updated"]["changes"] == {"description": {"before": "A", "after": "B"}}
    assert data["registered_model_tag.deleted"]["key"] == "t"
    assert data["model_version_tag.set"]["value"] == "x" * 5000
    assert data["model_version.stage_changed"]["from_stage"] == "None"
    assert data["model_version.stage_changed"]["to_stage"] == "Staging"
    assert data["model_version.failed"]["message"] == "No bytes."
    assert data["registered_model.renamed"] == {"name": "a", "new_name": "b"}
    assert data["model_version_alias.deleted"] == {"name": "b", "alias": "last"}
    assert data["model_version.sealed"]["manifest_digest"] == version.manifest_digest
