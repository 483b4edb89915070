"""The wire form: who may ask, how arguments come, how answers and errors look."""

import base64
import json
from typing import Any

import mlflow.version
import pytest
from django.test import Client

from registry.models import ApiToken, ModelTag, ModelVersion, RegisteredModel
from registry.roles import Role
from registry.services import access, catalog
from tests.conformance.mlflow.conftest import Person, person, sealed

API = "/api/2.0/mlflow"


def call(who: Person, method: str, rest: str, body: dict[str, Any] | None = None, **query: Any) -> tuple[int, Any]:
    client = Client(headers={"authorization": f"Bearer {who.token}"})
    if method == "GET":
        answer = client.get(f"{API}/{rest}", query)
    else:
        answer = client.generic(method, f"{API}/{rest}", json.dumps(body or {}), content_type="application/json")
    assert answer["Content-Type"] == "application/json"
    return answer.status_code, json.loads(answer.content)


@pytest.fixture
def model(ada: Person) -> RegisteredModel:
    return catalog.create_model(name="credit", by=ada.actor, description="Cards", tags={"team": "risk"})


@pytest.mark.usefixtures("ada")
def test_without_credentials_the_answer_is_json_401() -> None:
    answer = Client().get(f"{API}/registered-models/get", {"name": "x"})
    assert answer.status_code == 401
    assert json.loads(answer.content)["error_code"] == "UNAUTHENTICATED"
    assert "Bearer" in answer["WWW-Authenticate"]


def test_a_session_alone_is_no_credential(ada: Person) -> None:
    client = Client()
    client.force_login(ada.user)
    answer = client.post(f"{API}/registered-models/create", {"name": "x"}, content_type="application/json")
    assert answer.status_code == 401
    assert not RegisteredModel.objects.exists()


@pytest.mark.parametrize("credentials", ["Bearer nonsense", "Bearer a.b", "Basic !!!", "Basic YTpi", "Digest x"])
@pytest.mark.usefixtures("ada")
def test_wrong_credentials_are_401(credentials: str) -> None:
    answer = Client(headers={"authorization": credentials}).get(f"{API}/registered-models/get", {"name": "x"})
    assert (answer.status_code, json.loads(answer.content)["error_code"]) == (401, "UNAUTHENTICATED")


@pytest.mark.usefixtures("model")
def test_a_token_works_as_the_password_of_basic_authentication(ada: Person) -> None:
    basic = base64.b64encode(f"ada:{ada.token}".encode()).decode()
    answer = Client(headers={"authorization": f"Basic {basic}"}).get(f"{API}/registered-models/get", {"name": "credit"})
    assert answer.status_code == 200


def test_a_revoked_token_is_401_and_says_so(ada: Person) -> None:
    token = ApiToken.objects.get(user=ada.user, name="work")
    access.revoke_token(token=token, by=ada.actor)
    answer = Client(headers={"authorization": f"Bearer {ada.token}"}).get(f"{API}/registered-models/search")
    assert answer.status_code == 401
    assert "revoked" in json.loads(answer.content)["message"]


@pytest.mark.usefixtures("model")
def test_a_reading_token_reads_and_does_not_write(ada: Person) -> None:
    client = Client(headers={"authorization": f"Bearer {ada.reading_token}"})
    assert client.get(f"{API}/registered-models/get", {"name": "credit"}).status_code == 200
    latest = client.post(
        f"{API}/registered-models/get-latest-versions", {"name": "credit"}, content_type="application/json"
    )
    assert latest.status_code == 200
    answer = client.post(f"{API}/registered-models/create", {"name": "two"}, content_type="application/json")
    assert (answer.status_code, json.loads(answer.content)["error_code"]) == (403, "PERMISSION_DENIED")
    assert not RegisteredModel.objects.filter(name="two").exists()


def test_a_model_as_mlflow_writes_it(ada: Person, model: RegisteredModel) -> None:
    version = sealed(model, ada.actor)
    catalog.set_alias(model=model, alias="candidate", number=1, by=ada.actor)
    status, body = call(ada, "GET", "registered-models/get", name="credit")
    found = body["registered_model"]
    assert status == 200
    assert (found["name"], found["description"]) == ("credit", "Cards")
    assert found["tags"] == [{"key": "team", "value": "risk"}]
    assert found["aliases"] == [{"alias": "candidate", "version": "1"}]
    assert isinstance(found["creation_timestamp"], int)
    [latest] = found["latest_versions"]
    assert (latest["version"], latest["status"], latest["current_stage"]) == ("1", "READY", "None")
    assert latest["user_id"] == "ada"
    assert "description" not in latest
    assert "run_id" not in latest
    assert version.number == 1


@pytest.mark.usefixtures("ada", "model")
def test_a_stranger_sees_no_model() -> None:
    stranger = person("stranger", None)
    status, body = call(stranger, "GET", "registered-models/get", name="credit")
    assert (status, body["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert call(stranger, "GET", "registered-models/search") == (200, {})
    assert call(stranger, "GET", "model-versions/search") == (200, {})


@pytest.mark.usefixtures("ada", "model")
def test_an_auditor_sees_and_may_not_write() -> None:
    auditor = person("auditor", Role.AUDITOR)
    assert call(auditor, "GET", "registered-models/get", name="credit")[0] == 200
    for rest, method, body in (
        ("registered-models/create", "POST", {"name": "two"}),
        ("registered-models/set-tag", "POST", {"name": "credit", "key": "a", "value": "b"}),
        ("registered-models/delete", "DELETE", {"name": "credit"}),
        ("model-versions/create", "POST", {"name": "credit", "source": "runs:/" + "a" * 32 + "/m", "run_id": "a" * 32}),
    ):
        status, answer = call(auditor, method, rest, body)
        assert (status, answer["error_code"]) == (403, "PERMISSION_DENIED"), rest
    assert ModelTag.objects.count() == 1
    assert not ModelVersion.objects.exists()


@pytest.mark.parametrize(
    ("method", "rest", "body", "part"),
    [
        ("POST", "registered-models/create", {}, "'name'"),
        ("POST", "registered-models/create", {"name": ""}, "'name'"),
        ("POST", "registered-models/create", {"name": 3}, "string"),
        ("POST", "registered-models/create", {"name": "a/b"}, "/"),
        ("POST", "registered-models/create", {"name": "a\0b"}, "null byte"),
        ("POST", "registered-models/create", {"name": "x" * 300}, "256"),
        ("POST", "registered-models/create", {"name": "x", "tags": "y"}, "tags"),
        ("POST", "registered-models/create", {"name": "x", "tags": [{"value": "y"}]}, "tags.key"),
        ("POST", "registered-models/rename", {"name": "credit", "newName": "a", "new_name": "b"}, "same parameter"),
        ("POST", "registered-models/rename", {"name": "credit", "newName": "a:b"}, ":"),
        ("POST", "registered-models/alias", {"name": "credit", "alias": "v1", "version": "1"}, "reserved"),
        ("POST", "registered-models/alias", {"name": "credit", "alias": "latest", "version": "1"}, "reserved"),
        ("POST", "registered-models/alias", {"name": "credit", "alias": "a b", "version": "1"}, "alias"),
        ("POST", "registered-models/alias", {"name": "credit", "alias": "a", "version": "x"}, "integer"),
        ("POST", "model-versions/create", {"name": "credit", "source": "/etc/passwd"}, "Invalid model version source"),
        ("POST", "model-versions/transition-stage", {"name": "credit", "version": "1", "stage": "Live"}, "Staging"),
    ],
)
@pytest.mark.usefixtures("model")
def test_bad_arguments_are_400_and_named(ada: Person, method: str, rest: str, body: dict[str, Any], part: str) -> None:
    status, answer = call(ada, method, rest, body)
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert part in answer["message"]
    assert list(RegisteredModel.objects.values_list("name", flat=True)) == ["credit"]
    assert not ModelVersion.objects.exists()


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff", b'"text"', b"3"])
def test_a_body_that_is_no_json_object_is_400(ada: Person, body: bytes) -> None:
    answer = Client(headers={"authorization": f"Bearer {ada.token}"}).generic(
        "POST", f"{API}/registered-models/create", body, content_type="application/json"
    )
    assert (answer.status_code, json.loads(answer.content)["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.usefixtures("model")
def test_what_is_not_there_is_404_in_mlflows_words(ada: Person) -> None:
    missing: tuple[tuple[str, dict[str, Any]], ...] = (
        ("registered-models/get", {"name": "none"}),
        ("model-versions/get", {"name": "credit", "version": "9"}),
        ("model-versions/get", {"name": "credit", "version": "99999999999"}),
        ("registered-models/alias", {"name": "credit", "alias": "latest"}),
    )
    for rest, query in missing:
        status, answer = call(ada, "GET", rest, **query)
        assert (status, answer["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST"), rest
    status, answer = call(ada, "GET", "registered-models/alias", name="credit", alias="none")
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert answer["message"] == "Registered model alias none not found."


def test_addresses_we_do_not_have_are_404(ada: Person) -> None:
    for rest in ("nothing/here", "gateway/secrets/list", "graphql", "registered-models/none", "runs/../x"):
        status, answer = call(ada, "GET", rest)
        assert (status, answer["error_code"]) == (404, "ENDPOINT_NOT_FOUND"), rest
    status, answer = call(ada, "DELETE", "registered-models/create")
    assert (status, answer["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


@pytest.mark.usefixtures("model")
def test_creating_twice_is_resource_already_exists(ada: Person) -> None:
    status, answer = call(ada, "POST", "registered-models/create", {"name": "credit"})
    assert (status, answer["error_code"]) == (400, "RESOURCE_ALREADY_EXISTS")
    catalog.create_model(name="other", by=ada.actor)
    status, answer = call(ada, "POST", "registered-models/rename", {"name": "other", "new_name": "credit"})
    assert (status, answer["error_code"]) == (400, "RESOURCE_ALREADY_EXISTS")


def test_deleting_what_is_not_there_is_fine(ada: Person, model: RegisteredModel) -> None:
    sealed(model, ada.actor)
    assert call(ada, "DELETE", "registered-models/delete-tag", {"name": "credit", "key": "none"}) == (200, {})
    assert call(ada, "DELETE", "registered-models/alias", {"name": "credit", "alias": "none"}) == (200, {})
    body = {"name": "credit", "version": "1", "key": "none"}
    assert call(ada, "DELETE", "model-versions/delete-tag", body) == (200, {})


def test_searches_page_filter_and_order(ada: Person) -> None:
    for number in range(5):
        model = catalog.create_model(name=f"m{number}", by=ada.actor, tags={"even": str(number % 2 == 0)})
        sealed(model, ada.actor)
    catalog.create_model(name="prompt", by=ada.actor, tags={"mlflow.prompt.is_prompt": "true"})

    def names(**query: Any) -> list[str]:
        found, token = [], ""
        while True:
            status, answer = call(ada, "GET", "registered-models/search", **query, page_token=token)
            assert status == 200, answer
            found += [row["name"] for row in answer.get("registered_models", [])]
            token = answer.get("next_page_token", "")
            if not token:
                return found

    assert names(max_results=2) == ["m0", "m1", "m2", "m3", "m4"]
    assert names(order_by=["name DESC"], max_results=2) == ["m4", "m3", "m2", "m1", "m0"]
    assert names(order_by=["last_updated_timestamp DESC"], max_results=2) == ["m4", "m3", "m2", "m1", "m0"]
    assert names(filter="tags.even = 'True' AND name != 'm0'") == ["m2", "m4"]
    assert names(filter="tags.even != 'True'") == ["m1", "m3"]
    assert names(filter="name LIKE 'M%'") == []
    assert names(filter="name ILIKE 'M_'") == ["m0", "m1", "m2", "m3", "m4"]
    assert names(filter="name LIKE '%\\'") == []
    assert names(filter="tags.`mlflow.prompt.is_prompt` = 'true'") == ["prompt"]
    for query in (
        {"filter": "colour = 'x'"},
        {"order_by": ["name", "name"]},
        {"max_results": 1001},
        {"max_results": 0},
        {"max_results": "many"},
        {"page_token": "nonsense"},
        {"page_token": "WzFd", "order_by": ["timestamp"]},
    ):
        status, answer = call(ada, "GET", "registered-models/search", **query)
        assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), query
    status, answer = call(ada, "GET", "model-versions/search", filter="name IN ('m1','m3') AND version_number < 2")
    assert [row["name"] for row in answer["model_versions"]] == ["m3", "m1"]


def test_a_models_answer_does_not_depend_on_the_number_of_versions(
    ada: Person, model: RegisteredModel, django_assert_num_queries: Any
) -> None:
    client = Client(headers={"authorization": f"Bearer {ada.token}"})
    sealed(model, ada.actor)
    client.get(f"{API}/registered-models/get", {"name": "credit"})
    counts = []
    for _ in range(2):
        with django_assert_num_queries(20, exact=False) as queries:
            client.get(f"{API}/registered-models/get", {"name": "credit"})
        counts.append(len(queries))
        for _ in range(5):
            sealed(model, ada.actor)
    assert counts[0] == counts[1]


def test_a_sealed_version_is_listed_and_served_and_never_changed(ada: Person, model: RegisteredModel) -> None:
    sealed(model, ada.actor, {"data/a b.bin": b"\x00\x01", "data/sub/c": b"", "r.txt": b"x"})
    client = Client(headers={"authorization": f"Bearer {ada.token}"})
    base = "/api/2.0/mlflow-artifacts/artifacts"
    _, body = call(ada, "GET", "model-versions/get-download-uri", name="credit", version="1")
    root = body["artifact_uri"].removeprefix("mlflow-artifacts:/")
    assert root == f"sealed/{model.pk}/1"
    listed = client.get(base, {"path": root}).json()["files"]
    assert [(file["path"], file["is_dir"]) for file in listed] == [("MLmodel", False), ("data", True), ("r.txt", False)]
    listed = client.get(base, {"path": f"{root}/data"}).json()["files"]
    assert listed == [{"path": "a b.bin", "is_dir": False, "file_size": 2}, {"path": "sub", "is_dir": True}]
    assert b"".join(client.get(f"{base}/{root}/data/a%20b.bin")) == b"\x00\x01"
    for method, refusal in (("PUT", (403, "PERMISSION_DENIED")), ("DELETE", (403, "PERMISSION_DENIED")),
                            ("POST", (404, "ENDPOINT_NOT_FOUND"))):  # fmt: skip
        answer = client.generic(method, f"{base}/{root}/MLmodel", b"evil")
        assert (answer.status_code, answer.json()["error_code"]) == refusal
    answer = client.generic("POST", f"/api/2.0/mlflow-artifacts/mpu/create/{root}/MLmodel", b"{}")
    assert answer.status_code == 403
    for path in (f"{root}/none", "sealed/999/1/MLmodel", "sealed", "sealed/x/y"):
        assert client.get(f"{base}/{path}").status_code == 404
    for path in (f"{root}/%2e%2e/2/MLmodel", f"{root}/..%2fx", f"x/../{root}/MLmodel"):
        assert client.get(f"{base}/{path}").status_code == 400
    stranger = Client(headers={"authorization": f"Bearer {person('stranger', None).token}"})
    assert stranger.get(f"{base}/{root}/MLmodel").status_code == 404
    assert stranger.get(base, {"path": root}).status_code == 404


@pytest.mark.usefixtures("model")
def test_a_version_that_is_not_sealed_has_no_artifacts(ada: Person) -> None:
    run = "a" * 32
    status, body = call(
        ada, "POST", "model-versions/create", {"name": "credit", "source": f"runs:/{run}/m", "runId": run}
    )
    assert (status, body["model_version"]["status"]) == (200, "PENDING_REGISTRATION")
    status, body = call(ada, "GET", "model-versions/get-download-uri", name="credit", version="1")
    assert (status, body["error_code"]) == (409, "RESOURCE_CONFLICT")


@pytest.mark.usefixtures("db")
def test_version_and_health_answer_anybody() -> None:
    assert Client().get("/version").content.decode() == mlflow.version.VERSION
    assert Client().get("/health").content == b"OK"
