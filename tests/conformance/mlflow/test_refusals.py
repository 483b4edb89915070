"""Every door that writes: refused over the wire in JSON, and in the words that the client's user reads, after one request.

The policy is the house's of the tests; ``credit`` v1 is approved for the alias and the stage, v2 is not, ``asked`` v1 is
under review, ``free`` is nothing special. Which test shows what: docs/contributors/coverage.md.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from django.core.signals import request_started
from django.db import connection
from django.test import Client
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer
from requests import HTTPError

from audit.keys import ensure_keys
from governance.models import Permit
from governance.services import permits
from registry.models import Alias, ModelTag, ModelVersion, RegisteredModel, VersionTag
from registry.roles import Role
from registry.services import catalog, versions
from tests.conformance.mlflow.conftest import Person, person
from tests.factories import governance as make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.filterwarnings("ignore")]

API: Final = "/api/2.0/mlflow"
FILES: Final = "/api/2.0/mlflow-artifacts"
CREDIT: Final = {"name": "credit"}
V1: Final = CREDIT | {"version": "1"}
V2: Final = CREDIT | {"version": "2"}
TAG: Final = {"key": "approved_by", "value": "me"}
PROMOTE_V2: Final = "/models/credit/versions/2/promote/"
Act = Callable[[MlflowClient], object]


@dataclass(frozen=True)
class Door:
    """One write: how it goes over the wire, how the client does it, and what is said."""

    name: str
    method: str
    path: str
    body: dict[str, Any]
    act: Act
    status: int
    parts: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return self.name


def rpc(name: str, call: str, body: dict[str, Any], act: Act, *said: int | str) -> Door:
    """``call`` is method and path; ``said`` the status, then parts of the message."""
    method, _, path = call.partition(" ")
    status, *parts = said
    return Door(name, method, f"{API}/{path}", body, act, int(status), [str(part) for part in parts])


STAGE: Final = {"stage": "Production"}
HELD: Final = "policy house"
DOORS: Final = [
    rpc(
        "governed alias, set", "POST registered-models/alias", V2 | {"alias": "production"},
        lambda c: c.set_registered_model_alias("credit", "production", "2"),
        403, "governed by the policy house", PROMOTE_V2,
    ),
    rpc(
        "governed alias, a look-alike", "POST registered-models/alias", V2 | {"alias": "Production"},
        lambda c: c.set_registered_model_alias("credit", "Production", "2"),
        403, "looks like alias:production",
    ),
    rpc(
        "governed alias, delete", "DELETE registered-models/alias", CREDIT | {"alias": "production"},
        lambda c: c.delete_registered_model_alias("credit", "production"),
        403, "governed by the policy house", "/requests/REQ-",
    ),
    rpc(
        "governed stage, enter", "POST model-versions/transition-stage", V2 | STAGE,
        lambda c: c.transition_model_version_stage("credit", "2", "Production"),
        403, "governed by the policy house", PROMOTE_V2,
    ),
    rpc(
        "governed stage, archive_existing", "POST model-versions/transition-stage",
        V2 | STAGE | {"archive_existing_versions": True},
        lambda c: c.transition_model_version_stage("credit", "2", "Production", archive_existing_versions=True),
        403, "governed by the policy house", PROMOTE_V2,
    ),
    rpc(
        "governed stage, leave", "POST model-versions/transition-stage", V1 | {"stage": "Archived"},
        lambda c: c.transition_model_version_stage("credit", "1", "Archived"),
        403, "governed by the policy house", "/requests/REQ-",
    ),
    rpc(
        "under review, alias", "POST registered-models/alias", {"name": "asked", "version": "1", "alias": "production"},
        lambda c: c.set_registered_model_alias("asked", "production", "1"),
        403, "governed by the policy house", "is under way", "/requests/REQ-",
    ),
    rpc(
        "tag of a model", "POST registered-models/set-tag", CREDIT | TAG,
        lambda c: c.set_registered_model_tag("credit", "approved_by", "me"),
        403, "looks like an approval", HELD, "/models/credit/",
    ),
    rpc(
        "tag of a version", "POST model-versions/set-tag", V2 | TAG,
        lambda c: c.set_model_version_tag("credit", "2", "approved_by", "me"),
        403, "looks like an approval", HELD, PROMOTE_V2,
    ),
    rpc(
        "tag of a new model", "POST registered-models/create", {"name": "new", "tags": [TAG]},
        lambda c: c.create_registered_model("new", {"approved_by": "me"}),
        403, "looks like an approval", "/models/",
    ),
    rpc(
        "tag of a new version", "POST model-versions/create", CREDIT | {"source": "models:/credit/1", "tags": [TAG]},
        lambda c: c.create_model_version("credit", "models:/credit/1", tags={"approved_by": "me"}),
        403, "looks like an approval", HELD, "/models/credit/",
    ),
    rpc(
        "rename of an approved model", "POST registered-models/rename", CREDIT | {"new_name": "other"},
        lambda c: c.rename_registered_model("credit", "other"),
        409, "is approved for", HELD, "/requests/REQ-",
    ),
    rpc(
        "rename of a model under review", "POST registered-models/rename", {"name": "asked", "new_name": "other"},
        lambda c: c.rename_registered_model("asked", "other"),
        409, "is open for asked", HELD, "/requests/REQ-",
    ),
    rpc(
        "delete an approved model", "DELETE registered-models/delete", CREDIT,
        lambda c: c.delete_registered_model("credit"),
        409, "is approved for", HELD, "/requests/REQ-",
    ),
    rpc(
        "delete a model under review", "DELETE registered-models/delete", {"name": "asked"},
        lambda c: c.delete_registered_model("asked"),
        409, "is open for asked", HELD, "/requests/REQ-",
    ),
    rpc(
        "delete an approved version", "DELETE model-versions/delete", V1,
        lambda c: c.delete_model_version("credit", "1"),
        409, "is approved for", HELD, "/requests/REQ-",
    ),
    rpc(
        "delete a version under review", "DELETE model-versions/delete", {"name": "asked", "version": "1"},
        lambda c: c.delete_model_version("asked", "1"),
        409, "is open for", HELD, "/requests/REQ-",
    ),
    rpc(
        "describe an approved version", "PATCH model-versions/update", V1 | {"description": "Good for all."},
        lambda c: c.update_model_version("credit", "1", "Good for all."),
        409, "is approved for", HELD, "/requests/REQ-",
    ),
]  # fmt: skip


@dataclass(frozen=True)
class World:
    """Who asks, what stands, and what a refusal must not change."""

    ada: Person
    approved: ModelVersion
    url: str

    def state(self) -> list[object]:
        return [
            list(RegisteredModel.objects.order_by("pk").values_list("name", "description", "deleted_at")),
            list(ModelVersion.objects.order_by("pk").values_list("number", "stage", "description", "deleted_at")),
            list(Alias.objects.order_by("pk").values_list("name", "version__number")),
            list(ModelTag.objects.values_list("key")),
            list(VersionTag.objects.values_list("key")),
        ]


@pytest.fixture
def world(
    live_server: LiveServer,
    settings: Settings,
    artifact_root: Path,
    keys_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    settings.PUBLIC_URL = live_server.url
    ensure_keys(keys_dir)
    make.policy()
    ada = person("ada", Role.CONTRIBUTOR)
    officers = [make.person("officer", Role.APPROVER), make.person("officer", Role.APPROVER)]
    credit = make.registered_model(ada.user, name="credit")
    approved = make.sealed_version(credit, ada.user)
    make.sealed_version(credit, ada.user)
    for target in ("alias:production", "stage:Production"):
        make.approve(make.finish_all(make.request(approved, ada.user, target)), officers)
    make.request(make.sealed_version(make.registered_model(ada.user, name="asked"), ada.user), ada.user)
    approved.refresh_from_db()
    assert (approved.stage, Alias.objects.get().version) == ("Production", approved)
    return World(ada, approved, live_server.url)


@pytest.fixture
def asked_for() -> Iterator[list[tuple[str, str]]]:
    """Method and path of each request that reaches the server."""
    found: list[tuple[str, str]] = []

    def note(environ: dict[str, str] | None = None, **_: object) -> None:
        if environ is not None:
            found.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))

    request_started.connect(note)
    yield found
    request_started.disconnect(note)


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """MLflow's client as people have it: with all its retries."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", world.ada.token)
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    return MlflowClient(world.url, world.url)


def test_each_door_refuses_over_the_wire_in_json(world: World) -> None:
    before = world.state()
    for door in DOORS:
        answer = Client(headers={"authorization": f"Bearer {world.ada.token}"}).generic(
            door.method, door.path, json.dumps(door.body), content_type="application/json"
        )
        assert answer.status_code == door.status, (door.name, answer.content)
        assert answer["Content-Type"] == "application/json", door.name
        told = json.loads(answer.content)
        assert set(told) == {"error_code", "message"}, door.name
        for part in door.parts:
            assert part in told["message"], (door.name, part, told["message"])
    assert world.state() == before


def test_each_door_refuses_the_client_in_words_and_is_asked_once(
    world: World, client: MlflowClient, asked_for: list[tuple[str, str]]
) -> None:
    before = world.state()
    codes = {403: "PERMISSION_DENIED", 409: "RESOURCE_CONFLICT"}
    for door in DOORS:
        asked_for.clear()
        with pytest.raises(MlflowException) as refused:
            door.act(client)
        assert refused.value.error_code == codes[door.status], door.name
        for part in door.parts:
            assert part in str(refused.value), (door.name, part, str(refused.value))
        assert asked_for.count((door.method, door.path)) == 1, (door.name, asked_for)
    assert world.state() == before


SEALED_DOORS: Final = [
    ("PUT", "artifacts/sealed/{model}/1/MLmodel"),
    ("DELETE", "artifacts/sealed/{model}/1/MLmodel"),
    ("PUT", "artifacts/sealed/{model}/1/new.txt"),
    ("DELETE", "artifacts/sealed/{model}/1"),
    ("PUT", "artifacts//sealed/{model}/1/MLmodel"),
    ("POST", "mpu/create/sealed/{model}/1/MLmodel"),
    ("POST", "mpu/complete/sealed/{model}/1/MLmodel"),
    ("POST", "mpu/abort/sealed/{model}/1/MLmodel"),
]


@pytest.mark.parametrize("prefix", ["/api", "/ajax-api"])
def test_nothing_is_written_below_a_sealed_version(world: World, prefix: str) -> None:
    read = Client(headers={"authorization": f"Bearer {world.ada.token}"})
    place = f"{FILES}/artifacts/sealed/{world.approved.model_id}/1/MLmodel"
    served = b"".join(read.get(place).streaming_content)  # type: ignore[attr-defined]
    for method, path in SEALED_DOORS:
        target = f"{prefix}{FILES.removeprefix('/api')}/{path.format(model=world.approved.model_id)}"
        answer = read.generic(method, target, b"{}", content_type="application/json")
        assert answer.status_code == 403, (method, path, answer.content)
        assert answer["Content-Type"] == "application/json"
        assert "never changed" in json.loads(answer.content)["message"]
        assert "Register a new version" in json.loads(answer.content)["message"]
    assert b"".join(read.get(place).streaming_content) == served  # type: ignore[attr-defined]


@pytest.mark.usefixtures("client")
def test_the_client_s_uploads_below_a_sealed_version_are_refused_at_once(
    world: World, asked_for: list[tuple[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {}")
    place: Any = MlflowArtifactsRepository(f"mlflow-artifacts:/sealed/{world.approved.model_id}/1", world.url)
    acts: list[tuple[str, Callable[[], object]]] = [
        ("PUT", lambda: place.log_artifact(str(tmp_path / "MLmodel"))),
        ("DELETE", lambda: place.delete_artifacts("MLmodel")),
    ]
    for method, act in acts:
        asked_for.clear()
        with pytest.raises((HTTPError, MlflowException), match="never changed"):
            act()
        assert [found for found, _ in asked_for] == [method]


def test_a_model_made_anew_under_a_freed_name_has_nothing_of_the_old_one(world: World, client: MlflowClient) -> None:
    officer = make.person("officer", Role.APPROVER)
    for permit in Permit.objects.filter(state="active"):
        permits.revoke(permit=permit, reason="Over.", by=make.actor(officer))
    catalog.delete_model(model=world.approved.model, by=world.ada.actor)
    again = make.registered_model(world.ada.user, name="credit")
    fresh = make.sealed_version(again, world.ada.user)
    with pytest.raises(MlflowException, match="alias production not found"):
        client.get_model_version_by_alias("credit", "production")
    with pytest.raises(MlflowException, match="governed by the policy house") as refused:
        client.set_registered_model_alias("credit", "production", str(fresh.number))
    assert f"/models/credit/versions/{fresh.number}/promote/" in str(refused.value)
    assert not Alias.objects.exists()


def test_the_description_of_the_model_stays_free_and_is_logged(world: World, client: MlflowClient) -> None:
    """It speaks of versions to come as well; what was reviewed is in the evidence, word by word."""
    assert client.update_registered_model("credit", "Also for cards.").description == "Also for cards."


def test_what_is_not_governed_stays_free(world: World, client: MlflowClient) -> None:
    client.set_registered_model_alias("credit", "candidate", "1")
    client.transition_model_version_stage("credit", "2", "Staging", archive_existing_versions=True)
    client.set_model_version_tag("credit", "1", "team", "risk")
    client.update_model_version("credit", "2", "Not approved yet.")
    client.delete_model_version("credit", "2")
    world.approved.refresh_from_db()
    assert world.approved.stage == "Production"


def test_an_unsealed_version_is_not_promoted_either(world: World, client: MlflowClient) -> None:
    pending = versions.register_version(model=world.approved.model, by=world.ada.actor, source="")
    with pytest.raises(MlflowException, match="governed by the policy house"):
        client.set_registered_model_alias("credit", "production", str(pending.number))
