"""Data sets over REST: the server reads the bytes, and names the column that is missing."""

from typing import Any

import pytest

from audit.actors import SYSTEM
from registry.models import Dataset, DatasetVersion, RegisteredModel
from registry.services.sealing import seal_dataset
from tests.api.calls import Api, sha256
from tests.api.conftest import Person, token_of, upload

CSV = b"age,sex,y\n30,f,1\n40,m,0\n50,f,1\n"
COLUMNS = {"label": "y", "positive": 1, "features": ["age"], "sensitive": ["sex"]}
FILES = "datasets/holdout/versions/1/files"


def _register(api: Api, **columns: Any) -> Any:
    return api.post("datasets", {"name": "holdout", "role": "test", "columns": {**COLUMNS, **columns}})


def test_a_data_set_is_registered_uploaded_and_sealed(contributor: Api, django_assert_max_num_queries: Any) -> None:
    made = _register(contributor)
    assert made.status_code == 201, made.content
    assert made["Location"] == "/api/v1/datasets/holdout/versions/1"
    upload(contributor, "holdout.csv", CSV, to=FILES)

    finished = contributor.post("datasets/holdout/versions/1/finish")

    assert (finished.status_code, finished.json()["status"]) == (202, "sealing"), finished.content
    seal_dataset(dataset_version=DatasetVersion.objects.get(), by=SYSTEM)
    body = contributor.get(made["Location"]).json()
    assert body["status"] == "sealed"
    assert (body["rows"], body["digest"], body["role"]) == (3, sha256(CSV), "test")
    assert [column["name"] for column in body["schema"]] == ["age", "sex", "y"]
    assert body["columns"]["label"] == "y"
    with django_assert_max_num_queries(8):
        assert contributor.get("datasets?name=HOLD").json()["results"][0]["latest_version"] == 1
    with django_assert_max_num_queries(8):
        assert contributor.get("datasets/holdout/versions").json()["results"] == [body]
    assert contributor.get("datasets/holdout").json()["owner"] == "ada"


@pytest.mark.parametrize(("columns", "missing"), [({"label": "outcome"}, "outcome"), ({"sensitive": ["race"]}, "race")])
def test_a_label_or_sensitive_column_that_is_not_there_is_named(
    contributor: Api, columns: dict[str, object], missing: str
) -> None:
    _register(contributor, **columns)
    upload(contributor, "holdout.csv", CSV, to=FILES)

    contributor.post("datasets/holdout/versions/1/finish")
    seal_dataset(dataset_version=DatasetVersion.objects.get(), by=SYSTEM)

    body = contributor.get("datasets/holdout/versions/1").json()
    assert body["status"] == "failed"
    assert missing in body["status_message"]
    assert DatasetVersion.objects.get().sealed_at is None


def test_the_same_registration_twice_makes_one_version(contributor: Api) -> None:
    data = {"name": "holdout", "role": "test", "columns": COLUMNS}

    first = contributor.post("datasets", data, idempotency_key="d1")
    second = contributor.post("datasets", data, idempotency_key="d1")

    assert first.json() == second.json()
    assert DatasetVersion.objects.count() == 1


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"name": "a/b", "role": "test", "columns": COLUMNS}, "name"),
        ({"name": "a", "role": "exam", "columns": COLUMNS}, "role"),
        ({"name": "a", "role": "test"}, "columns"),
        ({"name": "a", "role": "test", "columns": {}}, "columns.label"),
        ({"name": "a", "role": "test", "columns": {"label": "y", "positive": 1.5}}, "columns.positive"),
        ({"name": "a", "role": "test", "columns": {"label": "y", "protected": ["sex"]}}, "columns.protected"),
    ],
    ids=str,
)
def test_a_bad_field_is_named(contributor: Api, data: object, field: str) -> None:
    answer = contributor.post("datasets", data)

    assert answer.status_code in {400, 422}
    assert field in {error["field"] for error in answer.json()["errors"]}, answer.json()
    assert not DatasetVersion.objects.exists()


def _sealed(api: Api, **given: Any) -> Any:
    """The version as REST shows it once a worker has read its file."""
    data = {"name": "holdout", "role": "test", "columns": COLUMNS, **given}
    assert api.post("datasets", data).status_code == 201
    upload(api, "data", CSV, to=FILES)
    api.post("datasets/holdout/versions/1/finish")
    seal_dataset(dataset_version=DatasetVersion.objects.get(), by=SYSTEM)
    return api.get("datasets/holdout/versions/1").json()


def test_every_role_of_a_column_is_taken_and_a_contradiction_is_named(contributor: Api) -> None:
    everything = {**COLUMNS, "weight": "w", "prediction": "p", "score": "s", "id": "i", "time": "t"}

    assert _register(contributor, **everything).json()["columns"] == everything
    refused = _register(contributor, weight="age")

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "columns.features"


def test_the_profile_tells_no_small_count_and_no_sensitive_value(
    contributor: Api, django_assert_max_num_queries: Any
) -> None:
    _sealed(contributor)

    with django_assert_max_num_queries(8):
        profile = contributor.get("datasets/holdout/versions/1/profile").json()

    assert (profile["rows"], profile["smallest_cell"]) == (3, 10)
    by_name = {one["name"]: one for one in profile["columns"]}
    assert by_name["sex"]["secret"]
    assert "top" not in by_name["sex"]
    assert by_name["y"]["top"] == []


def test_before_it_is_sealed_there_is_no_profile(contributor: Api) -> None:
    _register(contributor)

    answer = contributor.get("datasets/holdout/versions/1/profile")

    assert (answer.status_code, answer.json()["code"]) == (404, "dataset.no_profile")


def test_the_file_is_for_who_registered_it_validators_and_auditors(contributor: Api, person: Person) -> None:
    _sealed(contributor)
    address = "datasets/holdout/versions/1/file"

    answer = contributor.get(address)
    assert (answer.status_code, b"".join(answer)) == (200, CSV)
    for role, status in (("validator", 200), ("auditor", 200), ("contributor", 403), ("approver", 403)):
        given = Api(token_of(person(f"some-{role}", role))).get(address)
        assert given.status_code == status, role
        assert b"".join(given) == CSV or status == 403


def test_a_hold_out_is_made_by_a_validator_and_read_by_nobody(contributor: Api, person: Person) -> None:
    assert _register(contributor).status_code == 201
    refused = contributor.post("datasets", {"name": "exam", "role": "holdout", "columns": COLUMNS})
    assert (refused.status_code, refused.json()["code"]) == (403, "holdout.not_allowed")
    DatasetVersion.objects.all().delete()
    vera = Api(token_of(person("vera", "validator")))

    Dataset.objects.all().delete()
    body = _sealed(vera, role="holdout")

    assert (body["status"], body["role"], body["rows"]) == ("sealed", "holdout", 3)
    for api in (vera, contributor):
        answer = api.get("datasets/holdout/versions/1/file")
        assert (answer.status_code, answer.json()["code"]) == (403, "holdout.sealed")
    shown = vera.get("datasets/holdout/versions/1/profile").json()["columns"]
    assert all(set(one) == {"name", "type", "role", "secret"} for one in shown)


def test_a_reference_beyond_what_is_allowed_is_refused_by_field(contributor: Api) -> None:
    for reference in ("/etc/passwd", "s3://any/thing", "http://169.254.169.254/latest"):
        answer = contributor.post("datasets", {"name": "a", "role": "test", "columns": COLUMNS, "reference": reference})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "reference")
    assert not DatasetVersion.objects.exists()


def test_predictions_of_a_model_that_is_not_here_are_uploaded(contributor: Api, model: RegisteredModel) -> None:
    digest = _sealed(contributor)["digest"]
    assert contributor.post(f"models/{model.name}/versions", {}).status_code == 201
    upload(contributor, "vendor.md", b"Bought.", to=f"models/{model.name}/versions/1/files")
    finished = contributor.post(f"models/{model.name}/versions/1/finish", {"runnable": False})
    assert finished.status_code == 200, finished.content
    of = {"model": model.name, "version": 1, "dataset": "holdout", "dataset_version": 1, "digest": digest}
    given = {"name": "answers", "role": "predictions", "columns": {"score": "s"}, "predictions": of}

    unknown = contributor.post("datasets", {**given, "predictions": {**of, "dataset_version": 9}})
    made = contributor.post("datasets", given)

    assert unknown.status_code == 404
    assert made.status_code == 201, made.content
    assert made.json()["predictions_of"] == f"{model.name} v1"
    assert made.json()["predictions_for"] == "holdout v1"
