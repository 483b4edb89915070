"""Uploads and downloads: what is served is what was sealed."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from registry.models import ModelVersion, RegisteredModel, Upload
from tests.api.calls import Api, sha256
from tests.api.conftest import MLMODEL, Person, token_of


def _multipart(api: Api, to: str, path: str, content: bytes, *, declared: str = "", **headers: str) -> Any:
    fields = {"path": path, "sha256": declared or sha256(content), "file": SimpleUploadedFile(path, content)}
    return api.send("POST", to, encode_multipart(BOUNDARY, fields), kind=MULTIPART_CONTENT, **headers)


@pytest.fixture
def files(contributor: Api, model: RegisteredModel) -> str:
    assert contributor.post(f"models/{model.name}/versions", {}).status_code == 201
    return f"models/{model.name}/versions/1/files"


def test_a_version_sent_whole_is_sealed_listed_and_served_byte_for_byte(
    contributor: Api, files: str, django_assert_max_num_queries: Any
) -> None:
    weights = bytes(range(256)) * 1000
    for path, content in (("MLmodel", MLMODEL), ("data/model.skops", weights)):
        sent = _multipart(contributor, files, path, content)
        assert (sent.status_code, sent.json()["state"]) == (201, "complete"), sent.content
    assert [row["state"] for row in contributor.get(files).json()["results"]] == ["complete", "complete"]

    sealed = contributor.post("models/credit-default/versions/1/finish").json()

    assert (sealed["status"], len(sealed["manifest_digest"])) == ("READY", 64)
    assert sealed["size_bytes"] == len(MLMODEL) + len(weights)
    assert "sklearn" in sealed["flavours"]
    with django_assert_max_num_queries(9):
        listed = contributor.get(files).json()["results"]
    assert listed == [
        {"path": "MLmodel", "size": len(MLMODEL), "sha256": sha256(MLMODEL), "state": "sealed"},
        {"path": "data/model.skops", "size": len(weights), "sha256": sha256(weights), "state": "sealed"},
    ]
    got = contributor.get(f"{files}/data/model.skops")
    assert b"".join(got.streaming_content) == weights
    assert (got["ETag"], got["Content-Length"]) == (f'"{sha256(weights)}"', "256000")
    assert got["Content-Disposition"].startswith("attachment")
    assert contributor.get(f"{files}/nothing").status_code == 404
    again = contributor.post("models/credit-default/versions/1/finish").json()
    assert again["sealed_at"] == sealed["sealed_at"], "finishing twice is no second seal"


def test_a_file_sent_whole_with_another_digest_is_refused_and_the_path_is_free_again(
    contributor: Api, files: str
) -> None:
    answer = _multipart(contributor, files, "m", b"evil", declared=sha256(b"good"))

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["sha256"]
    assert _multipart(contributor, files, "m", b"good").status_code == 201


def test_a_file_sent_whole_twice_with_one_key_is_one_file(contributor: Api, files: str) -> None:
    first = _multipart(contributor, files, "m", b"good", idempotency_key="f1")
    second = _multipart(contributor, files, "m", b"good", idempotency_key="f1")

    assert first.json() == second.json()
    assert Upload.objects.count() == 1


def test_a_file_without_bytes_or_with_an_unknown_part_is_refused_by_name(contributor: Api, files: str) -> None:
    for fields, at_fault in (
        ({"path": "m", "sha256": "0" * 64}, "file"),
        ({"path": "m", "sha256": "0" * 64, "file": SimpleUploadedFile("m", b"x"), "mode": "1"}, "mode"),
    ):
        answer = contributor.send("POST", files, encode_multipart(BOUNDARY, fields), kind=MULTIPART_CONTENT)
        assert answer.status_code == 400
        assert at_fault in {error["field"] for error in answer.json()["errors"]}
    assert not Upload.objects.exists()


def test_a_multipart_body_that_is_cut_off_is_400(contributor: Api, files: str) -> None:
    fields = {"path": "m", "sha256": sha256(b"x"), "file": SimpleUploadedFile("m", b"x" * 1000)}
    body = encode_multipart(BOUNDARY, fields)[:300]

    assert contributor.send("POST", files, body, kind="multipart/form-data").status_code == 400
    assert contributor.send("POST", files, body, kind=MULTIPART_CONTENT).status_code in {400, 422}
    assert not Upload.objects.filter(state="complete").exists()


def test_an_upload_is_seen_by_nobody_but_the_person_who_opened_it(contributor: Api, files: str, person: Person) -> None:
    opened = contributor.post(files, {"path": "m", "sha256": "0" * 64, "size": 4}).json()
    other = Api(token_of(person("carl", "contributor")))

    assert other.get(opened["url"]).status_code == 404
    assert (
        other.send("PUT", opened["url"], b"evil", kind="application/octet-stream", upload_offset="0").status_code == 404
    )
    assert other.post(opened["complete_url"]).status_code == 404


def test_two_uploads_of_one_path_are_not_both_open(contributor: Api, files: str) -> None:
    assert contributor.post(files, {"path": "m", "sha256": "0" * 64, "size": 4}).status_code == 201
    assert contributor.post(files, {"path": "m", "sha256": "1" * 64, "size": 4}).status_code == 409


def test_nobody_downloads_before_the_seal(contributor: Api, files: str) -> None:
    _multipart(contributor, files, "MLmodel", MLMODEL)

    assert contributor.get(f"{files}/MLmodel").status_code == 404
    assert not ModelVersion.objects.get().is_sealed
