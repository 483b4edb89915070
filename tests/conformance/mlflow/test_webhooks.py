"""Webhooks: the real client's methods, the wire form, and what arrives, beside a plain ``mlflow server``'s deliveries."""

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.db import connection
from django.test import Client
from mlflow import MlflowClient
from mlflow.entities.webhook import VALID_ENTITY_ACTIONS, WebhookEvent
from mlflow.exceptions import MlflowException
from mlflow.webhooks.delivery import _generate_hmac_signature
from mlflow.webhooks.types import get_example_payload_for_event
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from audit.models import Entry
from registry import events
from registry.mlflow.webhooks import WAITING
from registry.models import RegisteredModel, User, Webhook, WebhookDelivery
from registry.roles import Role
from registry.services import webhook_delivery, webhooks
from tests.conformance.mlflow.conftest import Person, person
from tests.conformance.mlflow.existing import mlflow_server
from tests.factories.audit import integrate
from tests.registry.webhooks.conftest import follow, inside, receiver
from tests.registry.webhooks.receiver import Receiver, hang, receiving, status

__all__ = ["inside", "receiver"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.filterwarnings("ignore")]

SECRET = "a long random text"
URL = "https://hooks.example.org/here"
CREATED = WebhookEvent.from_str("model_version.created")
EVENTS: list[Any] = [
    WebhookEvent(entity, action)
    for entity, actions in VALID_ENTITY_ACTIONS.items()
    for action in sorted(actions)
    if entity != "budget_policy"
]


@pytest.fixture
def alma(db: None, artifact_root: Path) -> Person:
    """An administrator who contributes too."""
    return person("alma", Role.ADMINISTRATOR)


@pytest.fixture
def client(live_server: LiveServer, alma: Person, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """MLflow's own client, as alma has it."""
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", alma.token)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return MlflowClient(tracking_uri=live_server.url, registry_uri=live_server.url)


@pytest.fixture
def worker(live_server: LiveServer) -> Iterator[None]:
    """Sequencer, follower and a worker in a thread, until the test ends."""
    ended = threading.Event()

    def work() -> None:
        try:
            while not ended.wait(0.05):
                follow()
                for webhook_id in list(webhook_delivery.sweep()):
                    webhook_delivery.deliver(webhook_id)
        finally:
            connection.close()

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    yield
    ended.set()
    thread.join()


def test_every_method_of_the_client(client: MlflowClient) -> None:
    made = client.create_webhook(
        name="deployer", url=URL, events=["model_version.created", "prompt.created"], description="D", secret=SECRET
    )
    assert (made.name, made.url, made.description, made.status) == ("deployer", URL, "D", "ACTIVE")
    assert [str(event) for event in made.events] == ["model_version.created", "prompt.created"]
    assert made.secret is None
    assert made.creation_timestamp == made.last_updated_timestamp > 1_700_000_000_000
    got = client.get_webhook(made.webhook_id)
    assert (got.webhook_id, got.name, got.creation_timestamp) == (made.webhook_id, "deployer", made.creation_timestamp)

    changed = client.update_webhook(
        made.webhook_id, name="other", url=f"{URL}/2", events=[CREATED], description="", status="DISABLED"
    )
    assert (changed.name, changed.url, changed.description, changed.status) == ("other", f"{URL}/2", None, "DISABLED")
    assert [str(event) for event in changed.events] == ["model_version.created"]
    assert changed.last_updated_timestamp > made.creation_timestamp
    assert client.update_webhook(made.webhook_id, status="ACTIVE").status == "ACTIVE"
    assert Webhook.objects.get().has_secret
    client.update_webhook(made.webhook_id, secret="")
    assert not Webhook.objects.get().has_secret

    for number in range(4):
        client.create_webhook(name=f"hook-{number}", url=URL, events=[CREATED])
    first = client.list_webhooks(max_results=3)
    rest = client.list_webhooks(max_results=3, page_token=first.token)
    assert [webhook.name for webhook in (*first, *rest)] == ["hook-3", "hook-2", "hook-1", "hook-0", "other"]
    assert rest.token in {None, ""}

    client.delete_webhook(made.webhook_id)
    with pytest.raises(MlflowException, match=f"Webhook with ID {made.webhook_id} not found") as gone:
        client.get_webhook(made.webhook_id)
    assert gone.value.error_code == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.usefixtures("worker")
def test_a_trial_says_what_the_receiver_said(client: MlflowClient, receiver: Receiver, inside: Settings) -> None:
    made = client.create_webhook(name="hook", url=receiver.url, events=[CREATED], secret=SECRET, status="DISABLED")
    result = client.test_webhook(made.webhook_id)
    assert (result.success, result.response_status, result.response_body) == (True, 200, "ok")
    [sample] = receiver.received
    assert sample.document["data"] == get_example_payload_for_event(CREATED)
    assert sample.document["test"] is True
    assert sample.headers["X-MLflow-Signature"] == _generate_hmac_signature(
        SECRET, sample.headers["X-MLflow-Delivery-Id"], sample.headers["X-MLflow-Timestamp"], sample.body
    )
    receiver.answers = [status(500, b"out of order")]
    result = client.test_webhook(made.webhook_id, WebhookEvent.from_str("prompt_tag.deleted"))
    assert (result.success, result.response_status, result.response_body) == (False, 500, "out of order")
    assert receiver.documents[1]["entity"] == "prompt_tag"
    inside.WEBHOOK_TIMEOUT = 0.3
    receiver.answers = [hang(receiver.over)]
    result = client.test_webhook(made.webhook_id)
    assert not result.success
    assert "No answer within 0.3 seconds" in str(result.error_message)


def test_every_sample_is_the_one_mlflow_sends() -> None:
    ours = {name: dict(event.example) for name, event in events.known().items() if event.mlflow}
    ours.pop("budget_policy.exceeded")
    assert ours == {str(event): get_example_payload_for_event(event) for event in EVENTS}


def test_the_client_never_sees_an_event_that_it_does_not_know(client: MlflowClient, alma: Person) -> None:
    both = webhooks.create_webhook(
        name="both", url=URL, event_names=["permit.issued", "model_version.created"], by=alma.actor
    )
    ours = webhooks.create_webhook(name="ours", url=URL, event_names=["permit.issued"], by=alma.actor)
    assert [webhook.name for webhook in client.list_webhooks()] == ["both"]
    assert [str(event) for event in client.get_webhook(str(both.pk)).events] == ["model_version.created"]
    client.update_webhook(str(both.pk), events=["prompt.created"])
    both.refresh_from_db()
    assert both.events == ["prompt.created", "permit.issued"], "what the client did not see it did not take away"
    calls: list[Callable[[], object]] = [
        partial(client.get_webhook, str(ours.pk)),
        partial(client.update_webhook, str(ours.pk), name="x"),
    ]
    for call in calls:
        with pytest.raises(MlflowException, match="only events that MLflow does not know"):
            call()
    ours.refresh_from_db()
    assert ours.name == "ours"
    client.delete_webhook(str(ours.pk))


# --- the wire


def ask(who: Person, method: str, rest: str = "", body: object = None, prefix: str = "api", **query: str | int) -> Any:
    browser = Client(headers={"authorization": f"Bearer {who.token}"})
    address = f"/{prefix}/2.0/mlflow/webhooks{rest}"
    if method == "GET":
        answer = browser.get(address, query)
    else:
        answer = browser.generic(method, address, json.dumps(body or {}), content_type="application/json")
    return answer.status_code, json.loads(answer.content)


EVENT = {"entity": "MODEL_VERSION", "action": "CREATED"}
NEW: dict[str, Any] = {"name": "hook", "url": URL, "events": [EVENT]}


@pytest.mark.parametrize("prefix", ["api", "ajax-api"])
def test_the_wire_form(alma: Person, prefix: str) -> None:
    code, made = ask(alma, "POST", body=NEW | {"secret": SECRET}, prefix=prefix)
    webhook = Webhook.objects.get()
    stamp = int(webhook.created_at.timestamp() * 1000)
    document = {
        "webhook_id": str(webhook.pk),
        "name": "hook",
        "url": URL,
        "events": [EVENT],
        "status": "ACTIVE",
        "creation_timestamp": stamp,
        "last_updated_timestamp": stamp,
    }
    assert (code, made) == (200, {"webhook": document})
    assert ask(alma, "GET", f"/{webhook.pk}", prefix=prefix) == (200, {"webhook": document})
    assert ask(alma, "GET", prefix=prefix) == (200, {"webhooks": [document]})
    numbers = {"events": [{"entity": 5, "action": 1}]}
    assert ask(alma, "PATCH", f"/{webhook.pk}", numbers, prefix)[1]["webhook"]["events"] == [
        {"entity": "PROMPT", "action": "CREATED"}
    ]
    assert ask(alma, "DELETE", f"/{webhook.pk}", prefix=prefix) == (200, {})
    assert ask(alma, "GET", prefix=prefix) == (200, {})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": None}, "Missing value for required parameter 'name'"),
        ({"name": 3}, "parameter 'name'"),
        ({"name": "-x"}, "Webhook name '-x' is invalid"),
        ({"name": "x" * 64}, "less than 63 characters"),
        ({"name": "x\n"}, "is invalid"),
        ({"url": None}, "Missing value for required parameter 'url'"),
        ({"url": " "}, "cannot be empty or just whitespace"),
        ({"url": "http://example.org/"}, "Invalid webhook URL scheme: 'http'. Allowed schemes are: https."),
        ({"url": "ftp://example.org/"}, "Invalid webhook URL scheme: 'ftp'"),
        ({"url": "https:///x"}, "must include a hostname"),
        ({"url": "https://127.0.0.1/"}, "not a public address"),
        ({"events": None}, "Missing value for required parameter 'events'"),
        ({"events": []}, "Missing value for required parameter 'events'"),
        ({"events": "x"}, "must be a list"),
        ({"events": ["model_version.created"]}, "must be an object"),
        ({"events": [{}]}, "Invalid entity"),
        ({"events": [{"entity": "STAGE", "action": "CREATED"}]}, "Invalid entity"),
        ({"events": [{"entity": "PERMIT", "action": "ISSUED"}]}, "Invalid entity"),
        ({"events": [{"entity": 99, "action": 1}]}, "Invalid entity"),
        ({"events": [{"entity": 0, "action": 1}]}, "Invalid entity"),
        (
            {"events": [{"entity": "MODEL_VERSION", "action": "UPDATED"}]},
            "Invalid action 'updated' for entity 'model_version'. Valid actions are: ['created']",
        ),
        ({"description": "x" * 1001}, "the limit is 1000"),
        ({"description": "a\x00"}, "null byte"),
        ({"secret": "x" * 1001}, "at most 1000 characters"),
        ({"secret": "a\nb"}, "printable"),
        ({"status": "OFF"}, "Invalid webhook status"),
    ],
)
def test_bad_input_is_refused_by_name_when_made_and_when_changed(
    alma: Person, change: dict[str, Any], said: str
) -> None:
    given = {key: value for key, value in (NEW | change).items() if value is not None}
    code, answer = ask(alma, "POST", body=given)
    assert (code, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), answer
    assert said in answer["message"]
    assert not Webhook.objects.exists()
    webhook_id = ask(alma, "POST", body=NEW)[1]["webhook"]["webhook_id"]
    if any(change.values()):
        code, answer = ask(alma, "PATCH", f"/{webhook_id}", change)
        assert (code, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), answer
    assert Webhook.objects.get().revision == 1


def test_a_trial_waits_for_no_thread_of_a_web_process_that_others_need(alma: Person) -> None:
    webhook_id = ask(alma, "POST", body=NEW)[1]["webhook"]["webhook_id"]
    with WAITING, WAITING:  # as two others do
        code, answer = ask(alma, "POST", f"/{webhook_id}/test", {})
    assert code == 200
    assert answer["result"]["success"] is False
    assert "stays in the queue" in answer["result"]["error_message"]
    assert WebhookDelivery.objects.get().state == WebhookDelivery.State.WAITING


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"max_results": 1001}, "max_results must be between 1 and 1000."),
        ({"max_results": -1}, "max_results must be between 1 and 1000."),
        ({"max_results": "x"}, "must be an integer"),
        ({"page_token": "nonsense"}, "Invalid page token"),
    ],
)
def test_a_bad_page_is_refused(alma: Person, query: dict[str, Any], said: str) -> None:
    code, answer = ask(alma, "GET", **query)
    assert (code, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert said in answer["message"]


def test_what_is_not_there_and_what_is_not_spoken(alma: Person) -> None:
    for method, rest in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test")):
        for webhook_id in ("nonsense", str(uuid4())):
            code, answer = ask(alma, method, f"/{webhook_id}{rest}")
            assert (code, answer["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
            assert answer["message"] == f"Webhook with ID {webhook_id} not found."
    assert ask(alma, "PUT")[1]["error_code"] == "ENDPOINT_NOT_FOUND"


def test_only_administrators(alma: Person) -> None:
    made = ask(alma, "POST", body=NEW)[1]["webhook"]["webhook_id"]
    ada = person("ada", Role.CONTRIBUTOR)
    calls = [("GET", ""), ("POST", ""), ("GET", f"/{made}"), ("PATCH", f"/{made}"), ("DELETE", f"/{made}")]
    for method, rest in [*calls, ("POST", f"/{made}/test")]:
        code, answer = ask(ada, method, rest, NEW)
        assert (code, answer["error_code"]) == (403, "PERMISSION_DENIED")
        assert "administrator" in answer["message"]
    reading = Person(alma.user, alma.reading_token, alma.reading_token)
    assert ask(reading, "GET")[0] == 200
    assert ask(reading, "DELETE", f"/{made}")[0] == 403
    assert Client().get("/api/2.0/mlflow/webhooks").status_code == 401
    webhook = Webhook.objects.get()
    assert (webhook.revision, webhook.deleted_at, webhook.deliveries.count()) == (1, None, 0)


def test_changes_are_in_the_ledger_without_a_secret_or_a_path(alma: Person) -> None:
    secret_url = "https://robot:hunter2@hooks.example.org/T0/B0/token?key=k"
    made = ask(alma, "POST", body=NEW | {"url": secret_url, "secret": SECRET})[1]["webhook"]
    assert made["url"] == "https://hooks.example.org/T0/B0/token?key=k"
    ask(alma, "PATCH", f"/{made['webhook_id']}", {"url": "https://other.example.org:8443/x", "secret": "another one"})
    ask(alma, "DELETE", f"/{made['webhook_id']}")
    integrate()
    found = list(Entry.objects.filter(action__startswith="webhook.").order_by("index"))
    assert [entry.action for entry in found] == ["webhook.created", "webhook.changed", "webhook.deleted"]
    assert all(entry.actor_id == f"user:{alma.user.pk}" for entry in found)
    assert found[0].facts["origin"] == "https://hooks.example.org"
    assert found[1].diff["origin"] == {
        "before": "https://hooks.example.org",
        "after": "https://other.example.org:8443",
    }
    assert found[1].diff["secret"] == "replaced"
    written = "".join(entry.canon for entry in found)
    for text in (SECRET, "another one", "hunter2", "robot", "T0", "key=k", "8443/x"):
        assert text not in written


# --- beside MLflow


@pytest.fixture(scope="module")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A plain ``mlflow server`` that may send to the loopback."""
    more = {"MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https", "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true"}
    with mlflow_server(tmp_path_factory.mktemp("mlflow"), more=more) as url:
        yield url


PROMPT = [{"key": "mlflow.prompt.is_prompt", "value": "true"}, {"key": "_mlflow_prompt_type", "value": "text"}]
TEMPLATE = [*PROMPT, {"key": "mlflow.prompt.text", "value": "Hello {{name}}!"}, {"key": "tone", "value": "warm"}]
ACTIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "registered-models/create",
     {"name": "credit", "tags": [{"key": "team", "value": "risk"}], "description": "Cards"}),
    ("POST", "registered-models/create", {"name": "bare"}),
    ("POST", "model-versions/create",
     {"name": "credit", "source": "runs:/RUN/m", "run_id": "RUN", "tags": [{"key": "k", "value": "v"}], "description": "First"}),
    ("POST", "model-versions/create", {"name": "credit", "source": "runs:/RUN/n", "run_id": "RUN"}),
    ("POST", "registered-models/set-tag", {"name": "credit", "key": "not", "value": "told"}),
    ("POST", "model-versions/set-tag", {"name": "credit", "version": "1", "key": "tried", "value": "yes"}),
    ("DELETE", "model-versions/delete-tag", {"name": "credit", "version": "1", "key": "tried"}),
    ("POST", "registered-models/alias", {"name": "credit", "alias": "challenger", "version": "1"}),
    ("POST", "registered-models/alias", {"name": "credit", "alias": "challenger", "version": "2"}),
    ("DELETE", "registered-models/alias", {"name": "credit", "alias": "challenger"}),
    ("POST", "registered-models/create", {"name": "greeting", "tags": [*PROMPT, {"key": "a", "value": "b"}]}),
    ("POST", "model-versions/create",
     {"name": "greeting", "source": "prompt-template", "tags": TEMPLATE, "description": "Hi"}),
    ("POST", "registered-models/set-tag", {"name": "greeting", "key": "owner", "value": "ada"}),
    ("DELETE", "registered-models/delete-tag", {"name": "greeting", "key": "owner"}),
    ("POST", "model-versions/set-tag", {"name": "greeting", "version": "1", "key": "tone", "value": "cool"}),
    ("DELETE", "model-versions/delete-tag", {"name": "greeting", "version": "1", "key": "tone"}),
    ("POST", "registered-models/alias", {"name": "greeting", "alias": "best", "version": "1"}),
    ("DELETE", "registered-models/alias", {"name": "greeting", "alias": "best"}),
]  # fmt: skip


def run_of(url: str) -> str:
    """A run that MLflow knows: it takes no version of another."""
    made = httpx.post(f"{url}/api/2.0/mlflow/runs/create", json={"experiment_id": "0", "start_time": 1})
    return str(made.json()["run"]["info"]["run_id"])


def act(url: str, token: str, run_id: str) -> None:
    with httpx.Client(base_url=f"{url}/api/2.0/mlflow", headers={"Authorization": f"Bearer {token}"}) as http:
        for method, rpc, body in ACTIONS:
            given = json.loads(json.dumps(body).replace("RUN", run_id))
            answer = http.request(method, f"/{rpc}", json=given)
            assert answer.status_code == 200, (rpc, given, answer.text)


def as_told(receiver: Receiver) -> list[str]:
    """What came, without its moment and what only we add; MLflow's threads keep no order."""
    told = []
    for one in receiver.received:
        signature = _generate_hmac_signature(
            SECRET, one.headers["X-MLflow-Delivery-Id"], one.headers["X-MLflow-Timestamp"], one.body
        )
        assert one.headers["X-MLflow-Signature"] == signature
        assert one.headers["Content-Type"] == "application/json"
        told.append(json.dumps({key: one.document[key] for key in ("entity", "action", "data")}, sort_keys=True))
        assert isinstance(one.document["timestamp"], str)
    return sorted(told)


@pytest.mark.usefixtures("worker")
def test_the_same_actions_are_told_in_the_same_words_as_by_mlflow(
    client: MlflowClient, live_server: LiveServer, mlflow_url: str, receiver: Receiver, alma: Person
) -> None:
    ada = person("ada", Role.CONTRIBUTOR)
    with receiving() as theirs:
        plain = MlflowClient(tracking_uri=mlflow_url, registry_uri=mlflow_url)
        for server, where in ((plain, theirs), (client, receiver)):
            server.create_webhook(name="all", url=where.url, events=EVENTS, secret=SECRET)
        run_id = run_of(mlflow_url)
        act(mlflow_url, "none", run_id)
        act(live_server.url, ada.token, run_id)
        expected = len(ACTIONS) - 1
        theirs.wait_for(expected)
        receiver.wait_for(expected)
        assert as_told(receiver) == as_told(theirs)
        assert len(receiver.received) == len(theirs.received) == expected
        ours, plain_one = receiver.received[0].document, theirs.received[0].document
        assert ours.keys() - plain_one.keys() == {"actor", "ledger"}
    assert {f"{one['entity']}.{one['action']}" for one in receiver.documents} == {str(event) for event in EVENTS}
    assert RegisteredModel.objects.count() == 3
    assert User.objects.get(username="ada").username in {one["actor"]["name"] for one in receiver.documents}


WRONG: list[dict[str, Any]] = [
    {"name": "-x"}, {"name": "x" * 64}, {"name": "a b"}, {"url": "ftp://example.org"}, {"url": "https:///x"},
    {"url": " "}, {"name": None}, {"url": None}, {"events": None}, {"name": 3}, {"url": 3}, {"events": "x"},
    {"description": 3}, {"secret": 3},
    {"events": [{"entity": "MODEL_VERSION", "action": "UPDATED"}]},
]  # fmt: skip


def test_what_mlflow_refuses_is_refused_with_the_same_code(alma: Person, mlflow_url: str, inside: Settings) -> None:
    for change in WRONG:
        given = {key: value for key, value in (NEW | change).items() if value is not None}
        theirs = httpx.post(f"{mlflow_url}/api/2.0/mlflow/webhooks", json=given)
        code, ours = ask(alma, "POST", body=given)
        assert (code, ours["error_code"]) == (theirs.status_code, theirs.json()["error_code"]), (given, theirs.text)
