"""Every method of the registry that the release's client has."""

import mlflow
from mlflow import MlflowClient

from tests.conformance.clients.suite.world import REQUIREMENTS, World, place, refused, scenario


@scenario
def registry_methods(world: World) -> None:
    client, old, name = world.client, world.named("before"), world.named("methods")
    client.called.clear()
    made = client.create_registered_model(old, {"team": "risk"}, "Cards")
    assert (made.name, made.description, made.tags) == (old, "Cards", {"team": "risk"})
    client.rename_registered_model(old, name)
    assert client.update_registered_model(name, "Other").description == "Other"
    client.set_registered_model_tag(name, "tier", "1")
    client.delete_registered_model_tag(name, "team")
    told = client.get_registered_model(name)
    assert (told.description, told.tags) == ("Other", {"tier": "1"}), told
    for _ in range(2):
        world.registered("methods")
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(world.estimator, **place("model"), **REQUIREMENTS)
    third = client.create_model_version(
        name, f"runs:/{run.info.run_id}/model", run.info.run_id, tags={"a": "b"}, description="third"
    )
    assert str(third.version) == "3", third
    assert client.copy_model_version(f"models:/{name}/3", name).version in {"4", 4}
    assert client.update_model_version(name, "2", "second").description == "second"
    client.set_model_version_tag(name, "2", "k", "v")
    assert client.get_model_version(name, "2").tags == {"k": "v"}
    client.delete_model_version_tag(name, "2", "k")
    assert client.get_model_version(name, "2").tags == {}
    client.set_registered_model_alias(name, "candidate", "2")
    found = client.get_model_version_by_alias(name, "candidate")
    assert (str(found.version), found.aliases) == ("2", ["candidate"]), found
    assert {alias: str(number) for alias, number in client.get_registered_model(name).aliases.items()} == {
        "candidate": "2"
    }
    client.delete_registered_model_alias(name, "candidate")
    assert client.get_model_version_stages(name, "1") == ["None", "Staging", "Production", "Archived"]
    client.transition_model_version_stage(name, "1", "Staging")
    moved = client.transition_model_version_stage(name, "2", "staging", archive_existing_versions=True)
    assert moved.current_stage == "Staging", moved
    latest = {one.current_stage: str(one.version) for one in client.get_latest_versions(name)}
    assert latest == {"Archived": "1", "Staging": "2", "None": "4"}, latest
    assert [str(one.version) for one in client.get_latest_versions(name, ["Staging"])] == ["2"]
    assert client.get_model_version_download_uri(name, "3").startswith("mlflow-artifacts:/")
    page = client.search_model_versions(f"name='{name}'", max_results=3, order_by=["version_number DESC"])
    rest = client.search_model_versions(
        f"name='{name}'", max_results=3, order_by=["version_number DESC"], page_token=page.token
    )
    assert [str(one.version) for one in [*page, *rest]] == ["4", "3", "2", "1"], [page, rest]
    models = client.search_registered_models(f"name LIKE '{world.prefix}-meth%' AND tags.tier = '1'")
    assert [one.name for one in models] == [name], models
    client.delete_model_version(name, "4")
    with refused("RESOURCE_DOES_NOT_EXIST", name):
        client.get_model_version(name, "4")
    client.delete_registered_model(name)
    with refused("RESOURCE_DOES_NOT_EXIST", name):
        client.get_registered_model(name)
    words = ("registered_model", "model_version", "latest_versions")
    there = {one for one in dir(MlflowClient) if one[0] != "_" and any(word in one for word in words)}
    there -= {one for one in there if "prompt" in one}
    assert there <= client.called, f"not called: {sorted(there - client.called)}"
