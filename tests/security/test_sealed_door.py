"""What a version was sealed from stays as it was, by every address that leads to the tracking process."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from registry import gates
from registry.models import ModelVersion
from registry.roles import Role
from registry.services import ingest, versions
from registry.tracking import NotThere, TrackingClient
from tests.conformance.mlflow.conftest import MLMODEL, Person, person
from tests.factories.audit import by_hand
from tests.security.experiments import World, call, make_world, restrict, rpc
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)
FILES = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture
def world(ada: Person, server: str, request: pytest.FixtureRequest) -> World:
    """Ada's, with an MLflow model in the run's artifacts and another as a logged model."""
    world = make_world(server, ada, f"work {request.node.name}"[:200])
    for folder in (f"{world.artifacts}/model", f"{world.experiment}/models/{world.model}/artifacts"):
        stored = call(server, ada, "PUT", f"{FILES}/{folder}/MLmodel", content=MLMODEL)
        assert stored.status_code == 200, stored.text
    rpc(server, ada, "registered-models/create", {"name": "credit"})
    return world


def register(server: str, who: Person, given: dict[str, Any]) -> ModelVersion:
    made = rpc(server, who, "model-versions/create", {"name": "credit", **given})["model_version"]
    row = ModelVersion.objects.get(model__name="credit", number=int(made["version"]))

    def done() -> bool:
        row.refresh_from_db()
        return row.status != ModelVersion.Status.PENDING

    until(done, what="the version to be sealed or to fail", seconds=60)
    return row


def from_run(world: World) -> dict[str, Any]:
    return {"source": f"runs:/{world.run}/model", "run_id": world.run}


def from_model(world: World) -> dict[str, Any]:
    return {"source": f"models:/{world.model}", "model_id": world.model}


def test_nothing_below_a_sealed_path_is_written(
    ada: Person, server: str, world: World, worker: Callable[[], int]
) -> None:
    row = register(server, ada, from_run(world))
    assert (row.status, row.artifact_path, row.experiment_id) == ("READY", f"{world.artifacts}/model", world.experiment)
    below = f"{world.artifacts}/model"
    parts = {"path": "MLmodel", "num_parts": 1, "upload_id": "u"}
    tries: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", f"{FILES}/{below}/MLmodel", {"content": b"x"}),
        ("PUT", f"/ajax-api/2.0/mlflow-artifacts/artifacts/{below}//new.txt", {"content": b"x"}),
        ("PUT", f"{FILES}/{below}", {"content": b"x"}),
        *(("DELETE", f"{FILES}/{place}", {}) for place in (f"{below}/MLmodel", below, world.artifacts, world.experiment)),
        ("POST", f"/api/2.0/mlflow-artifacts/mpu/create/{below}", {"json": parts}),
        ("POST", f"/api/2.0/mlflow-artifacts/mpu/create/{world.artifacts}", {"json": {**parts, "path": "any/where/model"}}),
        ("POST", f"/api/2.0/mlflow-artifacts/mpu/complete/{below}", {"json": parts}),
        ("POST", "/api/2.0/mlflow/artifacts/presigned-upload-url", {"json": {"run_id": world.run, "path": "model/MLmodel"}}),
    ]  # fmt: skip
    for method, address, more in tries:
        answer = call(server, ada, method, address, **more)
        assert answer.status_code == 409, (method, address, answer.text)
        said = answer.json()
        assert said["error_code"] == "RESOURCE_CONFLICT"
        assert "credit v1" in said["message"]
        assert "delete version 1 first" in said["message"]
    assert call(server, ada, "GET", f"{FILES}/{below}/MLmodel").content == MLMODEL
    beside = f"{FILES}/{world.artifacts}/model2/MLmodel"
    assert call(server, ada, "PUT", beside, content=b"x").status_code == 200
    assert call(server, ada, "DELETE", beside).status_code == 200
    del worker


def test_what_it_came_from_is_not_deleted_before_it(
    ada: Person, server: str, world: World, worker: Callable[[], int]
) -> None:
    by_run, by_model = register(server, ada, from_run(world)), register(server, ada, from_model(world))
    assert by_model.artifact_path == f"{world.experiment}/models/{world.model}/artifacts"
    deletions: list[tuple[str, str, dict[str, Any]]] = [
        ("DELETE", f"/api/2.0/mlflow/logged-models/{world.model}", {}),
        ("POST", "/api/2.0/mlflow/runs/delete", {"json": {"run_id": world.run}}),
        ("POST", "/api/2.0/mlflow/experiments/delete", {"json": {"experiment_id": world.experiment}}),
        ("POST", "/ajax-api/2.0/mlflow/experiments/delete", {"json": {"experimentId": world.experiment}}),
    ]
    for method, address, more in deletions:
        answer = call(server, ada, method, address, **more)
        assert answer.status_code == 409, (address, answer.text)
        assert "sealed from" in answer.json()["message"]
    put = f"{FILES}/{by_model.artifact_path}/MLmodel"
    assert call(server, ada, "PUT", put, content=b"x").status_code == 409
    versions.delete_version(version=by_run, by=ada.actor)
    versions.delete_version(version=by_model, by=ada.actor)
    assert call(server, ada, "PUT", put, content=b"x").status_code == 200
    for method, address, more in deletions[:3]:
        assert call(server, ada, method, address, **more).status_code == 200
    del worker


APPROVED = {"key": "approved_by", "value": "nobody"}


@pytest.fixture
def real_gate(ada: Person, settings: Settings) -> None:
    """The gatekeeper of the product."""
    del ada
    settings.GATEKEEPER = "governance.gatekeeper.Gatekeeper"
    gates.gatekeeper.cache_clear()


@pytest.mark.usefixtures("real_gate")
def test_no_tag_that_looks_like_an_approval(ada: Person, server: str, world: World, worker: Callable[[], int]) -> None:
    del worker
    models, runs = "/api/2.0/mlflow/logged-models", "/api/2.0/mlflow/runs"
    on_models: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", models, {"json": {"experiment_id": world.experiment, "name": "m", "tags": [APPROVED]}}),
        ("PATCH", f"{models}/{world.model}/tags", {"json": {"tags": [{"key": "stage", "value": "x"}, APPROVED]}}),
        ("DELETE", f"{models}/{world.model}/tags/approved_by", {}),
    ]
    on_runs: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", f"{runs}/set-tag", {"json": {"run_id": world.run, **APPROVED}}),
        ("POST", f"{runs}/log-batch", {"json": {"run_id": world.run, "tags": [APPROVED]}}),
        ("POST", f"{runs}/delete-tag", {"json": {"run_id": world.run, "key": "approved_by"}}),
    ]

    def statuses(calls: list[tuple[str, str, dict[str, Any]]]) -> list[int]:
        return [call(server, ada, method, address, **more).status_code for method, address, more in calls]

    assert statuses(on_models) == [403, 403, 403]
    assert statuses(on_runs) == [200, 200, 200]
    for given in (from_run(world), from_model(world)):
        assert register(server, ada, given).status == "READY"
    assert statuses(on_models) == [403, 403, 403]
    assert statuses(on_runs) == [403, 403, 403]
    free = {"json": {"tags": [{"key": "stage", "value": "x"}]}}
    assert call(server, ada, "PATCH", f"{models}/{world.model}/tags", **free).status_code == 200


def test_a_restricted_experiment_is_not_registered_from_by_who_may_not_see_it(
    ada: Person, server: str, world: World, worker: Callable[[], int]
) -> None:
    del worker
    restrict(world, ada)
    mallory = person("mallory", Role.CONTRIBUTOR)
    for given in (from_run(world), from_model(world)):
        row = register(server, mallory, given)
        assert row.status == "FAILED_REGISTRATION"
        assert "is restricted, and mallory may not see it" in row.status_message
    assert register(server, ada, from_run(world)).status == "READY"


def test_versions_sealed_before_it_was_kept_are_located_once(
    ada: Person, server: str, world: World, worker: Callable[[], int]
) -> None:
    del worker
    rows = [register(server, ada, from_run(world)), register(server, ada, from_model(world))]
    known = {row.pk: (row.artifact_path, row.experiment_id) for row in rows}
    with_trigger_off(rows)
    assert call(server, ada, "PUT", f"{FILES}/{world.artifacts}/model/MLmodel", content=b"x").status_code == 409
    assert ingest.locate() == 2
    assert ingest.locate() == 0
    for row in rows:
        row.refresh_from_db()
        assert (row.artifact_path, row.experiment_id) == known[row.pk]
    with_trigger_off(rows[:1], run_id="0" * 32, source=f"runs:/{'0' * 32}/model")
    assert ingest.locate() == 1
    rows[0].refresh_from_db()
    assert rows[0].artifact_path == ""
    with TrackingClient() as tracking, pytest.raises(NotThere):
        tracking.run("0" * 32)


def with_trigger_off(rows: list[ModelVersion], **columns: str) -> None:
    """As if they had been sealed by an earlier release."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE registry_modelversion DISABLE TRIGGER keep_sealed")
    with by_hand():
        ModelVersion.objects.filter(pk__in=[row.pk for row in rows]).update(
            artifact_path=None, experiment_id=None, **columns
        )
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE registry_modelversion ENABLE ALWAYS TRIGGER keep_sealed")
