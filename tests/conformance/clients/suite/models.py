"""Log, register, load: by version, alias, stage and ``latest``."""

import importlib
from typing import Any

import mlflow
import numpy as np

from tests.conformance.clients.suite.world import REQUIREMENTS, World, addresses, place, refused, scenario


def live(world: World, name: str) -> list[str]:
    """Give the newest version an alias and a stage; every address of it."""
    [version] = world.client.search_model_versions(f"name = '{name}'")
    assert version.status == "READY", version
    world.client.set_registered_model_alias(name, "candidate", version.version)
    world.client.transition_model_version_stage(name, version.version, "Staging")
    return addresses(name, version.version)


@scenario
def sklearn_model(world: World) -> None:
    name = world.registered("sklearn")
    uris = live(world, name)
    world.check_loads(uris, mlflow.sklearn.load_model, world.answers)
    world.check_loads(uris[:1], mlflow.pyfunc.load_model, world.answers)


@scenario
def pyfunc_model(world: World) -> None:
    class Doubling(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined,misc]
        """A model of somebody's own code; of a class in here the code itself travels, as a pickle."""

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return np.asarray(model_input)[:, 0] * 2

    name = world.named("pyfunc")
    with mlflow.start_run():
        mlflow.pyfunc.log_model(**place("model"), python_model=Doubling(), registered_model_name=name, **REQUIREMENTS)
    world.check_loads(live(world, name), mlflow.pyfunc.load_model, world.rows["age"] * 2)


@scenario
def lightgbm_model(world: World) -> None:
    lightgbm = importlib.import_module("lightgbm")  # the development environment has none

    name = world.named("lightgbm")
    booster = lightgbm.LGBMClassifier(n_estimators=5, learning_rate=0.9, min_child_samples=2, verbose=-1, n_jobs=1)
    booster.fit(world.rows, world.answers)
    with mlflow.start_run():
        mlflow.lightgbm.log_model(booster, **place("model"), registered_model_name=name, **REQUIREMENTS)
    uris = live(world, name)
    world.check_loads(uris, mlflow.lightgbm.load_model, booster.predict(world.rows))
    world.check_loads(uris[:1], mlflow.pyfunc.load_model, booster.predict(world.rows))


@scenario
def register_model_of_a_run(world: World) -> None:
    name = world.named("registered")
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(world.estimator, **place("classifier"), **REQUIREMENTS)
    first = mlflow.register_model(f"runs:/{run.info.run_id}/classifier", name, tags={"team": "risk"})
    second = mlflow.register_model(info.model_uri, name)
    assert [str(one.version) for one in (first, second)] == ["1", "2"]
    told = world.client.get_model_version(name, "1")
    assert (told.status, told.run_id, told.tags) == ("READY", run.info.run_id, {"team": "risk"}), told
    world.check_loads([f"models:/{name}/1", f"models:/{name}/2"], mlflow.sklearn.load_model, world.answers)


@scenario
def what_cannot_be_sealed_fails_with_the_reason(world: World) -> None:
    name = world.named("failing")
    with mlflow.start_run() as run:
        mlflow.log_text("no model", "notes/readme.txt")
    world.client.create_registered_model(name)
    with refused("INTERNAL_ERROR", "FAILED_REGISTRATION", "no MLmodel file"):
        world.client.create_model_version(name, f"{run.info.artifact_uri}/notes", run.info.run_id)
    told = world.client.get_model_version(name, "1")
    assert told.status == "FAILED_REGISTRATION", told
    assert "no MLmodel file" in told.status_message, told.status_message
    with refused("RESOURCE_CONFLICT", "no MLmodel file"):
        mlflow.sklearn.load_model(f"models:/{name}/1")


@scenario
def copy_model_version(world: World) -> None:
    origin, copy = world.registered("origin"), world.named("copy")
    made = world.client.copy_model_version(f"models:/{origin}/1", copy)
    assert (made.name, str(made.version)) == (copy, "1"), made
    assert world.client.get_model_version(copy, "1").status == "READY"
    world.check_loads([f"models:/{copy}/1"], mlflow.sklearn.load_model, world.answers)
