"""The pages of webhooks: for administrators, without a script."""

import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from registry.models import User, Webhook, WebhookDelivery
from registry.roles import Role
from registry.services import webhooks
from tests.factories import pages as make
from tests.factories.registry import actions
from tests.pages.registry.conftest import QUERIES, Visit

NEW = {"name": "deployer", "url": "https://deploy.example.org/hook", "events": ["permit.issued"], "secret": "hush-hush"}


@pytest.fixture
def admin() -> User:
    return make.person("alma", Role.ADMINISTRATOR)


@pytest.fixture
def browser(admin: User, visit: Visit) -> Client:
    return visit(admin)


@pytest.fixture
def webhook(admin: User) -> Webhook:
    return webhooks.create_webhook(
        name="deployer",
        url="https://robot:pass@deploy.example.org/hook",
        event_names=["permit.issued"],
        secret="hush-hush",
        by=make.actor(admin),
    )


def delivered(webhook: Webhook, count: int = 1, **fields: object) -> list[WebhookDelivery]:
    now = timezone.now()
    given = {
        "state": "failed",
        "finished_at": now,
        "attempts": 10,
        "response_status": 500,
        "reason": "It answered 500.",
    }
    return [
        WebhookDelivery.objects.create(
            webhook=webhook, event="permit.issued", body="{}", entry_index=index, entry_id=str(uuid4()), queued_at=now,
            next_attempt_at=now, **{**given, **fields},
        )
        for index in range(count)
    ]  # fmt: skip


def test_a_webhook_is_made_and_its_secret_is_on_no_page(browser: Client) -> None:
    answer = browser.post("/webhooks/", NEW, follow=True)
    page = answer.content.decode()

    webhook = Webhook.objects.get()
    assert answer.redirect_chain == [(f"/webhooks/{webhook.pk}/", 303)]
    assert "is told of what happens from now on" in page
    assert "What is sent is signed" in page
    assert "hush-hush" not in page
    assert (webhook.events, webhook.has_secret, webhook.status) == (["permit.issued"], True, "ACTIVE")
    assert "deployer" in browser.get("/webhooks/").content.decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "-x"),
        ("name", "x" * 64),
        ("name", "a\x00b"),
        ("url", ""),
        ("url", "http://example.org/"),
        ("url", "https://127.0.0.1/"),
        ("url", "https://" + "x" * 500),
        ("secret", "x" * 1001),
        ("description", "x" * 1001),
        ("events", []),
        ("events", ["permit.made_up"]),
    ],
)
def test_what_cannot_be_is_refused_beside_its_field(field: str, value: object, browser: Client) -> None:
    answer = browser.post("/webhooks/", {**NEW, field: value})

    assert answer.status_code == 422
    assert f'id="id_{field}_error"' in answer.content.decode()
    assert not Webhook.objects.exists()


def test_it_is_changed_and_an_empty_secret_keeps_the_one_there_is(browser: Client, webhook: Webhook) -> None:
    change = {"name": "other", "url": webhook.url, "events": ["permit.revoked"], "secret": "", "revision": "1"}
    assert browser.post(f"/webhooks/{webhook.pk}/", change).status_code == 303
    webhook.refresh_from_db()
    assert (webhook.name, webhook.events, webhook.has_secret) == ("other", ["permit.revoked"], True)
    assert webhook.userinfo_sealed is not None, "the address was not changed, so neither was its password"

    stale = browser.post(f"/webhooks/{webhook.pk}/", {**change, "name": "third"})
    assert stale.status_code == 412
    assert "Somebody changed this webhook" in stale.content.decode()
    assert browser.post(f"/webhooks/{webhook.pk}/", {**change, "revision": ""}).status_code == 422

    answer = browser.post(f"/webhooks/{webhook.pk}/", {**change, "revision": "2", "no_secret": "on"})
    assert answer.status_code == 303
    webhook.refresh_from_db()
    assert not webhook.has_secret


def test_deliveries_are_shown_with_their_reason_and_sent_again(browser: Client, webhook: Webhook) -> None:
    [delivery] = delivered(webhook)
    page = browser.get(f"/webhooks/{webhook.pk}/").content.decode()
    assert "It answered 500." in page
    assert "It answered 500." in browser.get("/webhooks/").content.decode()

    answer = browser.post(f"/webhooks/{webhook.pk}/deliveries/{delivery.pk}/again/", follow=True)
    assert "is sent again" in answer.content.decode()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("waiting", 0)
    again = browser.post(f"/webhooks/{webhook.pk}/deliveries/{delivery.pk}/again/", follow=True)
    assert "waits to be sent already" in again.content.decode()
    assert browser.post(f"/webhooks/{webhook.pk}/deliveries/{uuid4()}/again/").status_code == 404


def test_it_is_tried_disabled_enabled_and_deleted(browser: Client, webhook: Webhook) -> None:
    here = f"/webhooks/{webhook.pk}/"
    assert "A sample is on its way" in browser.post(f"{here}test/", follow=True).content.decode()
    assert WebhookDelivery.objects.get().is_sample
    assert "is disabled" in browser.post(f"{here}switch/", {"status": "DISABLED"}, follow=True).content.decode()
    assert "Disabled: it is told nothing" in browser.get(here).content.decode()
    assert browser.post(f"{here}switch/", {"status": "ACTIVE"}, follow=True).status_code == 200
    assert "ACTIVE or DISABLED" in browser.post(f"{here}switch/", {"status": "OFF"}, follow=True).content.decode()
    assert "is deleted" in browser.post(f"{here}delete/", follow=True).content.decode()
    assert browser.get(here).status_code == 404
    assert [action for action in actions() if action.startswith("webhook.")] == [
        "webhook.created", "webhook.tested", "webhook.changed", "webhook.changed", "webhook.deleted",
    ]  # fmt: skip


def test_nobody_else_sees_or_does_anything(scientist: User, auditor: User, webhook: Webhook, visit: Visit) -> None:
    [delivery] = delivered(webhook)
    here = f"/webhooks/{webhook.pk}/"
    for user in (scientist, auditor):
        browser = visit(user)
        for page in ("/webhooks/", here):
            assert browser.get(page).status_code == 403
        for act in ("", "test/", "switch/", "delete/", f"deliveries/{delivery.pk}/again/"):
            assert browser.post(f"{here}{act}", NEW).status_code == 403
        assert browser.post("/webhooks/", NEW).status_code == 403
        assert 'href="/webhooks/"' not in browser.get("/account/").content.decode()
    webhook.refresh_from_db()
    assert (Webhook.objects.count(), webhook.deleted_at, webhook.status, webhook.revision) == (1, None, "ACTIVE", 1)
    assert Client().get("/webhooks/").status_code == 302


def test_administrators_find_it_in_the_menu(browser: Client) -> None:
    assert 'href="/webhooks/"' in browser.get("/account/").content.decode()


def test_lists_have_pages_and_few_queries(
    browser: Client, admin: User, webhook: Webhook, django_assert_max_num_queries: Callable[..., object]
) -> None:
    for number in range(30):
        webhooks.create_webhook(
            name=f"hook-{number}", url="https://example.org/", event_names=["permit.issued"], by=make.actor(admin)
        )
    delivered(webhook, 60)
    with django_assert_max_num_queries(QUERIES):  # type: ignore[attr-defined]
        first = browser.get("/webhooks/").content.decode()
    assert len(re.findall(r'<a href="/webhooks/[0-9a-f-]{36}/"', first)) == 25
    following = re.search(r'href="(/webhooks/\?after=[^"]+)" rel="next"', first)
    assert following
    assert "deployer" in browser.get(following[1]).content.decode()

    with django_assert_max_num_queries(QUERIES):  # type: ignore[attr-defined]
        page = browser.get(f"/webhooks/{webhook.pk}/?state=failed").content.decode()
    assert page.count("It answered 500.") == 25
    older = re.search(rf'href="(/webhooks/{webhook.pk}/\?state=failed&amp;after=[^"]+)" rel="next"', page)
    assert older
    assert browser.get(older[1].replace("&amp;", "&")).content.decode().count("It answered 500.") == 25
    assert browser.get(f"/webhooks/{webhook.pk}/?after=nonsense").status_code == 422
    assert "No delivery is in this state" in browser.get(f"/webhooks/{webhook.pk}/?state=waiting").content.decode()
