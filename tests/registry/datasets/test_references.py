"""References: only what the operator allows is read, once, by the worker; a changed file or object is a new version."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from moto.server import ThreadedMotoServer

from audit.actors import Actor
from config.errors import Invalid
from registry import references
from registry.models import DatasetVersion, User
from registry.references import Allowed, parse
from registry.roles import Role
from registry.services import datasets, sealing
from tests.factories import registry as make
from tests.registry.datasets.files import CSV, parquet

pytestmark = pytest.mark.usefixtures("by_hand")

WORKER = Actor.service("ingest")
ALLOWED = Allowed([Path("/srv/data")], ["bank-data/credit/", "open"])
SECRET = "do-not-tell-this-key"


def registered(by: User, reference: str, **columns: Any) -> DatasetVersion:
    """What the worker makes of a reference."""
    version = datasets.register_dataset(
        name="credit", role="test", by=make.actor(by), columns=columns, reference=reference
    )
    return sealing.seal_dataset(dataset_version=version, by=WORKER)


@pytest.mark.parametrize(
    ("text", "kind", "root", "key"),
    [
        ("/srv/data/a.csv", "path", "/srv/data", "a.csv"),
        ("file:///srv/data/deep/a b.csv", "path", "/srv/data", "deep/a b.csv"),
        ("s3://bank-data/credit/2026/a.parquet", "s3", "bank-data", "credit/2026/a.parquet"),
        ("s3://open/a", "s3", "open", "a"),
    ],
)
def test_what_is_allowed_is_taken_apart(text: str, kind: str, root: str, key: str) -> None:
    found = parse(text, ALLOWED)

    assert (found.kind, found.root, found.key) == (kind, root, key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.csv",
        "../etc/passwd",
        "/etc/passwd",
        "/srv/data",
        "/srv/data/",
        "/srv/data/../../etc/passwd",
        "/srv/data/./a",
        "/srv/data//a",
        "/srv/database/a",
        "/srv/data/%2e%2e/a",
        "/srv/data/a\x00b",
        "/srv/data/a\nb",
        "/srv/data\\a",
        "file://host/srv/data/a",
        "file:/srv/data/a",
        "http://169.254.169.254/latest/meta-data/",
        "https://s3.example.org/bank-data/credit/a",
        "gs://bank-data/credit/a",
        "s3://bank-data",
        "s3://bank-data/",
        "s3://bank-data/credit/",
        "s3://bank-data/salaries/a",
        "s3://bank-data/credit/../salaries/a",
        "s3://bank-data/creditors",
        "s3://bank-data-2/credit/a",
        "s3://user:password@bank-data/credit/a",
        "s3://169.254.169.254/credit/a",
        "s3://open:9000/a",
        "s3:///a",
        "/srv/data/" + "a" * 2000,
    ],
)
def test_nothing_else_is(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(text, ALLOWED)

    assert refused.value.field == "reference"
    assert refused.value.code in {"reference.malformed", "reference.not_allowed"}


def test_without_the_operators_leave_nothing_is_read(scientist: User) -> None:
    with pytest.raises(Invalid, match="reads no data sets of this role from a path"):
        datasets.register_dataset(name="a", role="test", by=make.actor(scientist), reference="/etc/passwd")
    assert not DatasetVersion.objects.exists()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory that data sets may be read from."""
    found = tmp_path / "shared"
    found.mkdir()
    with override_settings(DATASET_DIRS=(found,)):
        yield found


def test_a_file_is_read_once_and_sealed(scientist: User, place: Path) -> None:
    file = place / "deep" / "credit.csv"
    file.parent.mkdir()
    file.write_bytes(CSV)

    version = registered(scientist, str(file), label="bad")

    assert (version.status, version.status_message) == ("sealed", "")
    assert (version.digest, version.rows) == (make.sha256(CSV), 3)
    assert version.origin["size"] == str(len(CSV))
    assert make.actions()[-3:] == ["dataset.registered", "dataset.finished", "dataset.sealed"]
    file.write_bytes(CSV + b"60,m,1\n")
    assert registered(scientist, str(file), label="bad").number == 2
    assert DatasetVersion.objects.get(number=1).digest == make.sha256(CSV)


def test_what_has_not_changed_is_no_new_version(scientist: User, place: Path) -> None:
    (place / "a.csv").write_bytes(CSV)
    registered(scientist, str(place / "a.csv"), label="bad")

    again = registered(scientist, str(place / "a.csv"), label="bad")

    assert again.status == "failed"
    assert "has not changed since version 1" in again.status_message


def _link(place: Path, outside: Path) -> str:
    (place / "a.csv").symlink_to(outside / "secret.csv")
    return "a.csv"


def _linked_directory(place: Path, outside: Path) -> str:
    (place / "deep").symlink_to(outside)
    return "deep/secret.csv"


def _pipe(place: Path, _outside: Path) -> str:
    os.mkfifo(place / "a.csv")
    return "a.csv"


def _directory(place: Path, _outside: Path) -> str:
    (place / "a.csv").mkdir()
    return "a.csv"


def _nothing(_place: Path, _outside: Path) -> str:
    return "a.csv"


@pytest.mark.parametrize("trap", [_link, _linked_directory, _pipe, _directory, _nothing])
def test_links_pipes_and_directories_are_not_followed(scientist: User, place: Path, tmp_path: Path, trap: Any) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_bytes(CSV)

    version = registered(scientist, str(place / trap(place, outside)))

    assert version.status == "failed"
    assert "cannot be read" in version.status_message
    assert version.blob is None


def test_the_installations_own_files_are_none_even_if_the_operator_says_so(
    scientist: User, artifact_root: Path
) -> None:
    (artifact_root / "a.csv").write_bytes(CSV)
    with override_settings(DATASET_DIRS=(artifact_root,)):
        version = registered(scientist, str(artifact_root / "a.csv"))

    assert "keeps its own files" in version.status_message


def test_a_hold_outs_places_are_its_own(scientist: User, place: Path, tmp_path: Path) -> None:
    officer = make.person(Role.VALIDATOR)
    vault = tmp_path / "vault"
    vault.mkdir()
    (vault / "a.csv").write_bytes(CSV)
    (place / "a.csv").write_bytes(CSV)
    with override_settings(HOLDOUT_DIRS=(vault,)):
        with pytest.raises(Invalid, match="not below a place"):
            registered(scientist, str(vault / "a.csv"))
        with pytest.raises(Invalid, match="not below a place"):
            datasets.register_dataset(name="h", role="holdout", by=make.actor(officer), reference=str(place / "a.csv"))
        made = datasets.register_dataset(
            name="h", role="holdout", by=make.actor(officer), reference=str(vault / "a.csv")
        )
        assert sealing.seal_dataset(dataset_version=made, by=WORKER).status == "sealed"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An S3 of our own with a bucket, and a worker with credentials for it."""
    import boto3  # noqa: PLC0415

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("DATASET_S3_ACCESS_KEY_ID", "worker")
    monkeypatch.setenv("DATASET_S3_SECRET_ACCESS_KEY", SECRET)
    endpoint = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
    )
    client.create_bucket(Bucket="bank-data")
    client.put_bucket_versioning(Bucket="bank-data", VersioningConfiguration={"Status": "Enabled"})
    with override_settings(DATASET_S3=("bank-data/credit/",), DATASET_S3_ENDPOINT=endpoint):
        yield client
    client.close()
    server.stop()


def test_an_object_is_read_once_and_a_changed_one_is_a_new_version(scientist: User, bucket: Any) -> None:
    bucket.put_object(Bucket="bank-data", Key="credit/a.parquet", Body=parquet())

    first = registered(scientist, "s3://bank-data/credit/a.parquet", label="bad")
    bucket.put_object(Bucket="bank-data", Key="credit/a.parquet", Body=CSV)
    second = registered(scientist, "s3://bank-data/credit/a.parquet", label="bad")

    assert (first.status, first.status_message, first.digest) == ("sealed", "", make.sha256(parquet()))
    assert set(first.origin) == {"etag", "modified", "size", "version"}
    assert (second.number, second.digest, second.format) == (2, make.sha256(CSV), "csv")
    assert first.origin["version"] != second.origin["version"]


@pytest.mark.parametrize(
    ("key", "cause"), [("credit/none.csv", "does not give the object (NoSuchKey)"), ("credit/a.csv", "")]
)
def test_what_s3_does_not_give_is_said_and_no_credential_is_told(
    scientist: User, bucket: Any, key: str, cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.put_object(Bucket="bank-data", Key="credit/a.csv", Body=CSV)

    version = registered(scientist, f"s3://bank-data/{key}")

    assert cause in version.status_message
    told = [str(vars(version)), str(make.entries()), caplog.text]
    assert not any(SECRET in text for text in told)


def test_an_endpoint_that_is_not_there_and_a_worker_without_credentials_are_said(
    scientist: User, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with override_settings(DATASET_S3_ENDPOINT="http://127.0.0.1:9"):
        assert "could not be read" in registered(scientist, "s3://bank-data/credit/a").status_message
    monkeypatch.delenv("DATASET_S3_SECRET_ACCESS_KEY")
    assert "no credentials" in registered(scientist, "s3://bank-data/credit/a").status_message


def test_the_reference_of_a_stored_row_is_judged_again_by_the_worker(scientist: User, place: Path) -> None:
    (place / "a.csv").write_bytes(CSV)
    version = datasets.register_dataset(name="a", role="test", by=make.actor(scientist), reference=str(place / "a.csv"))
    with override_settings(DATASET_DIRS=()):
        version = sealing.seal_dataset(dataset_version=version, by=WORKER)

    assert "reads no data sets" in version.status_message
    assert references.LONGEST == 2000
