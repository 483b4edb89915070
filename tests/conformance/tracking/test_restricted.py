"""A restricted experiment stays closed on MLflow's pages too: by GraphQL, by files, by search."""

import json
from typing import Any

import pytest

from registry.roles import Role
from tests.conformance.mlflow.conftest import Person, person
from tests.conformance.tracking.test_pages import AJAX, Browser, content, signed_in
from tests.security.experiments import World, make_world, restrict

pytestmark = pytest.mark.django_db(transaction=True)


def answers(browser: Browser, world: World) -> dict[str, Any]:
    """Each way to see something of the experiment, and what came."""

    def ask(operation: str, variables: object) -> Any:
        return browser.post("/mlflow/graphql", {"operationName": operation, "query": "", "variables": variables})

    history = {"data": {"runIds": [world.run], "metricKey": "loss"}}
    return {
        "run": ask("GetRun", {"data": {"runId": world.run}}),
        "runs": ask("SearchRuns", {"data": {"experimentIds": ["0", world.experiment], "filter": ""}}),
        "history": ask("GetMetricHistoryBulkInterval", history),
        "experiment": ask("MlflowGetExperimentQuery", {"input": {"experimentId": world.experiment}}),
        "file": browser.get("/mlflow/get-artifact", run_id=world.run, path="notes.txt"),
        "rest run": browser.get(f"{AJAX}/runs/get", run_id=world.run),
        "rest search": browser.post(f"{AJAX}/runs/search", {"experiment_ids": [world.experiment]}),
    }


def test_who_may_not_see_an_experiment_sees_nothing_of_it_on_the_pages(server: str, ada: Person) -> None:
    world = make_world(server, ada, "secret plans")
    restrict(world, ada)
    eve = person("eve", Role.CONTRIBUTOR)
    for name, answer in answers(signed_in(ada.user), world).items():
        assert answer.status_code == 200, (name, content(answer))
    for name, answer in answers(signed_in(eve.user), world).items():
        told = json.loads(content(answer))
        assert (answer.status_code, told["error_code"]) == (403, "PERMISSION_DENIED"), name
        assert "secret plans" not in json.dumps(told), name
    trace = signed_in(eve.user).get("/mlflow/ajax-api/3.0/mlflow/get-trace-artifact", request_id=world.trace)
    assert trace.status_code == 403
    listed = json.loads(content(signed_in(eve.user).post(f"{AJAX}/experiments/search", {"max_results": 100})))
    assert world.experiment not in {one["experiment_id"] for one in listed.get("experiments", [])}
