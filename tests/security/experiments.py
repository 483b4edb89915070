"""A restricted experiment with something of everything in it, and somebody who is not to see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from registry.models import Experiment
from registry.services import experiments as verbs
from tests.conformance.mlflow.conftest import Person


def call(server: str, person: Person, method: str, address: str, **more: Any) -> httpx.Response:
    """One request with the person's token."""
    headers = {"Authorization": f"Bearer {person.token}", "Content-Type": "application/json"}
    return httpx.request(method, f"{server}{address}", headers=headers, timeout=30, **more)


def rpc(server: str, person: Person, name: str, given: Mapping[str, Any], *, release: str = "2.0") -> dict[str, Any]:
    """One POST that must succeed."""
    answer = call(server, person, "POST", f"/api/{release}/mlflow/{name}", json=dict(given))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@dataclass(frozen=True)
class World:
    """Ids of what is in one experiment."""

    experiment: str
    name: str
    run: str
    model: str
    trace: str
    dataset: str
    artifacts: str

    def row(self) -> Experiment:
        """What we know of it."""
        return Experiment.objects.get(tracking_id=self.experiment)


def make_world(server: str, owner: Person, name: str) -> World:
    """An experiment with a run, a logged model, a trace, an evaluation data set and an artifact, all by ``owner``."""
    experiment = rpc(server, owner, "experiments/create", {"name": name})["experiment_id"]
    run = rpc(server, owner, "runs/create", {"experiment_id": experiment})["run"]["info"]
    made = {"experiment_id": experiment, "name": "model", "source_run_id": run["run_id"]}
    model = rpc(server, owner, "logged-models", made)["model"]["info"]
    trace_id = f"tr-{run['run_id']}"
    rpc(server, owner, "traces", {"trace": {"trace_info": trace_info(trace_id, experiment)}}, release="3.0")
    dataset = rpc(
        server, owner, "datasets/create", {"name": name, "experiment_ids": [experiment]}, release="3.0"
    )["dataset"]["dataset_id"]  # fmt: skip
    path = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
    stored = call(
        server, owner, "PUT", f"/api/2.0/mlflow-artifacts/artifacts/{path}/notes.txt", content=b"secret plans"
    )
    assert stored.status_code == 200, stored.text
    return World(experiment, name, run["run_id"], model["model_id"], trace_id, dataset, path)


def trace_info(trace_id: str, experiment: str, **more: Any) -> dict[str, Any]:
    """A trace as MLflow 3's client writes it."""
    return {
        "trace_id": trace_id,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}},
        "request_time": "2026-11-21T12:00:00Z",
        "execution_duration": "1s",
        "state": "OK",
        **more,
    }


def restrict(world: World, owner: Person) -> None:
    """Close it."""
    verbs.restrict_experiment(experiment=world.row(), restricted=True, by=owner.actor)
