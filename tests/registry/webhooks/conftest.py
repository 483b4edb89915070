"""A receiver, somebody who administers, and a webhook that leads to it."""

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from pytest_django import Settings

from audit import followers
from audit.actors import Actor
from registry.followers import Webhooks
from registry.models import User, Webhook
from registry.roles import Role
from registry.services import webhook_delivery, webhooks
from tests.factories import registry as make
from tests.factories.audit import integrate
from tests.registry.webhooks.receiver import Receiver, receiving

SECRET = "a long random text"


@pytest.fixture
def inside(settings: Settings) -> Settings:
    """Receivers on the loopback are allowed, over http too."""
    settings.WEBHOOK_ALLOWED_SCHEMES = frozenset({"http", "https"})
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network("127.0.0.0/8")]
    settings.WEBHOOK_TIMEOUT = 30.0
    return settings


@pytest.fixture
def receiver(inside: Settings) -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def admin(db: None, artifact_root: Path) -> User:
    """Administers everything."""
    return make.person(Role.ADMINISTRATOR)


@pytest.fixture
def by(admin: User) -> Actor:
    """The administrator, acting."""
    return make.actor(admin)


NewWebhook = Callable[..., Webhook]


@pytest.fixture
def new_webhook(by: Actor, receiver: Receiver) -> NewWebhook:
    """Make a webhook for the events named, leading to the receiver."""

    def made(*event_names: str, **fields: str) -> Webhook:
        given = {"name": "hook", "url": receiver.url, "secret": SECRET} | fields
        return webhooks.create_webhook(event_names=event_names or ("model_version.created",), by=by, **given)

    return made


@pytest.fixture
def happen(scientist: User) -> Callable[[], None]:
    """Have a version of a new model registered, and its entry read."""

    def happening() -> None:
        make.pending_version(make.registered_model(scientist), scientist)
        follow()

    return happening


def follow() -> None:
    """Give every entry its place, and let the follower of webhooks read them."""
    integrate()
    while followers.run_all([Webhooks()]):
        pass


def deliver_all() -> int:
    """What a worker does for every webhook for which the sweeper rings; how many attempts it made."""
    return sum(webhook_delivery.deliver(webhook_id) for webhook_id in webhook_delivery.sweep())
