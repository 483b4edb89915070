"""Every kind of bad input, by name: a problem document that names the field, the right status, and nothing written."""

import json

import pytest

from audit.models import Inbox
from registry.models import ModelVersion, RegisteredModel, Upload
from tests.api.calls import Api, fields_at_fault, sha256
from tests.api.conftest import upload


def _nothing_made() -> bool:
    return not RegisteredModel.objects.exists()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not valid JSON"),
        (b'{"name": "a",}', "not valid JSON"),
        (b"\xff\xfe{}", "not valid UTF-8, at byte 0"),
        (b'{"name": "\xc3\x28"}', "not valid UTF-8, at byte 10"),
        (b'{"name": "a", "name": "b"}', "there twice"),
        (b'{"tier": NaN}', "NaN is no JSON number"),
        (b'{"tier": -Infinity}', "-Infinity is no JSON number"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"tier": ' + b"9" * 5000 + b"}", "not acceptable JSON"),
        (b"", ""),
    ],
    ids=["cut", "comma", "bom", "utf8", "twice", "nan", "infinity", "deep", "digits", "empty"],
)
def test_a_body_that_is_no_json_is_refused_with_the_place(contributor: Api, body: bytes, says: str) -> None:
    answer = contributor.send("POST", "models", body)

    assert answer.status_code == 400
    assert says in answer.json()["detail"]
    assert _nothing_made()


@pytest.mark.parametrize("body", [b"[]", b"null", b'"name"', b"1", b"true"])
def test_json_that_is_no_object_is_refused(contributor: Api, body: bytes) -> None:
    assert contributor.send("POST", "models", body).status_code == 400
    assert _nothing_made()


def test_a_body_over_the_limit_is_413(contributor: Api) -> None:
    answer = contributor.post("models", {"name": "big", "description": "x" * 300_000})

    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"
    assert _nothing_made()


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "nonsense"])
def test_a_media_type_that_is_not_read_is_415(contributor: Api, kind: str) -> None:
    assert contributor.send("POST", "models", b'{"name": "a"}', kind=kind).status_code == 415
    assert _nothing_made()


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": None}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x" * 300}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "a:b"}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a\x1bb"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"name": " a"}, "name"),
        ({"name": "e\u0301"}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"name": ".."}, "name"),
        ({"name": "a", "tier": 4}, "tier"),
        ({"name": "a", "tier": "1"}, "tier"),
        ({"name": "a", "tier": True}, "tier"),
        ({"name": "a", "description": "\x00"}, "description"),
        ({"name": "a", "description": "x" * 20_001}, "description"),
        ({"name": "a", "colour": "red"}, "colour"),
        ({"name": "a", "owner": "someone"}, "owner"),
        ({"name": "a", "tags": []}, "tags"),
        ({"name": "a", "tags": {"k\x00": "v"}}, "tags"),
        ({"name": "a", "tags": {"k": "\x00"}}, "tags.k"),
        ({"name": "a", "tags": {"": "v"}}, "tags"),
        ({"name": "a", "tags": {str(n): "" for n in range(101)}}, "tags"),
        ({"name": "a", "card": {"Not A Key": "v"}}, "card"),
        ({"name": "a", "card": {"limitations": 5}}, "card.limitations"),
    ],
    ids=str,
)
def test_a_bad_field_of_a_model_is_named_and_nothing_is_made(contributor: Api, data: object, field: str) -> None:
    answer = contributor.post("models", data)

    assert answer.status_code in {400, 422}, answer.content
    assert field in fields_at_fault(answer), answer.json()
    assert _nothing_made()


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"metrics": {"auc": "0.8"}}, "metrics.auc"),
        ({"metrics": {"auc": True}}, "metrics.auc"),
        ({"metrics": {"auc": int("9" * 400)}}, "metrics.auc"),
        ({"parameters": {"C": 1}}, "parameters.C"),
        ({"lineage": {"code": {}}}, "lineage.code.commit"),
        ({"lineage": {"code": {"commit": "a b"}}}, "code.commit"),
        ({"lineage": {"datasets": [{"name": "d", "sha256": "abc"}]}}, "lineage.datasets.0.sha256"),
        ({"lineage": {"datasets": [{"nom": "d"}]}}, "lineage.datasets.0.nom"),
        ({"lineage": {"datasets": [{"name": "d", "version": 7}]}}, "datasets"),
        ({"lineage": {"base_models": ["models:/credit-default/1"]}}, "base_models"),
        ({"lineage": {"seeds": {"numpy": "x"}}}, "lineage.seeds.numpy"),
        (
            {"lineage": {"environment": {"files": {"requirements.txt": "x"}}}},
            "lineage.environment.files.requirements.txt",
        ),
    ],
    ids=str,
)
@pytest.mark.usefixtures("model")
def test_a_bad_field_of_a_version_is_named_and_neither_version_nor_lineage_is_made(
    contributor: Api, data: object, field: str
) -> None:
    answer = contributor.post("models/credit-default/versions", data)

    assert answer.status_code in {400, 422}, answer.content
    assert field in fields_at_fault(answer), answer.json()
    assert not ModelVersion.objects.exists()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page_size=0", "page_size"),
        ("page_size=201", "page_size"),
        ("page_size=x", "page_size"),
        ("tier=4", "tier"),
        ("tier=\u0664\u0662", "tier"),
        ("name=a%00b", "name"),
        ("after=nonsense", "after"),
        ("after=%00", "after"),
        ("colour=red", "colour"),
    ],
)
def test_a_bad_query_is_refused_by_name(contributor: Api, query: str, field: str) -> None:
    answer = contributor.get(f"models?{query}")

    assert answer.status_code in {400, 422}
    assert field in fields_at_fault(answer)


@pytest.mark.parametrize(
    "path",
    ["models/a%2Fb", "models/a%00b", "models/" + "x" * 300, "models/%ff", "models/credit-default/versions/0",
     "models/credit-default/versions/99999999999999999999", "models/credit-default/versions/-1", "requests/REQ-00001",
     "requests/0001", "uploads/not-a-uuid", "permits/1", "models/credit-default/versions/1/files/%00"],
)  # fmt: skip
@pytest.mark.usefixtures("model")
def test_an_address_that_nothing_can_have_is_404(contributor: Api, path: str) -> None:
    assert contributor.get(path).status_code == 404


def test_a_method_that_is_not_spoken_is_405_and_says_which_are(contributor: Api) -> None:
    answer = contributor.call("PUT", "models", {"name": "a"})

    assert answer.status_code == 405
    assert "POST" in answer["Allow"]


@pytest.fixture
def files(contributor: Api, model: RegisteredModel) -> str:
    """Where files of a version that is not sealed go."""
    assert contributor.post(f"models/{model.name}/versions", {}).status_code == 201
    return f"models/{model.name}/versions/1/files"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"path": "../x"}, "path"),
        ({"path": "/etc/passwd"}, "path"),
        ({"path": "a//b"}, "path"),
        ({"path": "a\\b"}, "path"),
        ({"path": "a\x00b"}, "path"),
        ({"path": "x" * 1025}, "path"),
        ({"sha256": "ABC"}, "sha256"),
        ({"sha256": "A" * 64}, "sha256"),
        ({"size": -1}, "size"),
        ({"size": "1"}, "size"),
        ({"mode": "0777"}, "mode"),
    ],
    ids=str,
)
def test_a_bad_declaration_of_a_file_is_named(
    contributor: Api, files: str, change: dict[str, object], field: str
) -> None:
    answer = contributor.post(files, {"path": "m", "sha256": "0" * 64, "size": 1, **change})

    assert answer.status_code in {400, 422}, answer.content
    assert field in fields_at_fault(answer)
    assert not Upload.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_bytes_that_are_not_the_declared_ones_are_refused_dropped_and_logged(contributor: Api, files: str) -> None:
    opened = contributor.post(files, {"path": "m", "sha256": sha256(b"good"), "size": 4}).json()
    contributor.send("PUT", opened["url"], b"evil", kind="application/octet-stream", upload_offset="0")

    answer = contributor.post(opened["complete_url"])

    assert answer.status_code == 422
    assert fields_at_fault(answer) == {"sha256"}
    assert Upload.objects.get().state == Upload.State.FAILED
    assert contributor.post(opened["complete_url"]).status_code == 409, "failed is failed"
    assert "upload.failed" in [json.loads(row.canon)["action"] for row in Inbox.objects.all()]
    upload(contributor, "m", b"good")  # the path is free again


def test_an_upload_that_was_cut_off_can_be_seen_cannot_be_closed_and_can_go_on(contributor: Api, files: str) -> None:
    opened = contributor.post(files, {"path": "m", "sha256": sha256(b"12345678"), "size": 8}).json()
    contributor.send("PUT", opened["url"], b"1234", kind="application/octet-stream", content_range="bytes 0-3/8")

    assert contributor.post(opened["complete_url"]).status_code in {409, 422}
    assert contributor.post("models/credit-default/versions/1/finish").status_code == 409
    seen = contributor.call("HEAD", opened["url"])
    assert (seen["Upload-Offset"], seen["Upload-Length"]) == ("4", "8")

    contributor.send("PATCH", opened["url"], b"5678", kind="application/octet-stream", upload_offset="4")
    assert contributor.post(opened["complete_url"]).json()["state"] == "complete"


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({}, b"1234", (422, "Upload-Offset")),
        ({"upload_offset": "x"}, b"1234", (422, "Upload-Offset")),
        ({"upload_offset": "2"}, b"1234", (409, "Upload-Offset")),
        ({"content_range": "bytes 0-9/8"}, b"1234", (422, "Content-Range")),
        ({"content_range": "bytes 0-3/9"}, b"1234", (422, "Content-Range")),
        ({"content_range": "lines 0-3/8"}, b"1234", (422, "Content-Range")),
        ({"upload_offset": "0"}, b"123456789", (422, "")),
    ],
)
def test_a_chunk_that_does_not_fit_is_refused_and_nothing_is_received(
    contributor: Api, files: str, headers: dict[str, str], body: bytes, expected: tuple[int, str]
) -> None:
    opened = contributor.post(files, {"path": "m", "sha256": "0" * 64, "size": 8}).json()

    answer = contributor.send("PUT", opened["url"], body, kind="application/octet-stream", **headers)

    status, field = expected
    assert answer.status_code == status, answer.content
    assert not field or field in fields_at_fault(answer)
    assert Upload.objects.get().received == 0


def test_a_chunk_that_is_json_is_415(contributor: Api, files: str) -> None:
    opened = contributor.post(files, {"path": "m", "sha256": "0" * 64, "size": 8}).json()

    assert contributor.call("PUT", opened["url"], {}, upload_offset="0").status_code == 415


@pytest.mark.usefixtures("files")
def test_a_version_without_files_and_one_that_is_no_mlflow_model_are_not_sealed(contributor: Api) -> None:
    assert contributor.post("models/credit-default/versions/1/finish").status_code in {409, 422}
    upload(contributor, "something.bin", b"x")

    answer = contributor.post("models/credit-default/versions/1/finish")

    assert answer.status_code in {409, 422}
    assert "MLmodel" in answer.json()["detail"]
    assert not ModelVersion.objects.exclude(sealed_at=None).exists()


@pytest.mark.usefixtures("sealed_version")
def test_a_sealed_version_takes_no_more_files(contributor: Api) -> None:
    answer = contributor.post("models/credit-default/versions/1/files", {"path": "late", "sha256": "0" * 64, "size": 1})

    assert answer.status_code == 409


@pytest.mark.parametrize("token", ["", "x", "a.b", "é", "a" * 5000, "\x00"])
@pytest.mark.django_db
def test_a_token_that_is_none_is_401(token: str) -> None:
    answer = Api().get("me", authorization=f"Bearer {token}")

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
