"""Data sets over REST: the server reads the bytes, and names the column that is missing."""

from typing import Any

import pytest

from audit.actors import SYSTEM
from registry.models import DatasetVersion
from registry.services.sealing import seal_dataset
from tests.api.calls import Api, sha256
from tests.api.conftest import upload

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
