"""MLflow's own messages as the measure: every RPC it has is spoken, and every answer is one of its messages."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from django.test import Client
from django.urls import resolve
from google.protobuf import json_format  # type: ignore[import-untyped]
from google.protobuf.message import Message  # type: ignore[import-untyped]
from mlflow.protos import databricks_pb2, model_registry_pb2, webhooks_pb2

from audit.actors import SYSTEM
from registry.mlflow.auth import not_found
from registry.mlflow.proxy import tracking
from registry.models import RegisteredModel
from registry.roles import Role
from registry.services import access
from tests.conformance.mlflow.conftest import Person, sealed

pytestmark = pytest.mark.django_db

SERVICES: Final = (
    *model_registry_pb2.DESCRIPTOR.services_by_name.values(),
    *webhooks_pb2.DESCRIPTOR.services_by_name.values(),
)
RUN: Final = "a" * 32
Rpc = tuple[str, str, str, type[Message]]


def endpoints() -> Iterator[Rpc]:
    """Name, method, address and answer of every RPC."""
    for service in SERVICES:
        module = model_registry_pb2 if service.full_name.endswith("RegistryService") else webhooks_pb2
        for method in service.methods:
            answer = getattr(module, method.input_type.name).Response
            for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
                yield method.name, endpoint.method, endpoint.path, answer


ALL: Final = list(endpoints())


def test_mlflow_has_the_rpcs_we_know_of() -> None:
    assert len({name for name, *_ in ALL}) == 27
    assert [service.name for service in SERVICES] == ["ModelRegistryService", "WebhookService"]


@pytest.mark.parametrize("prefix", ["/api", "/ajax-api"])
@pytest.mark.parametrize("rpc", ALL, ids=[f"{name}-{method}" for name, method, *_ in ALL])
def test_every_rpc_is_spoken(prefix: str, rpc: Rpc, ada: Person) -> None:
    _, method, path, _ = rpc
    address = f"{prefix}/2.0{path.replace('{webhook_id}', 'x')}"
    assert resolve(address).func not in {tracking, not_found}, (
        "the tracking process would be asked, which does not know"
    )
    said = Client(headers={"authorization": f"Bearer {ada.token}"}).generic(
        method, address, "{}", content_type="application/json"
    )
    assert said["Content-Type"] == "application/json"
    assert json.loads(said.content).get("error_code") != "ENDPOINT_NOT_FOUND"


@pytest.fixture
def ask(ada: Person) -> Callable[..., tuple[Message, dict[str, Any]]]:
    """Call an RPC, and read the answer strictly into its message: a field that it does not have fails."""
    team = access.create_team(name="administrators", by=SYSTEM)
    access.add_member(team=team, user=ada.user, by=SYSTEM)
    access.grant_role(team=team, role=Role.ADMINISTRATOR, by=SYSTEM)
    client = Client(headers={"authorization": f"Bearer {ada.token}"})
    spoken: set[str] = set()

    def call(rpc: str, method: str = "", /, webhook_id: str = "", **given: Any) -> tuple[Message, dict[str, Any]]:
        found = [row for row in ALL if row[0] == rpc and method in {"", row[1]}]
        _, verb, path, answer = found[0]
        address = f"/api/2.0{path.replace('{webhook_id}', webhook_id)}"
        if verb == "GET":
            said = client.get(address, given)
        else:
            said = client.generic(verb, address, json.dumps(given), content_type="application/json")
        assert said.status_code == 200, (rpc, said.content)
        body = json.loads(said.content)
        spoken.add(rpc)
        return json_format.Parse(said.content, answer(), ignore_unknown_fields=False), body

    call.spoken = spoken  # type: ignore[attr-defined]
    return call


def test_every_answer_is_one_of_mlflows_messages(ask: Callable[..., Any], ada: Person) -> None:
    told, _ = ask("createRegisteredModel", name="credit", tags=[{"key": "a", "value": ""}], description="Cards")
    assert told.registered_model.name == "credit"
    told, _ = ask(
        "createModelVersion", name="credit", source=f"runs:/{RUN}/m", run_id=RUN, run_link="https://x.example"
    )
    assert told.model_version.status == model_registry_pb2.PENDING_REGISTRATION
    sealed(RegisteredModel.objects.get(name="credit"), ada.actor)
    assert ask("setRegisteredModelAlias", name="credit", alias="champion", version="2")[1] == {}
    assert ask("setRegisteredModelTag", name="credit", key="b", value="c")[1] == {}
    assert ask("setModelVersionTag", name="credit", version="2", key="b", value="c")[1] == {}
    told, _ = ask("updateRegisteredModel", name="credit", description="")
    assert told.registered_model.description == ""
    told, _ = ask("updateModelVersion", name="credit", version="2", description="Second")
    told, body = ask("transitionModelVersionStage", name="credit", version="2", stage="Staging")
    assert (told.model_version.current_stage, list(told.model_version.aliases)) == ("Staging", ["champion"])
    assert isinstance(body["model_version"]["creation_timestamp"], int)
    assert body["model_version"]["version"] == "2"

    told, _ = ask("getRegisteredModel", name="credit")
    assert [version.version for version in told.registered_model.latest_versions] == ["1", "2"]
    told, _ = ask("getModelVersion", name="credit", version="2")
    assert told.model_version.tags[0].key == "b"
    told, _ = ask("getModelVersionByAlias", name="credit", alias="champion")
    for method in ("GET", "POST"):
        told, _ = ask("getLatestVersions", method, name="credit", stages=["Staging"])
        assert [version.version for version in told.model_versions] == ["2"]
    told, _ = ask("getModelVersionDownloadUri", name="credit", version="2")
    assert told.artifact_uri.startswith("mlflow-artifacts:/sealed/")
    told, _ = ask("searchRegisteredModels", max_results=1)
    assert [model.name for model in told.registered_models] == ["credit"]
    told, body = ask("searchModelVersions", max_results=1)
    assert (len(told.model_versions), body["next_page_token"]) == (1, told.next_page_token)

    assert ask("deleteModelVersionTag", name="credit", version="2", key="b")[1] == {}
    assert ask("deleteRegisteredModelTag", name="credit", key="b")[1] == {}
    assert ask("deleteRegisteredModelAlias", name="credit", alias="champion")[1] == {}
    told, _ = ask("renameRegisteredModel", name="credit", new_name="cards")
    assert ask("deleteModelVersion", name="cards", version="1")[1] == {}
    assert ask("deleteRegisteredModel", name="cards")[1] == {}
    assert ask("searchRegisteredModels")[1] == {}
    assert ask("searchModelVersions")[1] == {}
    registry = {row[0] for row in ALL if "webhook" not in row[0].lower()}
    assert ask.spoken == registry  # type: ignore[attr-defined]


def test_every_answer_about_webhooks_is_one_of_mlflows_messages(ask: Callable[..., Any], settings: Any) -> None:
    event = {"entity": "REGISTERED_MODEL", "action": "CREATED"}
    told, _ = ask("createWebhook", name="hook", url="https://hooks.example.com/x", events=[event], secret="s" * 20)
    hook = told.webhook.webhook_id
    assert hook
    told, _ = ask("listWebhooks")
    assert [row.webhook_id for row in told.webhooks] == [hook]
    told, _ = ask("getWebhook", webhook_id=hook)
    assert told.webhook.events[0].entity == webhooks_pb2.REGISTERED_MODEL
    told, _ = ask("updateWebhook", webhook_id=hook, description="Other")
    assert told.webhook.description == "Other"
    assert ask("deleteWebhook", webhook_id=hook)[1] == {}
