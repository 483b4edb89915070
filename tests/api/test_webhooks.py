"""Webhooks over REST: for administrators, with what was delivered."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from registry import events
from registry.models import User, Webhook, WebhookDelivery
from tests.api.calls import Api, fields_at_fault
from tests.api.conftest import Person, token_of

NEW: dict[str, Any] = {
    "name": "deployer",
    "url": "https://robot:hunter2@deploy.example.org/hook",
    "events": ["permit.issued", "model_version.created"],
    "secret": "a long random text",
}


@pytest.fixture
def alma(person: Person) -> User:
    return person("alma", "administrator")


@pytest.fixture
def admin(alma: User) -> Api:
    return Api(token_of(alma))


@pytest.fixture
def webhook(admin: Api) -> Webhook:
    assert admin.post("webhooks", NEW).status_code == 201
    return Webhook.objects.get()


def delivery(webhook: Webhook, **fields: object) -> WebhookDelivery:
    now = timezone.now()
    given = {
        "state": "failed",
        "finished_at": now,
        "reason": "It answered 500.",
        "response_status": 500,
        "attempts": 10,
    }
    return WebhookDelivery.objects.create(
        webhook=webhook, event="permit.issued", body='{"a": 1}', entry_index=WebhookDelivery.objects.count(),
        entry_id=str(uuid4()), queued_at=now, next_attempt_at=now, **{**given, **fields},
    )  # fmt: skip


def test_one_is_made_read_changed_and_deleted_and_its_secrets_stay_inside(admin: Api) -> None:
    made = admin.post("webhooks", NEW)
    body = made.json()
    assert (made.status_code, made["ETag"], made["Location"]) == (201, '"1"', f"/api/v1/webhooks/{body['id']}")
    assert (body["url"], body["signed"], body["status"]) == ("https://deploy.example.org/hook", True, "ACTIVE")
    assert body["events"] == ["model_version.created", "permit.issued"]
    assert "hunter2" not in made.content.decode()
    assert "long random" not in made.content.decode()
    here = f"webhooks/{body['id']}"
    assert admin.get(here).json() == body
    assert [one["id"] for one in admin.get("webhooks").json()["results"]] == [body["id"]]

    changed = admin.call("PATCH", here, {"status": "DISABLED", "secret": ""}, if_match='"1"')
    assert (changed.status_code, changed["ETag"]) == (200, '"2"')
    assert (changed.json()["status"], changed.json()["signed"]) == ("DISABLED", False)
    assert admin.call("PATCH", here, {"name": "x"}, if_match='"1"').status_code == 412
    assert admin.call("DELETE", here).status_code == 204
    assert admin.get(here).status_code == 404
    assert admin.call("DELETE", here).status_code == 404


def test_a_repeated_creation_makes_one(admin: Api) -> None:
    first = admin.post("webhooks", NEW, idempotency_key="k1")
    again = admin.post("webhooks", NEW, idempotency_key="k1")
    assert first.json() == again.json()
    assert again["Idempotency-Replayed"] == "true"
    assert Webhook.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""), ("name", "-x"), ("name", "x" * 64), ("name", 3), ("name", "a\nb"),
        ("url", ""), ("url", "http://example.org/"), ("url", "https://127.0.0.1/"), ("url", "https://" + "x" * 500),
        ("url", None), ("events", []), ("events", ["model_version.made_up"]), ("events", "permit.issued"),
        ("events", ["permit.issued"] * 101), ("events", [3]), ("description", "x" * 1001), ("description", "\x00"),
        ("secret", "x" * 1001), ("secret", "a\nb"), ("secret", 3), ("status", "OFF"), ("color", "red"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(admin: Api, webhook: Webhook, field: str, value: object) -> None:
    for answer in (
        admin.post("webhooks", {**NEW, field: value}),
        admin.call("PATCH", f"webhooks/{webhook.pk}", {field: value}),
    ):
        assert answer.status_code in {400, 422}
        assert {name.partition(".")[0] for name in fields_at_fault(answer)} == {field}, answer.content
    assert Webhook.objects.count() == 1
    assert Webhook.objects.get().revision == 1
    assert admin.call("PATCH", f"webhooks/{webhook.pk}", {}).status_code == 400


def test_the_events_are_listed_with_samples(admin: Api) -> None:
    listed = admin.get("webhook-events").json()["results"]
    assert [one["name"] for one in listed] == list(events.known())
    assert {one["name"] for one in listed if one["mlflow"]} >= {"model_version.created", "prompt_alias.deleted"}
    assert all(one["words"] and one["example"] for one in listed)


def test_deliveries_are_listed_read_and_sent_again(admin: Api, webhook: Webhook) -> None:
    failed, fine = delivery(webhook), delivery(webhook, state="delivered", reason="", response_status=200)
    here = f"webhooks/{webhook.pk}/deliveries"
    first = admin.get(f"{here}?page_size=1").json()
    assert [one["id"] for one in first["results"]] == [str(fine.pk)]
    second = admin.get(first["next"].partition("/api/v1/")[2]).json()
    assert [(one["id"], one["reason"]) for one in second["results"]] == [(str(failed.pk), "It answered 500.")]
    assert [one["id"] for one in admin.get(f"{here}?state=failed").json()["results"]] == [str(failed.pk)]
    assert admin.get(f"{here}?state=lost").status_code == 400
    assert "body" not in second["results"][0]
    assert json.loads(admin.get(f"{here}/{failed.pk}").json()["body"]) == {"a": 1}

    again = admin.post(f"{here}/{failed.pk}/redeliver")
    assert (again.status_code, again["Location"]) == (202, f"/api/v1/{here}/{failed.pk}")
    assert (again.json()["state"], again.json()["attempts"]) == ("waiting", 0)
    assert again.json()["next_attempt_at"]
    refused = admin.post(f"{here}/{failed.pk}/redeliver")
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook.waiting")
    assert admin.get(f"{here}/{uuid4()}").status_code == 404
    admin.call("PATCH", f"webhooks/{webhook.pk}", {"status": "DISABLED"})
    refused = admin.post(f"{here}/{fine.pk}/redeliver")
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook.disabled")


def test_a_sample_is_queued(admin: Api, webhook: Webhook) -> None:
    queued = admin.post(f"webhooks/{webhook.pk}/test", {"event": "permit.revoked"})
    assert (queued.status_code, queued.json()["event"], queued.json()["entry_index"]) == (202, "permit.revoked", None)
    assert admin.post(f"webhooks/{webhook.pk}/test", {}).json()["event"] == "model_version.created"
    refused = admin.post(f"webhooks/{webhook.pk}/test", {"event": "permit.made_up"})
    assert refused.status_code == 422


def test_everybody_else_finds_none(contributor: Api, webhook: Webhook, alma: User) -> None:
    kept = delivery(webhook)
    here = f"webhooks/{webhook.pk}"
    for method, path in (
        ("GET", here), ("PATCH", here), ("DELETE", here), ("POST", f"{here}/test"), ("GET", f"{here}/deliveries"),
        ("GET", f"{here}/deliveries/{kept.pk}"), ("POST", f"{here}/deliveries/{kept.pk}/redeliver"),
    ):  # fmt: skip
        assert contributor.call(method, path, None if method == "GET" else {}).status_code == 404
    for method, path in (("GET", "webhooks"), ("POST", "webhooks"), ("GET", "webhook-events")):
        assert contributor.call(method, path, NEW if method == "POST" else None).status_code == 403
    reading = Api(token_of(alma, "read"))
    assert reading.get("webhooks").status_code == 200
    assert reading.call("DELETE", here).status_code == 403
    kept.refresh_from_db()
    assert (Webhook.objects.get().revision, kept.state) == (1, "failed")
