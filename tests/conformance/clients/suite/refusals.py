"""What is refused reaches the notebook as MLflow's exception, with the right code and the reason."""

import os
from typing import Any

import mlflow
from mlflow import MlflowClient

from tests.conformance.clients.suite.world import REQUIREMENTS, World, place, refused, scenario


@scenario
def each_error_has_its_code(world: World) -> None:
    client, name = world.client, world.registered("errors")
    client.create_registered_model(world.named("taken"))
    none, missing, bad = world.named("none"), "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"
    calls: list[tuple[str, str, list[Any]]] = [
        ("RESOURCE_ALREADY_EXISTS", "create_registered_model", [name]),
        ("RESOURCE_ALREADY_EXISTS", "rename_registered_model", [name, world.named("taken")]),
        (bad, "create_registered_model", [""]),
        (bad, "create_registered_model", ["a/b"]),
        (bad, "rename_registered_model", [name, "a:b"]),
        (missing, "rename_registered_model", [none, world.named("other")]),
        (missing, "get_registered_model", [none]),
        (missing, "update_registered_model", [none, "text"]),
        (missing, "delete_registered_model", [none]),
        (missing, "set_registered_model_tag", [none, "k", "v"]),
        (bad, "set_registered_model_tag", [name, "", "v"]),
        (missing, "set_registered_model_alias", [none, "candidate", "1"]),
        (missing, "set_registered_model_alias", [name, "candidate", "99"]),
        (bad, "set_registered_model_alias", [name, "v1", "1"]),
        (bad, "set_registered_model_alias", [name, "latest", "1"]),
        (bad, "get_model_version_by_alias", [name, "absent"]),
        (missing, "get_model_version_by_alias", [none, "candidate"]),
        (missing, "get_latest_versions", [none]),
        (bad, "get_latest_versions", [name, ["Nowhere"]]),
        (missing, "get_model_version", [name, "99"]),
        (bad, "get_model_version", [name, "one"]),
        (missing, "update_model_version", [name, "99", "text"]),
        (missing, "delete_model_version", [name, "99"]),
        (missing, "set_model_version_tag", [name, "99", "k", "v"]),
        (missing, "get_model_version_download_uri", [name, "99"]),
        (bad, "transition_model_version_stage", [name, "1", "Nowhere"]),
        (missing, "transition_model_version_stage", [name, "99", "Staging"]),
        (bad, "create_model_version", [name, "/etc", "e" * 32]),
        (bad, "create_model_version", [name, "s3://bucket/model", "e" * 32]),
        (missing, "create_model_version", [none, f"runs:/{'e' * 32}/m", "e" * 32]),
        (bad, "search_registered_models", ["name ~ 'x'"]),
        (bad, "search_model_versions", ["nonsense = 'x'"]),
        (bad, "search_model_versions", ["name = 'x'", 10, ["nonsense ASC"]]),
        # The client wraps this one itself.
        ("INTERNAL_ERROR", "copy_model_version", [f"models:/{none}/1", world.named("copied")]),
    ]
    for code, method, given in calls:
        try:
            with refused(code):
                getattr(client, method)(*given)
        except AssertionError as error:
            raise AssertionError(f"{method}{tuple(given)}: {error}") from None


@scenario
def a_governed_promotion_is_refused_in_words(world: World) -> None:
    client, name = world.client, world.registered("governed")
    address = f"{world.url}/models/{name}/versions/1/promote/"
    with refused("PERMISSION_DENIED", "governed by the policy model-promotion", "Ask for its promotion", address):
        client.set_registered_model_alias(name, "production", "1")
    with refused("PERMISSION_DENIED", "governed by the policy model-promotion", address):
        client.transition_model_version_stage(name, "1", "Production")
    with refused("PERMISSION_DENIED", "looks like an approval", address):
        client.set_model_version_tag(name, "1", "approved_by", "me")
    told = client.get_model_version(name, "1")
    assert (told.current_stage, told.aliases, told.tags) == ("None", [], {}), told


@scenario
def an_exempt_model_moves_freely(world: World) -> None:
    client, name = world.client, world.free
    with mlflow.start_run():
        mlflow.sklearn.log_model(world.estimator, **place("model"), registered_model_name=name, **REQUIREMENTS)
    number = max(int(one.version) for one in client.search_model_versions(f"name = '{name}'"))
    client.set_registered_model_alias(name, "production", str(number))
    client.transition_model_version_stage(name, str(number), "Production", archive_existing_versions=True)
    uris = [f"models:/{name}@production", f"models:/{name}/Production"]
    world.check_loads(uris, mlflow.sklearn.load_model, world.answers)


@scenario
def who_may_not_is_told(world: World) -> None:
    own = os.environ["MLFLOW_TRACKING_TOKEN"]
    try:
        os.environ["MLFLOW_TRACKING_TOKEN"] = world.reading
        MlflowClient().search_registered_models()
        with refused("PERMISSION_DENIED", "read"):
            MlflowClient().create_registered_model(world.named("never"))
        del os.environ["MLFLOW_TRACKING_TOKEN"]
        with refused("UNAUTHENTICATED", "MLFLOW_TRACKING_TOKEN"):
            MlflowClient().search_registered_models()
        os.environ["MLFLOW_TRACKING_TOKEN"] = "csn_nonsense.x"
        with refused("UNAUTHENTICATED"):
            MlflowClient().search_registered_models()
    finally:
        os.environ["MLFLOW_TRACKING_TOKEN"] = own
