"""Models, versions, aliases: read, create, change, and answers to repetitions."""

from typing import Any

import pytest

from audit.actors import Actor
from registry.models import IdempotencyKey, ModelVersion, RegisteredModel, User
from registry.services import catalog
from tests.api.calls import Api
from tests.api.conftest import token_of

pytestmark = pytest.mark.usefixtures("by_hand")

LIST_QUERIES = 9
"""Token, user, permissions, rows, and one for each thing that is prefetched. However many rows there are."""


def test_a_model_is_made_read_changed_and_deleted(contributor: Api) -> None:
    made = contributor.post("models", {"name": "credit default", "tags": {"domain": "credit"}})

    assert made.status_code == 201
    assert made["Location"] == "/api/v1/models/credit%20default"
    body = made.json()
    assert (body["name"], body["tier"], body["tags"], body["owner"]) == (
        "credit default",
        1,
        {"domain": "credit"},
        "ada",
    )
    assert (body["latest_version"], body["aliases"]) == (None, {})

    laxer = contributor.call("PATCH", made["Location"], {"tier": 2})
    assert (laxer.status_code, RegisteredModel.objects.get().tier) == (403, 1)
    changed = contributor.call("PATCH", made["Location"], {"card": {"limitations": "Small sample."}})
    assert changed.json()["card"] == {"limitations": "Small sample."}
    assert changed.json()["description"] == "", "what is not named stays"

    assert contributor.call("DELETE", made["Location"]).status_code == 204
    assert contributor.get(made["Location"]).status_code == 404


def test_an_edit_of_an_old_revision_is_412_and_changes_nothing(contributor: Api, model: RegisteredModel) -> None:
    read = contributor.get("models/credit-default")
    assert (
        contributor.call("PATCH", "models/credit-default", {"use_case": "one"}, if_match=read["ETag"]).status_code
        == 200
    )

    late = contributor.call("PATCH", "models/credit-default", {"use_case": "two"}, if_match=read["ETag"])

    assert late.status_code == 412
    model.refresh_from_db()
    assert model.use_case == "one"
    assert contributor.call("PATCH", "models/credit-default", {"use_case": "three"}, if_match="*").status_code == 200
    assert contributor.call("PATCH", "models/credit-default", {"use_case": "x"}, if_match='W/"1"').status_code == 412


def test_a_name_that_is_taken_is_409(contributor: Api, model: RegisteredModel) -> None:
    assert contributor.post("models", {"name": model.name}).status_code == 409
    assert RegisteredModel.objects.count() == 1


def test_the_list_filters_by_name_tier_and_owner(contributor: Api, ada: User) -> None:
    for name, tier in (("alpha", 1), ("beta", 2), ("alphabet", 2)):
        catalog.create_model(name=name, by=Actor.person(ada))
        RegisteredModel.objects.filter(name=name).update(tier=tier)

    def names(query: str) -> list[str]:
        return [row["name"] for row in contributor.get(f"models?{query}").json()["results"]]

    assert names("") == ["alpha", "alphabet", "beta"]
    assert names("name=ALPHA") == ["alpha", "alphabet"]
    assert names("tier=2") == ["alphabet", "beta"]
    assert names("name=alpha&tier=2") == ["alphabet"]
    assert names("owner=ada") == ["alpha", "alphabet", "beta"]
    assert names("owner=nobody") == []


def test_pages_follow_each_other_and_end(contributor: Api, ada: User) -> None:
    for number in range(5):
        catalog.create_model(name=f"m{number}", by=Actor.person(ada))
    found, address = [], "models?page_size=2"
    while address:
        page = contributor.get(address.removeprefix("http://testserver"))
        found += [row["name"] for row in page.json()["results"]]
        address = page.json()["next"]
        assert page.headers.get("Link", "") == (f'<{address}>; rel="next"' if address else "")

    assert found == ["m0", "m1", "m2", "m3", "m4"]


def test_the_list_takes_as_many_queries_for_many_as_for_one(
    contributor: Api, ada: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        made = catalog.create_model(name=f"m{number}", tags={"a": "1", "b": "2"}, by=Actor.person(ada))
        contributor.post(f"models/{made.name}/versions", {})

    with django_assert_max_num_queries(LIST_QUERIES):
        assert len(contributor.get("models").json()["results"]) == 12


def test_the_same_creation_twice_makes_one_model_and_gives_one_answer(contributor: Api) -> None:
    first = contributor.post("models", {"name": "a"}, idempotency_key="k1")
    second = contributor.post("models", {"name": "a"}, idempotency_key="k1")

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert (second["Location"], second["ETag"], second["Idempotency-Replayed"]) == (
        first["Location"],
        first["ETag"],
        "true",
    )
    assert "Idempotency-Replayed" not in first
    assert RegisteredModel.objects.count() == 1


def test_the_same_key_for_another_creation_is_422(contributor: Api) -> None:
    contributor.post("models", {"name": "a"}, idempotency_key="k1")

    answer = contributor.post("models", {"name": "b"}, idempotency_key="k1")

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency.reused")
    assert not RegisteredModel.objects.filter(name="b").exists()


def test_a_refused_creation_leaves_no_key(contributor: Api) -> None:
    assert contributor.post("models", {"name": "a/b"}, idempotency_key="k1").status_code == 422

    assert not IdempotencyKey.objects.exists()
    assert contributor.post("models", {"name": "ab"}, idempotency_key="k1").status_code == 201


def test_a_version_is_registered_with_its_metadata_and_lineage(contributor: Api, model: RegisteredModel) -> None:
    made = contributor.post(
        f"models/{model.name}/versions",
        {
            "description": "First.",
            "tags": {"quarter": "Q2"},
            "parameters": {"C": "0.1"},
            "metrics": {"auc": 0.81, "n": 3},
            "lineage": {
                "datasets": [{"name": "credit-train", "sha256": "a" * 64}],
                "code": {"commit": "1" * 40, "repository": "https://git.example/credit", "dirty": True},
                "environment": {"python": "3.11.9", "files": {"requirements.txt": "b" * 64}},
                "run": {"id": "run-1", "user": "ada"},
                "seeds": {"numpy": 7},
                "base_models": ["elsewhere-base"],
            },
        },
        idempotency_key="v1",
    )

    assert made.status_code == 201, made.content
    body = made.json()
    assert made["Location"] == "/api/v1/models/credit-default/versions/1"
    assert (body["number"], body["status"], body["manifest_digest"]) == (1, "PENDING_REGISTRATION", "")
    assert (body["tags"], body["parameters"], body["metrics"]) == (
        {"quarter": "Q2"},
        {"C": "0.1"},
        {"auc": 0.81, "n": 3},
    )

    graph = contributor.get(body["links"]["lineage"]).json()
    kinds = sorted(node["kind"] for node in graph["nodes"])
    assert kinds == ["code", "dataset", "environment", "run", "version", "version"]
    assert {edge["relation"] for edge in graph["edges"]} == {"used", "generated", "derived_from"}
    assert not graph["truncated"]
    down = contributor.get(body["links"]["lineage"] + "?direction=down").json()
    assert [node["kind"] for node in down["nodes"]] == ["version"]
    prov = contributor.get(body["links"]["lineage"] + "?format=prov").json()
    assert {"entity", "activity", "used", "wasGeneratedBy", "wasDerivedFrom"} <= set(prov)
    assert ModelVersion.objects.get().trained_by is not None


def test_versions_are_listed_newest_first_in_a_fixed_number_of_queries(
    contributor: Api, model: RegisteredModel, django_assert_max_num_queries: Any
) -> None:
    for _ in range(6):
        contributor.post(f"models/{model.name}/versions", {"tags": {"a": "1"}})

    with django_assert_max_num_queries(LIST_QUERIES):
        page = contributor.get(f"models/{model.name}/versions?page_size=4").json()

    assert [row["number"] for row in page["results"]] == [6, 5, 4, 3]


def test_a_version_is_described_and_deleted(contributor: Api, model: RegisteredModel) -> None:
    contributor.post(f"models/{model.name}/versions", {})
    here = f"models/{model.name}/versions/1"

    assert contributor.call("PATCH", here, {"description": "Better."}).json()["description"] == "Better."
    assert contributor.call("DELETE", here).status_code == 204
    assert contributor.get(here).status_code == 404


def test_a_free_alias_is_set_listed_and_removed(
    contributor: Api, sealed_version: ModelVersion, django_assert_max_num_queries: Any
) -> None:
    here = f"models/{sealed_version.model.name}/aliases"

    assert contributor.call("PUT", f"{here}/champion", {"version": 1}).json()["version"] == 1
    with django_assert_max_num_queries(LIST_QUERIES):
        assert [row["alias"] for row in contributor.get(here).json()["results"]] == ["champion"]
    assert contributor.get("models/credit-default").json()["aliases"] == {"champion": 1}
    assert contributor.call("DELETE", f"{here}/champion").status_code == 204
    assert contributor.get(here).json()["results"] == []


@pytest.mark.parametrize(("alias", "version"), [("v1", 1), ("latest", 1), ("champion", 7)])
def test_a_reserved_alias_and_a_version_that_is_not_there_are_refused(
    contributor: Api, sealed_version: ModelVersion, alias: str, version: int
) -> None:
    answer = contributor.call("PUT", f"models/{sealed_version.model.name}/aliases/{alias}", {"version": version})

    assert answer.status_code in {404, 422}


def test_a_person_who_may_only_look_is_told_why_they_may_not_register(person: Any, model: RegisteredModel) -> None:
    auditor = Api(token_of(person("aud", "auditor")))

    assert auditor.get("models/credit-default").status_code == 200
    answer = auditor.post(f"models/{model.name}/versions", {})
    assert answer.status_code == 403
    assert answer.json()["detail"]
    assert not ModelVersion.objects.exists()
