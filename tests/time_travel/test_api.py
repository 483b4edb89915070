"""``?as_of=`` of the REST API, and the doors that do not know it."""

import json

import pytest
from django.test import Client

from registry.models import ModelVersion, RegisteredModel, User
from registry.services import access, catalog
from tests.api.calls import Api
from tests.factories import pages as make
from tests.time_travel.moments import here


@pytest.fixture
def api(auditor: User) -> Api:
    _, secret = access.issue_token(user=auditor, name="t", scope="read", days=1, by=make.actor(auditor))
    return Api(secret)


def test_a_model_is_answered_as_it_was_and_the_headers_name_the_checkpoint(
    model: RegisteredModel, scientist: User, api: Api
) -> None:
    then = here()
    catalog.update_model(model=model, description="Later.", use_case="Other.", by=make.actor(scientist))
    catalog.set_model_tag(model=model, key="k", value="v", by=make.actor(scientist))
    here()

    past = api.get(f"models/credit-default?as_of={then.name}")
    listed = api.get(f"models?as_of={then.name}&page_size=10")

    assert (past.json()["description"], past.json()["use_case"], past.json()["tags"]) == (
        "",
        "Default of card accounts.",
        {},
    )
    assert api.get("models/credit-default").json()["description"] == "Later."
    assert past["As-Of-Entry"] == str(then.size)
    assert past["As-Of-Root"] == then.root.hex()
    assert past["As-Of-Time"] == then.at.isoformat()
    assert [row["description"] for row in listed.json()["results"]] == [""]


def test_what_was_not_there_is_not_found(model: RegisteredModel, scientist: User, api: Api) -> None:
    then = here()
    make.model(scientist, "younger")

    assert api.get(f"models/younger?as_of={then.name}").status_code == 404
    assert api.get("models/younger").status_code == 200


def test_the_next_page_is_of_the_same_moment(model: RegisteredModel, scientist: User, api: Api) -> None:
    make.model(scientist, "another")
    then = here()
    make.model(scientist, "between-them")
    here()

    first = api.get(f"models?as_of={then.name}&page_size=1").json()
    second = api.get(first["next"].partition("/api/v1/")[2]).json()

    assert [row["name"] for row in first["results"] + second["results"]] == ["another", "credit-default"]


def test_lineage_stops_where_it_stopped_then(version: ModelVersion, api: Api) -> None:
    then = here()
    make.record_lineage(version, dataset="more accounts", run="run-2")
    here()

    def names(query: str) -> set[str]:
        graph = api.get(f"models/credit-default/versions/1/lineage{query}").json()
        return {str(node.get("name") or node.get("label")) for node in graph["nodes"]}

    assert "more accounts" in names("")
    assert "more accounts" not in names(f"?as_of={then.name}")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("", "as_of.malformed"),
        ("yesterday", "as_of.malformed"),
        ("2999-01-01", "as_of.future"),
        ("1999-01-01", "as_of.before"),
        ("2026-01-01T00:00", "as_of.zone"),
        ("entry:1&as_of=entry:2", "as_of.malformed"),
    ],
)
def test_what_is_no_moment_is_a_problem_that_names_the_parameter(
    asked: str, code: str, model: RegisteredModel, api: Api
) -> None:
    here()

    answer = api.get(f"models?as_of={asked}")

    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert answer.json()["errors"][0]["field"] == "as_of"


def test_before_anything_was_logged_there_is_no_past(api: Api) -> None:
    assert "No moment has been recorded" in api.get("models?as_of=2026-01-01").json()["detail"]


def test_the_past_is_not_written(model: RegisteredModel, scientist: User) -> None:
    then = here()
    _, secret = access.issue_token(user=scientist, name="w", scope="write", days=1, by=make.actor(scientist))

    answer = Api(secret).post(f"models?as_of={then.name}", {"name": "new"})

    assert answer.status_code == 400
    assert answer.json()["code"] == "as_of.read_only"
    assert not RegisteredModel.objects.filter(name="new").exists()


def test_strangers_learn_nothing_of_the_past(model: RegisteredModel) -> None:
    here()

    assert Api().get("models?as_of=1999-01-01").status_code == 401
    assert Api("wrong.token").get("models?as_of=1999-01-01").status_code == 401


def test_what_speaks_of_today_says_so(api: Api, model: RegisteredModel) -> None:
    then = here()

    for path in ("me", "tokens", "webhooks", "audit/entries/"):
        answer = api.get(f"{path}?as_of={then.name}")
        assert (answer.status_code, answer.json()["code"]) == (400, "as_of.today_only"), path


def test_mlflows_door_refuses_it_instead_of_answering_of_today(model: RegisteredModel, api: Api) -> None:
    answer = Client().get(
        "/api/2.0/mlflow/registered-models/get?name=credit-default&as_of=2026-01-01",
        headers={"authorization": f"Bearer {api.token}"},
    )

    assert answer.status_code == 400
    assert json.loads(answer.content)["error_code"] == "INVALID_PARAMETER_VALUE"
