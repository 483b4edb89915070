"""The tracking process can read this server's files. Nobody may point it at them."""

from pathlib import Path

import httpx
import pytest

from tests.conformance.mlflow.conftest import Person

pytestmark = pytest.mark.django_db(transaction=True)


def call(server: str, person: Person, method: str, address: str, **more: object) -> httpx.Response:
    headers = {"Authorization": f"Bearer {person.token}"}
    return httpx.request(method, f"{server}{address}", headers=headers, timeout=30, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("spelling", ["artifact_location", "artifactLocation"])
@pytest.mark.parametrize("prefix", ["api", "ajax-api"])
def test_an_experiment_cannot_be_kept_on_the_servers_own_disk(
    ada: Person, server: str, tmp_path: Path, spelling: str, prefix: str
) -> None:
    (tmp_path / "permit.p256.pem").write_text("the signing key")
    given = {"name": f"spy {prefix} {spelling}", spelling: tmp_path.as_uri()}
    made = call(server, ada, "POST", f"/{prefix}/2.0/mlflow/experiments/create", json=given)
    assert made.status_code == 400, made.text
    assert "artifact_location" in made.json()["message"]


@pytest.mark.parametrize(
    "place",
    [
        "/etc", " file:///etc", "file:///", "s3://somebody/else", "ftp://x/y", "mlflow-artifacts://other.example/x",
        "mlflow-artifacts:/../keys", "mlflow-artifacts:/a/%2e%2e/b", "mlflow-artifacts:/sealed/1/1", "mlflow-artifacts:/x?y=1", 7,
    ],
)  # fmt: skip
def test_no_other_place_than_the_artifact_store_is_taken(ada: Person, server: str, place: object) -> None:
    given = {"name": f"elsewhere {place}", "artifact_location": place}
    made = call(server, ada, "POST", "/api/2.0/mlflow/experiments/create", json=given)
    assert made.status_code == 400, made.text


@pytest.mark.parametrize("place", [None, "", "mlflow-artifacts:/teams/credit"])
def test_the_default_and_a_folder_of_the_store_are_taken(ada: Person, server: str, place: str | None) -> None:
    given = {"name": f"own {place}", **({} if place is None else {"artifact_location": place})}
    made = call(server, ada, "POST", "/api/2.0/mlflow/experiments/create", json=given)
    assert made.status_code == 200, made.text


@pytest.mark.parametrize(
    ("address", "given"),
    [
        ("runs/set-tag", {"key": "mlflow.user", "value": "eve"}),
        ("runs/log-batch", {"tags": [{"key": "mlflow.user", "value": "eve"}]}),
        ("runs/delete-tag", {"key": "mlflow.user"}),
    ],
)
@pytest.mark.parametrize("prefix", ["api/2.0", "ajax-api/2.0"])
def test_who_trained_is_not_the_clients_to_say(
    ada: Person, server: str, prefix: str, address: str, given: dict[str, object]
) -> None:
    made = call(server, ada, "POST", f"/{prefix}/mlflow/runs/create", json={"experiment_id": "0"}).json()
    run = made["run"]["info"]["run_id"]
    said = call(server, ada, "POST", f"/{prefix}/mlflow/{address}", json={"run_id": run, **given})
    assert said.status_code == 403, said.text
    assert "says who trained" in said.json()["message"]


@pytest.mark.parametrize(
    "address",
    [
        "/api/2.0/mlflow/runs//set-tag", "/api/2.0/mlflow/runs/%2e%2e/registered-models/create", "/graphql",
        "/api/2.0/mlflow/Runs/create", "/api/2.0/mlflow/runs/set%252Dtag", "/api/2.0/mlflow/runs/set-tag;x",
        "/ajax-api/2.0/mlflow/get-artifact", "/ajax-api/2.0/mlflow/gateway-proxy", "/api/3.0/mlflow/webhooks",
        "/api/2.0/mlflow/runs/set-tag%3Fx", "/get-artifact", "/model-versions/get-artifact",
    ],
)  # fmt: skip
def test_no_spelling_of_an_address_leads_past_the_list(ada: Person, server: str, address: str) -> None:
    answer = call(server, ada, "POST", address, json={"run_id": "0" * 32, "key": "mlflow.user", "value": "eve"})
    assert answer.status_code in {400, 404, 405}, answer.text
    assert "RESOURCE_DOES_NOT_EXIST" not in answer.text


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(
    "path", ["sealed/1/1/MLmodel", "/sealed/1/1/MLmodel", "%73ealed/1/1/MLmodel", "x/../sealed/1/1/m"]
)
def test_nobody_writes_below_sealed(ada: Person, server: str, method: str, path: str) -> None:
    answer = call(server, ada, method, f"/api/2.0/mlflow-artifacts/artifacts/{path}", content=b"x")
    assert answer.status_code in {400, 403, 404}, answer.text


def test_a_token_that_reads_cannot_write_runs(ada: Person, server: str) -> None:
    headers = {"Authorization": f"Bearer {ada.reading_token}"}
    made = httpx.post(f"{server}/api/2.0/mlflow/experiments/create", headers=headers, json={"name": "x"}, timeout=30)
    assert made.status_code == 403
    found = httpx.post(
        f"{server}/api/2.0/mlflow/experiments/search", headers=headers, json={"max_results": 1}, timeout=30
    )
    assert found.status_code == 200


def test_a_stolen_header_name_opens_nothing(server: str) -> None:
    headers = {"X-Countersign-Tracking": "test-tracking-secret", "X-Forwarded-For": "127.0.0.1"}
    assert httpx.get(f"{server}/api/2.0/mlflow/experiments/search", headers=headers, timeout=30).status_code == 401
