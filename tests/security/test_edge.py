"""Ways around what the MLflow edge looks at: encodings that we and MLflow read differently, copies of what is not seen."""

from itertools import product
from urllib.parse import quote

import httpx
import pytest

from audit.actors import SYSTEM
from registry.models import ModelVersion
from registry.roles import Role
from registry.services import access, catalog, ingest
from tests.conformance.mlflow.conftest import Person, person, sealed
from tests.security.experiments import World, call, make_world, restrict, rpc, trace_info

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mallory(ada: Person) -> Person:
    """Another contributor."""
    del ada
    return person("mallory", Role.CONTRIBUTOR)


@pytest.fixture
def world(ada: Person, server: str, request: pytest.FixtureRequest) -> World:
    """Ada's, restricted."""
    world = make_world(server, ada, f"secret {request.node.name}"[:200])
    restrict(world, ada)
    return world


@pytest.mark.parametrize("charset", ["cp037", "cp500", "utf-16", "utf-7", "nonsense"])
@pytest.mark.parametrize(
    "named",
    [
        ("api/2.0/mlflow/runs/get", "run_id"),
        ("api/2.0/mlflow/artifacts/list", "run_id"),
        ("ajax-api/2.0/mlflow/metrics/get-history-bulk", "run_id"),
        ("api/2.0/mlflow/experiments/get", "experiment_id"),
        ("api/3.0/mlflow/traces/get", "trace_id"),
    ],
)
def test_no_charset_hides_what_a_query_names(
    mallory: Person, server: str, world: World, named: tuple[str, str], charset: str
) -> None:
    address, name = named
    value = {"run_id": world.run, "experiment_id": world.experiment, "trace_id": world.trace}[name]
    # The equals sign of EBCDIC, and the usual one: bytes that one of the two readers takes for name and value.
    for query in (f"{name}~{value}", f"{name}={value}"):
        answer = httpx.get(
            f"{server}/{address}?{query}",
            headers={"Authorization": f"Bearer {mallory.token}", "Content-Type": f"text/plain; charset={charset}"},
        )
        assert 400 <= answer.status_code < 500, answer.text
        assert world.run not in answer.text
        assert world.name not in answer.text


@pytest.mark.parametrize("address", ["2.0/mlflow/experiments/search?max_results=5", "3.0/mlflow/datasets/search"])
def test_the_head_of_a_page_that_is_looked_into(mallory: Person, server: str, world: World, address: str) -> None:
    del world
    answer = httpx.head(f"{server}/api/{address}", headers={"Authorization": f"Bearer {mallory.token}"})
    assert answer.status_code == 200


def test_the_head_by_name_tells_no_more_than_the_whole(mallory: Person, server: str, world: World) -> None:
    address = f"{server}/api/2.0/mlflow/experiments/get-by-name?experiment_name={quote(world.name)}"
    headers = {"Authorization": f"Bearer {mallory.token}"}
    assert httpx.head(address, headers=headers).status_code == httpx.get(address, headers=headers).status_code == 403


@pytest.mark.parametrize("release", ["2.0", "3.0"])
def test_no_tag_tells_where_a_trace_is_read_from(mallory: Person, server: str, world: World, release: str) -> None:
    """It would be read there: the server's disk, a restricted experiment, any address inside."""
    mine = rpc(server, mallory, "experiments/create", {"name": f"open {world.name}"[:300]})["experiment_id"]
    trace = f"tr-open-{world.run}"
    rpc(server, mallory, "traces", {"trace": {"trace_info": trace_info(trace, mine)}}, release="3.0")
    where = f"/ajax-api/{release}/mlflow/traces/{trace}/tags"
    places = ("file:///etc", f"mlflow-artifacts:/{world.artifacts}")
    keys = ("mlflow.artifactLocation", "mlflow.trace.spansLocation", "mlflow.trace.archiveLocation")
    for key, place in product(keys, places):
        answer = call(server, mallory, "PATCH", where, json={"key": key, "value": place})
        assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert call(server, mallory, "DELETE", where, json={"key": keys[0]}).status_code == 403
    assert call(server, mallory, "PATCH", where, json={"key": "team", "value": "credit"}).status_code == 200
    odd = {"experiment_id": mine, "timestamp_ms": 1, "tags": [{"key": [keys[0]], "value": "file:///etc"}]}
    made = call(server, mallory, "POST", "/api/2.0/mlflow/traces", json=odd)
    assert made.status_code == 200
    assert "file:" not in made.text


def test_no_door_copies_a_version_that_is_not_seen(ada: Person, server: str) -> None:
    """REST takes a source too: it is judged by who registers, when it is read."""
    secret = sealed(catalog.create_model(name="secret", by=ada.actor), ada.actor)
    mine = catalog.create_model(name="open", by=ada.actor)
    mallory = person("mallory", None)
    team = access.create_team(name="one model", by=SYSTEM)
    access.add_member(team=team, user=mallory.user, by=SYSTEM)
    access.grant_role(team=team, role=Role.CONTRIBUTOR, model=mine, by=SYSTEM)

    def registered(who: Person, source: str) -> ModelVersion:
        answer = call(server, who, "POST", "/api/v1/models/open/versions", json={"source": source})
        assert answer.status_code == 201, answer.text
        version = ModelVersion.objects.get(model=mine, number=answer.json()["number"])
        ingest.ingest(version.pk)
        version.refresh_from_db()
        return version

    for source in ("models:/secret/1", f"mlflow-artifacts:/sealed/{secret.model_id}/1", "models:/nothing/1"):
        version = registered(mallory, source)
        assert (version.status, version.manifest_id) == (ModelVersion.Status.FAILED, None)
        assert "secret" not in version.status_message.replace(source, "")
    assert registered(ada, "models:/secret/1").manifest_id == secret.manifest_id


@pytest.mark.parametrize(
    "given",
    [
        {"tags": [{"key": ["x"], "value": "y"}]},
        {"tags": [{"key": "a", "value": {"b": 1}}]},
        {"tags": ["x"]},
        {"tags": {"key": "x"}},
        {"run_name": ["x"]},
        {"end_time": {}, "user_id": "grace", "userId": "grace"},
        {"tags": [{"key": "mlflow.user", "value": "grace"}]},
    ],
)
def test_nothing_unreadable_keeps_a_run_from_being_stamped(ada: Person, server: str, given: dict[str, object]) -> None:
    """MLflow passes over what it cannot read, with all that stands behind it: who trained is said first."""
    answer = call(server, ada, "POST", "/api/2.0/mlflow/runs/create", json={**given, "experiment_id": "0"})
    assert answer.status_code in {200, 400}, answer.text
    if answer.status_code == 200:
        run = answer.json()["run"]
        assert run["info"]["user_id"] == "ada"
        assert {"key": "mlflow.user", "value": "ada"} in run["data"]["tags"]


def test_nobody_closes_a_folder_of_somebody_else(ada: Person, mallory: Person, server: str) -> None:
    """An experiment's owner restricts it with its folder: so the folder is not another experiment's."""
    folder = f"mlflow-artifacts:/team-{ada.user.pk}-{mallory.user.pk}"
    rpc(server, ada, "experiments/create", {"name": f"{folder} of ada", "artifact_location": f"{folder}/credit"})
    taken = [folder, f"{folder}/credit", f"{folder}/credit/v2", "mlflow-artifacts:/0", "mlflow-artifacts:/99999/models"]
    for number, place in enumerate(taken):
        given = {"name": f"{folder} {number}", "artifact_location": place}
        answer = call(server, mallory, "POST", "/api/2.0/mlflow/experiments/create", json=given)
        assert answer.status_code == 400, answer.text
        assert "belongs to another experiment" in answer.text
    for who, place in ((mallory, f"{folder}/credit-2"), (ada, f"{folder}/credit/v2")):
        rpc(server, who, "experiments/create", {"name": place, "artifact_location": place})
