"""MLflow's own pages below ``/mlflow/``: a session reads, nothing writes, and their script stays in its fence."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import mlflow
import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from registry.mlflow import graphql, pages
from registry.mlflow.proxy.addresses import ADDRESSES
from registry.models import RegisteredModel, User
from registry.roles import Role
from registry.services import catalog, versions
from registry.tracking import HEADER, USER_HEADER
from tests.conformance.mlflow.conftest import Person, person, sealed
from tests.conformance.mlflow.tracking import SECRET
from tests.factories.audit import by_hand

pytestmark = pytest.mark.django_db(transaction=True)

AJAX = "/mlflow/ajax-api/2.0/mlflow"
BUILD = Path(mlflow.__file__).parent / "server" / "js" / "build"


@pytest.fixture(autouse=True)
def behind(tracking_url: str, settings: Settings) -> None:
    """Our door leads to the tracking process."""
    settings.TRACKING_URL, settings.TRACKING_SECRET = tracking_url, SECRET


@dataclass(frozen=True)
class Browser:
    """A signed-in browser, as far as HTTP goes."""

    client: Client

    def get(self, address: str, **query: str) -> HttpResponse:
        return self.client.get(address, query)  # type: ignore[return-value]

    def post(self, address: str, given: object) -> HttpResponse:
        return self.client.post(address, json.dumps(given), content_type="application/json")  # type: ignore[return-value]


def signed_in(user: User) -> Browser:
    # enforce_csrf_checks: a page has no token of ours to send, so reading by POST must not need one
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    return Browser(client)


def content(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def document(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, content(answer)
    found: dict[str, Any] = json.loads(content(answer))
    return found


def made_run(tracking_url: str, files: dict[str, bytes] | None = None) -> str:
    with httpx.Client(base_url=tracking_url, headers={HEADER: SECRET}, trust_env=False, timeout=60) as http:
        run = http.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}).json()["run"]["info"]["run_id"]
        for path, body in (files or {}).items():
            http.put(f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/{path}", content=body)
    return str(run)


def test_a_visitor_is_sent_to_sign_in_and_told_so_in_json(ada: Person) -> None:
    visitor = Client()
    index = visitor.get("/mlflow/")
    assert (index.status_code, index["Location"]) == (302, "/sign-in/?next=/mlflow/")
    for address in ("static-files/favicon.ico", "ajax-api/2.0/mlflow/experiments/search", "get-artifact", "nowhere"):
        for headers in ({}, ada.header):  # a token does not open this door: it has its own
            answer = visitor.get(f"/mlflow/{address}", **headers)  # type: ignore[arg-type]
            assert (answer.status_code, json.loads(content(answer))["error_code"]) == (401, "UNAUTHENTICATED"), address
    assert visitor.post("/mlflow/graphql", "{}", content_type="application/json").status_code == 401


def test_somebody_without_a_role_sees_no_experiments(ada: Person) -> None:
    nobody = signed_in(person("nobody", None).user)
    assert nobody.get("/mlflow/").status_code == 403
    assert nobody.post(f"{AJAX}/experiments/search", {"max_results": 5}).status_code == 403


def test_the_page_is_fenced_and_no_other_page_is_loosened(ada: Person) -> None:
    browser = signed_in(ada.user)
    index = browser.get("/mlflow/")
    assert b'id="root"' in content(index)
    policy = dict(part.strip().split(" ", 1) for part in index["Content-Security-Policy"].split(";"))
    assert policy["script-src"] == "testserver/mlflow/static-files/"
    assert policy["connect-src"] == "testserver/mlflow/"
    assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == policy["default-src"] == "'none'"
    assert "allow-popups" not in policy["sandbox"]
    assert "unsafe" not in policy["script-src"]
    assert index["X-Frame-Options"] == "DENY"
    assert "no-store" in index["Cache-Control"]
    ours = browser.get("/lineage/")
    assert "unsafe-inline" not in ours["Content-Security-Policy"]
    assert 'href="/mlflow/"' in ours.content.decode()


def test_its_files_come_with_its_policy_and_no_path_leads_out_of_their_folder(ada: Person) -> None:
    browser = signed_in(ada.user)
    script = re.search(r'src="(static-files/[^"]+\.js)"', (BUILD / "index.html").read_text())
    assert script is not None
    found = browser.get(f"/mlflow/{script[1]}")
    assert content(found) == (BUILD / script[1].removeprefix("static-files/")).read_bytes()
    assert "sandbox" in found["Content-Security-Policy"]
    assert found["X-Content-Type-Options"] == "nosniff"
    for path in ("static-files/../index.html", "static-files/%2e%2e/%2e%2e/handlers.py", "static-files//etc/passwd"):
        assert browser.get(f"/mlflow/{path}").status_code == 404, path


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("POST", f"{AJAX}/registered-models/create"), ("PATCH", f"{AJAX}/registered-models/update"),
        ("DELETE", f"{AJAX}/registered-models/delete"), ("POST", f"{AJAX}/registered-models/alias"),
        ("POST", f"{AJAX}/model-versions/transition-stage"), ("POST", f"{AJAX}/experiments/create"),
        ("POST", f"{AJAX}/runs/delete"), ("POST", f"{AJAX}/runs/set-tag"), ("PATCH", f"{AJAX}/logged-models/m-1"),
        ("POST", f"{AJAX}/upload-artifact"), ("DELETE", "/mlflow/ajax-api/3.0/mlflow/traces/tr-1/tags"),
        ("POST", f"{AJAX}/runs/../runs/search"), ("POST", f"{AJAX}/webhooks"),
        ("POST", "/mlflow/get-artifact"), ("PUT", "/mlflow/model-versions/get-artifact"),
    ],
)  # fmt: skip
def test_nothing_is_written_from_the_pages(ada: Person, method: str, address: str) -> None:
    browser = signed_in(ada.user)
    answer = browser.client.generic(method, address, json.dumps({"name": "made-by-a-page"}), "application/json")
    told = json.loads(content(answer))
    assert (answer.status_code, told["error_code"]) == (403, "PERMISSION_DENIED"), told
    assert "for reading here" in told["message"]
    assert not RegisteredModel.objects.filter(name="made-by-a-page").exists()


@pytest.mark.parametrize(
    "address",
    [
        "ajax-api/2.0/mlflow/gateway-proxy", "ajax-api/3.0/mlflow/gateway/secrets/list", "api/2.0/mlflow/runs/get",
        "ajax-api/2.0/mlflow-artifacts/artifacts/x", "ajax-api/2.0/mlflow/users/current", "models/", "api/v1/models",
    ],
)  # fmt: skip
def test_what_is_not_for_the_pages_is_not_there(ada: Person, address: str) -> None:
    answer = signed_in(ada.user).get(f"/mlflow/{address}")
    assert (answer.status_code, json.loads(content(answer))["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


def test_the_registry_pages_show_what_the_account_may_see(ada: Person) -> None:
    mine = catalog.create_model(name="mine", by=ada.actor)
    sealed(mine, ada.actor)
    stranger = person("stranger", None)
    with by_hand():
        RegisteredModel.objects.create(name="hers", owner=stranger.user)
    for who, names in ((ada, {"mine", "hers"}), (stranger, {"hers"})):
        found = document(signed_in(who.user).get(f"{AJAX}/registered-models/search"))
        assert {model["name"] for model in found["registered_models"]} == names
    browser = signed_in(ada.user)
    assert (
        document(browser.get(f"{AJAX}/model-versions/search", filter="name='mine'"))["model_versions"][0]["version"]
        == "1"
    )
    assert "model_versions" in document(browser.post(f"{AJAX}/registered-models/get-latest-versions", {"name": "mine"}))
    assert signed_in(stranger.user).get(f"{AJAX}/registered-models/get", name="mine").status_code == 404


def test_the_files_of_a_version_are_the_sealed_ones(ada: Person) -> None:
    model = catalog.create_model(name="mine", by=ada.actor)
    sealed(model, ada.actor, {"notes/a b.txt": b"sealed bytes"})
    address = "/mlflow/model-versions/get-artifact"
    found = signed_in(ada.user).get(address, name="mine", version="1", path="notes/a b.txt")
    assert content(found) == b"sealed bytes"
    assert found["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert found["Content-Disposition"].startswith("attachment")
    browser = signed_in(ada.user)
    for path in ("../2/MLmodel", "notes/../../x", "", "none"):
        assert browser.get(address, name="mine", version="1", path=path).status_code in {400, 404}, path
    stranger = signed_in(person("stranger", Role.CONTRIBUTOR).user)
    assert stranger.get(address, name="other", version="1", path="MLmodel").status_code == 404


def test_the_files_of_a_run_are_text_and_never_a_page(ada: Person, tracking_url: str) -> None:
    run = made_run(tracking_url, {"report.html": b"<script>alert(1)</script>"})
    browser = signed_in(ada.user)
    for name in ("run_id", "run_uuid"):
        found = browser.get("/mlflow/get-artifact", **{name: run, "path": "report.html"})
        assert content(found) == b"<script>alert(1)</script>"
        assert "sandbox" in found["Content-Security-Policy"]
        assert found["Content-Disposition"].startswith("attachment")
        assert found["X-Content-Type-Options"] == "nosniff"
    for bad in ("../secrets", "/etc/passwd", "%2e%2e/x", "none"):
        assert browser.get("/mlflow/get-artifact", run_id=run, path=bad).status_code in {400, 404, 500}, bad
    assert browser.get("/mlflow/get-artifact", run_id="../x", path="a").status_code == 400
    assert browser.get("/mlflow/get-artifact", run_id=run).status_code == 400


def ask(browser: Browser, operation: str, variables: object, query: str = "ignored") -> HttpResponse:
    return browser.post("/mlflow/graphql", {"operationName": operation, "query": query, "variables": variables})


def test_graphql_answers_the_questions_of_the_pages_and_shows_our_versions(ada: Person, tracking_url: str) -> None:
    run = made_run(tracking_url)
    model = catalog.create_model(name="mine", by=ada.actor)
    versions.register_version(model=model, by=ada.actor, source=f"runs:/{run}/model", run_id=run)
    browser = signed_in(ada.user)
    found = document(ask(browser, "GetRun", {"data": {"runId": run}}))
    assert found["errors"] is None
    shown = found["data"]["mlflowGetRun"]["run"]
    assert shown["info"]["runUuid"] == run
    assert [(one["name"], one["version"]) for one in shown["modelVersions"]] == [("mine", "1")]
    found = document(
        ask(browser, "SearchRuns", {"data": {"filter": f"attributes.run_id = '{run}'", "experimentIds": ["0"]}})
    )
    assert [one["info"]["runUuid"] for one in found["data"]["mlflowSearchRuns"]["runs"]] == [run]
    found = document(ask(browser, "MlflowGetExperimentQuery", {"input": {"experimentId": "0"}}))
    assert found["data"]["mlflowGetExperiment"]["experiment"]["name"] == "Default"
    asked = {"runIds": [run], "metricKey": "loss", "startStep": None, "endStep": 5, "maxResults": 10}
    found = document(ask(browser, "GetMetricHistoryBulkInterval", {"data": asked}))
    assert found["data"]["mlflowGetMetricHistoryBulkInterval"]["metrics"] in (None, [])


def test_graphql_shows_a_version_to_those_only_who_may_see_its_model(ada: Person, tracking_url: str) -> None:
    run = made_run(tracking_url)
    model = catalog.create_model(name="mine", by=ada.actor)
    versions.register_version(model=model, by=ada.actor, source=f"runs:/{run}/model", run_id=run)
    question = {"operationName": "GetRun", "query": graphql.GET_RUN, "variables": {"data": {"runId": run}}}
    stranger = person("stranger", None)
    seen = {}
    for who in (ada, stranger):
        headers = {HEADER: SECRET, USER_HEADER: str(who.user.pk)}
        answer = httpx.post(f"{tracking_url}/graphql", json=question, headers=headers, trust_env=False, timeout=60)
        seen[who.user.username] = answer.json()["data"]["mlflowGetRun"]["run"]["modelVersions"]
    assert [len(seen[name]) for name in ("ada", "stranger")] == [1, 0]


@pytest.mark.parametrize(
    ("operation", "variables"),
    [
        ("testMutation", {}), ("", {}), (None, {}), (["GetRun"], {}), ("GetRun", None), ("GetRun", {"data": {}}),
        ("GetRun", {"data": {"runId": "../x"}}), ("GetRun", {"data": {"runId": ["a"]}}), ("GetRun", []),
        ("SearchRuns", {"data": {"experimentIds": []}}), ("SearchRuns", {"data": {"experimentIds": ["0", 1]}}),
        ("SearchRuns", {"data": {"experimentIds": ["0"], "filter": 1}}),
        ("GetMetricHistoryBulkInterval", {"data": {"runIds": ["a"], "metricKey": ""}}),
        ("GetMetricHistoryBulkInterval", {"data": {"runIds": ["a"], "metricKey": "m", "maxResults": "9"}}),
    ],
)  # fmt: skip
def test_no_other_graphql_is_spoken(ada: Person, operation: object, variables: object) -> None:
    answer = signed_in(ada.user).post("/mlflow/graphql", {"operationName": operation, "variables": variables})
    assert (answer.status_code, json.loads(content(answer))["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_the_documents_are_those_of_the_pages_of_this_release() -> None:
    """Without ``__typename``, which the pages' client adds as it sends. A release that asks anew fails here."""
    bundle = " ".join(path.read_text() for path in (BUILD / "static" / "js").glob("*.js"))
    asked = {
        re.sub(r"\s+", " ", text.replace("__typename", ""))
        for text in re.findall(r"`\s*((?:query|mutation) \w+\([^`]+)`", bundle)
    }
    known = (graphql.GET_RUN, graphql.SEARCH_RUNS, graphql.METRIC_HISTORY, graphql.GET_EXPERIMENT)
    assert {text.strip() for text in asked} == {
        re.sub(r"\s+", " ", text.replace("__typename", "")).strip() for text in known
    }


def test_the_pages_read_by_post_what_is_known_to_read() -> None:
    reading = {known.name for known in ADDRESSES if known.method == "POST" and known.reads}
    assert pages.READING_POSTS - {"registered-models/get-latest-versions"} <= reading


def test_they_are_told_not_to_report_home(ada: Person) -> None:
    told = document(signed_in(ada.user).get("/mlflow/ajax-api/3.0/mlflow/ui-telemetry"))
    assert told["disable_ui_telemetry"] is True


def test_without_the_tracking_process_the_page_says_so(ada: Person, settings: Settings) -> None:
    settings.TRACKING_URL = "http://127.0.0.1:9"
    answer = signed_in(ada.user).get("/mlflow/")
    assert answer.status_code == 503
    assert "tracking process does not answer" in answer.content.decode()
