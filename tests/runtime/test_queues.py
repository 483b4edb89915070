"""Which process takes which task: no queue without a consumer, and webhooks apart from checks."""

import pytest

from config.celery import QUEUES, WEBHOOK_TASKS, app
from config.runtime.services import SERVICES


def consumed() -> dict[str, list[str]]:
    """The queues of each process that takes tasks, as its command names them."""
    commands = {service.name: service.command for service in SERVICES if "--queues" in service.command}
    return {name: command[command.index("--queues") + 1].split(",") for name, command in commands.items()}


def test_every_queue_is_taken_by_one_kind_of_process() -> None:
    assert sorted(queue for queues in consumed().values() for queue in queues) == sorted(QUEUES)


def test_each_worker_bears_the_name_by_which_the_supervisor_looks_for_it() -> None:
    for service in SERVICES:
        if service.name in consumed():
            assert f"{service.name}@%h" == service.command[service.command.index("--hostname") + 1]


@pytest.mark.parametrize("task", WEBHOOK_TASKS)
def test_webhooks_go_to_the_courier_also_when_they_are_sent_by_name(task: str) -> None:
    app.loader.import_default_modules()
    assert task in app.tasks
    assert app.amqp.router.route({}, task)["queue"].name == "webhooks"
    assert consumed()["courier"] == ["webhooks"]


def test_what_is_not_routed_goes_to_the_worker() -> None:
    assert app.amqp.router.route({}, "registry.tasks.tidy")["queue"].name == "default"
    assert "default" in consumed()["worker"]
