"""A restricted experiment is not seen, and not written to, by any address that leads to the tracking process."""

from typing import Any

import httpx
import mlflow
import orjson
import pytest
from django.contrib.auth.models import Group
from mlflow.exceptions import MlflowException

from audit.actors import SYSTEM
from registry.mlflow.codec import camel
from registry.mlflow.proxy.addresses import ADDRESSES, Address
from registry.roles import Role
from registry.services import access
from registry.services import experiments as verbs
from tests.conformance.mlflow.conftest import Person, person
from tests.security.experiments import World, call, make_world, restrict, rpc, trace_info

pytestmark = pytest.mark.django_db(transaction=True)
FILES = "/api/2.0/mlflow-artifacts/artifacts"


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


def naming(world: World, place: str) -> Any:
    """The value that stands at a place."""
    last = place.rpartition(".")[2].removesuffix("[]").removesuffix("s")
    return {
        "experiment_id": world.experiment, "run_id": world.run, "run_uuid": world.run, "source_run_id": world.run,
        "model_id": world.model, "trace_id": world.trace, "request_id": world.trace,
    }[last]  # fmt: skip


def document(place: str, value: str, *, camels: bool) -> dict[str, Any]:
    """A JSON object that holds the value at a place."""
    held: Any = value
    for step in reversed(place.split(".")):
        name = step.removesuffix("[]")
        held = {camel(name) if camels else name: [held] if step.endswith("[]") else held}
    found: dict[str, Any] = held
    return found


def ways(address: Address) -> list[str]:
    """Where an address names something: places, or "" for a part of the address itself."""
    places = [*address.experiments, *address.runs, *address.models, *address.shown_models, *address.traces]
    parted = any(part in address.name for part in ("{model}", "{trace}", "{dataset}"))
    return [*places, *([""] if parted else [])]


CASES = [(address, place) for address in ADDRESSES for place in ways(address)]


def attempt(server: str, who: Person, world: World, address: Address, place: str, *, camels: bool) -> httpx.Response:
    """Call it, naming something of the world at that place."""
    name = address.name.format(
        model=world.model, trace=world.trace, dataset=world.dataset, key="stage", assessment="a-1"
    )
    prefix = "ajax-api" if camels else "api"
    where = f"/{prefix}/{address.release}/mlflow/{name}"
    if address.method == "GET":
        query = {place.removesuffix("[]"): naming(world, place)} if place else {}
        return call(server, who, "GET", where, params=query)
    given = document(place, naming(world, place), camels=camels) if place else {}
    return call(server, who, address.method, where, json=given)


def test_every_address_refuses_in_every_spelling(ada: Person, mallory: Person, server: str, world: World) -> None:
    passed = []
    for address, place in CASES:
        for camels in (False, True):
            answer = attempt(server, mallory, world, address, place, camels=camels)
            message = answer.json().get("message", "") if answer.status_code == 403 else ""
            if (
                answer.status_code != 403
                or "restricted" not in message
                or "ada" not in message
                or world.name in message
            ):
                passed.append(
                    (address.method, address.release, address.name, place, camels, answer.status_code, answer.text[:80])
                )
    assert not passed, passed
    assert len(CASES) > 80
    run = call(server, ada, "GET", f"/api/2.0/mlflow/runs/get?run_id={world.run}").json()["run"]
    assert run["info"]["lifecycle_stage"] == "active"


def test_its_owner_and_the_roles_above_it_pass_and_others_read_the_reason(
    ada: Person, mallory: Person, server: str, world: World
) -> None:
    auditor, boss = person("olga", Role.AUDITOR), person("boss", Role.ADMINISTRATOR)
    reading = [(address, place) for address, place in CASES if address.reads]
    for who in (ada, auditor, boss):
        for address, place in reading:
            answer = attempt(server, who, world, address, place, camels=False)
            assert answer.status_code != 403, (who.user.username, address.name, answer.text)
    tag = {"run_id": world.run, "key": "k", "value": "v"}
    assert call(server, ada, "POST", "/api/2.0/mlflow/runs/set-tag", json=tag).status_code == 200
    assert call(server, auditor, "POST", "/api/2.0/mlflow/runs/set-tag", json=tag).status_code == 403
    del mallory


def test_a_team_that_may_read_reads_and_does_not_write(ada: Person, mallory: Person, server: str, world: World) -> None:
    team = Group.objects.get(name="team of mallory")
    verbs.grant_experiment(experiment=world.row(), team=team, access="read", by=ada.actor)
    get, tag = f"/api/2.0/mlflow/runs/get?run_id={world.run}", {"run_id": world.run, "key": "k", "value": "v"}
    assert call(server, mallory, "GET", get).status_code == 200
    assert call(server, mallory, "POST", "/api/2.0/mlflow/runs/set-tag", json=tag).status_code == 403
    verbs.grant_experiment(experiment=world.row(), team=team, access="write", by=ada.actor)
    assert call(server, mallory, "POST", "/api/2.0/mlflow/runs/set-tag", json=tag).status_code == 200
    verbs.revoke_experiment(experiment=world.row(), team=team, by=ada.actor)
    assert call(server, mallory, "GET", get).status_code == 403


@pytest.mark.parametrize("spelt", ["00{}", "+{}", " {}", "{}.0", "{}\x00"])
def test_no_other_spelling_of_an_id_is_that_experiment(mallory: Person, server: str, world: World, spelt: str) -> None:
    given = spelt.format(world.experiment)
    for answer in (
        call(server, mallory, "GET", "/api/2.0/mlflow/experiments/get", params={"experiment_id": given}),
        call(server, mallory, "POST", "/api/2.0/mlflow/runs/search", json={"experiment_ids": [given]}),
        call(server, mallory, "POST", "/api/2.0/mlflow/runs/create", json={"experiment_id": given}),
    ):
        assert answer.status_code == 400, answer.text


def test_a_request_that_is_read_two_ways_is_read_one_way(
    mallory: Person, ada: Person, server: str, world: World
) -> None:
    """Doubled keys, both spellings, a body beside a GET, a query beside a POST, a text for a list: never the second one."""
    open_run = rpc(server, ada, "runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
    get = "/api/2.0/mlflow/runs/get"
    hidden, other, search = f'"{world.run}"', world.experiment, "/api/2.0/mlflow/runs/search"
    metric = {"key": "m", "value": 1, "timestamp": 1, "modelId": world.model}
    tries = [
        call(server, mallory, "GET", f"{get}?run_id={open_run}&run_id={world.run}"),
        call(server, mallory, "GET", f"{get}?run_id={world.run}&run_id={open_run}"),
        call(server, mallory, "GET", f"{get}?run_id={open_run}&run_uuid={world.run}"),
        call(server, mallory, "GET", f"{get}?run_id={open_run}&runUuid={world.run}"),
        call(server, mallory, "GET", get, content=f'{{"run_id": {hidden}}}'),
        call(server, mallory, "GET", f"{get}?x=1", content=f'{{"run_id": {hidden}}}'),
        call(server, mallory, "POST", search, content=f'{{"experiment_ids": ["0"], "experimentIds": ["{other}"]}}'),
        call(server, mallory, "POST", search, json={"experiment_ids": other}),
        call(server, mallory, "POST", search, json=[{"experiment_ids": [other]}]),
        call(server, mallory, "POST", search, content=orjson.dumps(f'{{"experiment_ids": ["{other}"]}}')),
        call(server, mallory, "POST", "/api/2.0/mlflow/runs/log-batch", json={"run_id": open_run, "metrics": [metric]}),
        call(server, mallory, "HEAD", f"{get}?run_id={world.run}"),
    ]  # fmt: skip
    assert [answer.status_code for answer in tries if answer.is_success] == []
    assert all(world.name not in answer.text and "secret" not in answer.text for answer in tries)
    doubled = f'{{"run_id": {hidden}, "run_id": "{open_run}", "key": "k", "value": "v"}}'
    assert call(server, mallory, "POST", "/api/2.0/mlflow/runs/set-tag?run_id=" + world.run, content=doubled).is_success
    tags = call(server, ada, "GET", f"{get}?run_id={world.run}").json()["run"]["data"].get("tags", [])
    assert not [tag for tag in tags if tag["key"] == "k"]


def test_it_is_left_out_of_searches_whose_pages_go_on(ada: Person, mallory: Person, server: str, world: World) -> None:
    for number in range(5):
        made = make_world(server, ada, f"{world.name} {number}")
        if number % 2:
            restrict(made, ada)
    prefix = {"filter": f"name LIKE '{world.name}%'", "order_by": ["name ASC"]}

    def walk(who: Person, method: str) -> list[str]:
        found: list[str] = []
        token = ""
        for _ in range(20):
            asked = {**prefix, "max_results": 1, "page_token": token}
            more: dict[str, Any] = {"params": asked} if method == "GET" else {"json": asked}
            page = call(server, who, method, "/api/2.0/mlflow/experiments/search", **more).json()
            found += [experiment["name"] for experiment in page.get("experiments", [])]
            token = page.get("next_page_token", "")
            assert page.get("experiments") or not token
            if not token:
                break
        return found

    for method in ("GET", "POST"):
        assert walk(mallory, method) == [f"{world.name} {number}" for number in (0, 2, 4)]
        assert len(walk(ada, method)) == 6
    found = call(
        server, mallory, "POST", "/api/3.0/mlflow/datasets/search", json={"filter_string": f"name LIKE '{world.name}%'"}
    )
    assert sorted(one["name"] for one in found.json()["datasets"]) == [f"{world.name} {number}" for number in (0, 2, 4)]


def test_by_its_name_it_is_refused_in_words(mallory: Person, ada: Person, server: str, world: World) -> None:
    where = "/api/2.0/mlflow/experiments/get-by-name"
    answer = call(server, mallory, "GET", where, params={"experiment_name": world.name})
    assert answer.status_code == 403
    assert "restricted" in answer.json()["message"]
    assert (
        call(server, ada, "GET", where, params={"experiment_name": world.name}).json()["experiment"]["name"]
        == world.name
    )
    assert call(server, mallory, "GET", where, params={"experiment_name": "none such"}).status_code == 404


def test_its_artifacts_are_not_read_or_written(mallory: Person, ada: Person, server: str, world: World) -> None:
    file = f"{FILES}/{world.artifacts}/notes.txt"
    outside = world.artifacts.split("/")
    for method, address in [
        ("GET", file), ("GET", f"{FILES}//{world.artifacts}//notes.txt"), ("PUT", file), ("DELETE", file),
        ("GET", f"{FILES}?path={world.artifacts}"),
        ("GET", f"{FILES}?path={outside[0]}"), ("DELETE", f"{FILES}/{outside[0]}"), ("PUT", f"{FILES}/{outside[0]}/x"),
        ("GET", f"/api/2.0/mlflow-artifacts/presigned/{world.artifacts}/notes.txt"),
    ]:  # fmt: skip
        answer = call(server, mallory, method, address, content=b"x" if method == "PUT" else None)
        assert answer.status_code == 403, (method, address, answer.text)
    for verb in ("create", "complete", "abort"):
        parts = call(
            server,
            mallory,
            "POST",
            f"/api/2.0/mlflow-artifacts/mpu/{verb}/{world.artifacts}",
            json={"path": "any/notes.txt", "num_parts": 1, "upload_id": "u"},
        )
        assert parts.status_code == 403, parts.text
    assert call(server, mallory, "GET", f"{FILES}?path={outside[0]}&path=0").status_code == 400
    assert call(server, mallory, "GET", f"{FILES}/{world.artifacts}/../artifacts/notes.txt").status_code in {400, 403}
    assert call(server, ada, "GET", file).content == b"secret plans"
    elsewhere = call(
        server,
        mallory,
        "POST",
        "/api/2.0/mlflow/experiments/create",
        json={"name": "in there", "artifact_location": f"mlflow-artifacts:/{outside[0]}/x"},
    )
    assert elsewhere.status_code == 403, elsewhere.text


def test_a_trace_is_not_taken_over_by_making_it_again_elsewhere(
    mallory: Person, ada: Person, server: str, world: World
) -> None:
    again = call(
        server, mallory, "POST", "/api/3.0/mlflow/traces", json={"trace": {"trace_info": trace_info(world.trace, "0")}}
    )
    assert again.status_code == 403, again.text
    for bad in ("../x", "tr/x", "tr-\n"):
        odd = {"trace": {"trace_info": trace_info(bad, "0")}}
        assert call(server, mallory, "POST", "/api/3.0/mlflow/traces", json=odd).status_code == 400
    del ada


def test_a_client_does_not_say_where_a_trace_is_read_from(ada: Person, server: str) -> None:
    tags = {
        "mlflow.trace.spansLocation": "ARCHIVE_REPO",
        "mlflow.trace.archiveLocation": "file:///etc",
        "mlflow.artifactLocation": "file:///etc",
        "team": "credit",
    }
    made = rpc(server, ada, "traces", {"trace": {"trace_info": trace_info("tr-where", "0", tags=tags)}}, release="3.0")
    kept = made["trace"]["trace_info"]["tags"]
    assert kept["team"] == "credit"
    assert kept["mlflow.artifactLocation"].startswith("mlflow-artifacts:/")
    assert not {"mlflow.trace.archiveLocation"} & set(kept)


def test_a_person_without_a_role_and_a_reading_token(ada: Person, server: str, world: World) -> None:
    nobody = person("nobody", None)
    team = access.create_team(name="no roles", by=SYSTEM)
    access.add_member(team=team, user=nobody.user, by=SYSTEM)
    verbs.grant_experiment(experiment=world.row(), team=team, access="write", by=ada.actor)
    assert call(server, nobody, "GET", f"/api/2.0/mlflow/runs/get?run_id={world.run}").status_code == 403
    headers = {"Authorization": f"Bearer {ada.reading_token}"}
    said = httpx.post(
        f"{server}/api/2.0/mlflow/runs/set-tag",
        headers=headers,
        json={"run_id": world.run, "key": "k", "value": "v"},
        timeout=30,
    )
    assert said.status_code == 403


ASKED = sorted(
    {
        (address.method, f"/{prefix}/{address.release}/mlflow/{address.name}")
        for address in ADDRESSES
        for prefix in ("api", "ajax-api")
    }
)
FILE_ADDRESSES = [(method, f"/{prefix}/2.0/mlflow-artifacts/{rest}") for prefix in ("api", "ajax-api") for method, rest in [
    ("GET", "artifacts"), ("GET", "artifacts/a"), ("PUT", "artifacts/a"), ("DELETE", "artifacts/a"), ("POST", "mpu/create/a"),
    ("POST", "mpu/complete/a"), ("POST", "mpu/abort/a"), ("GET", "presigned/a")]]  # fmt: skip


@pytest.mark.parametrize(
    "credentials", [None, "Bearer csn_000000000000.nobodys", "Basic bm9ib2R5Om5vdGhpbmc=", "Negotiate x"]
)
def test_without_credentials_every_address_answers_401_as_json(server: str, credentials: str | None) -> None:
    headers = {"Authorization": credentials} if credentials else {}
    for method, address in [*ASKED, *FILE_ADDRESSES]:
        answer = httpx.request(
            method,
            f"{server}{address.format(model='m-1', trace='tr-1', dataset='d-1', key='k', assessment='a')}",
            headers=headers,
            timeout=30,
        )
        assert answer.status_code == 401, (method, address, answer.text)
        assert answer.json()["error_code"] == "UNAUTHENTICATED"
        assert "WWW-Authenticate" in answer.headers


@pytest.mark.filterwarnings("ignore")
def test_the_notebook_reads_why(
    ada: Person, mallory: Person, server: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", mallory.token)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow.set_tracking_uri(server)
    try:
        client = mlflow.MlflowClient()
        assert world.name not in [one.name for one in client.search_experiments()]
        assert world.name not in [one.name for one in mlflow.search_experiments()]
        words = r"is restricted, and you may not (see|write to) it\. Ask its owner, ada, or an administrator"
        for attempt in (
            lambda: mlflow.set_experiment(world.name),
            lambda: client.get_run(world.run),
            lambda: client.search_runs([world.experiment]),
            lambda: client.log_metric(world.run, "m", 1.0),
            lambda: client.list_artifacts(world.run),
            lambda: mlflow.search_runs(experiment_names=[world.name]),
        ):
            with pytest.raises(MlflowException, match=words):
                attempt()
        team = Group.objects.get(name="team of mallory")
        verbs.grant_experiment(experiment=world.row(), team=team, access="write", by=ada.actor)
        client.log_metric(world.run, "m", 1.0)
        assert client.get_run(world.run).data.metrics == {"m": 1.0}
        assert world.name in [one.name for one in client.search_experiments()]
    finally:
        mlflow.set_tracking_uri("")
