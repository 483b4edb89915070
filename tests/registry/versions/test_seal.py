"""Sealing: once, whole, for ever; also against whoever writes SQL."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from audit.actors import Actor
from config.errors import Conflict, Invalid, NotFound
from registry.digests import SealedFile, manifest_digest, manifest_document
from registry.models import Blob, Manifest, ManifestFile, ModelVersion, RegisteredModel, User
from registry.services import versions
from tests.factories import registry as make
from tests.waiting import until_a_backend_waits_on_a_lock

pytestmark = pytest.mark.usefixtures("by_hand")

INGEST = Actor.service("ingest")
CONTENTS = {"MLmodel": make.MLMODEL, "data/model.bin": b"weights", "copy.bin": b"weights"}


def test_a_sealed_version_has_its_files_its_digest_and_an_entry(pending: ModelVersion) -> None:
    files, before = make.stored(CONTENTS), len(make.entries())

    version = versions.seal_version(
        version_id=pending.pk, files=files, by=INGEST, flavours=["sklearn", "python_function"], signature={"inputs": []}
    )

    digest = manifest_digest(manifest_document(files))
    assert (version.status, version.manifest_digest, version.is_sealed) == ("READY", digest, True)
    assert (version.flavours, version.size_bytes) == (["python_function", "sklearn"], sum(map(len, CONTENTS.values())))
    assert version.manifest is not None
    assert version.manifest.document == manifest_document(files)
    assert dict(version.manifest.files.values_list("path", "blob_id")) == {file.path: file.sha256 for file in files}
    assert Blob.objects.count() == 2, "equal contents are one blob"
    manifest, entry = make.entries(before)
    assert (manifest["action"], manifest["object"]["id"]) == ("manifest.stored", digest)
    assert (entry["action"], entry["facts"]["manifest_digest"]) == ("version.sealed", digest)


def test_delivered_twice_it_is_sealed_once(pending: ModelVersion) -> None:
    files = make.stored(CONTENTS)
    first = versions.seal_version(version_id=pending.pk, files=files, by=INGEST)

    second = versions.seal_version(version_id=pending.pk, files=files[::-1], by=INGEST)

    assert second.sealed_at == first.sealed_at
    assert make.actions().count("version.sealed") == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_deliveries_at_once_one_waits_and_finds_it_sealed(pending: ModelVersion) -> None:
    files = make.stored(CONTENTS)

    def seal() -> str:
        try:
            return versions.seal_version(version_id=pending.pk, files=files, by=INGEST).manifest_digest
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            first = versions.seal_version(version_id=pending.pk, files=files, by=INGEST)
            second = pool.submit(seal)
            until_a_backend_waits_on_a_lock()
        assert second.result(timeout=10) == first.manifest_digest
    assert make.actions().count("version.sealed") == 1


def test_other_bytes_are_refused_once_it_is_sealed(pending: ModelVersion) -> None:
    versions.seal_version(version_id=pending.pk, files=make.stored(CONTENTS), by=INGEST)

    with pytest.raises(Conflict) as refused:
        versions.seal_version(version_id=pending.pk, files=make.stored({"MLmodel": b"other"}), by=INGEST)

    assert refused.value.code == "version.sealed"
    assert Manifest.objects.count() == 1


def test_equal_versions_share_a_manifest(model: RegisteredModel, scientist: User) -> None:
    first, second = (make.sealed_version(model, scientist, CONTENTS) for _ in range(2))

    assert first.manifest_id == second.manifest_id
    assert ManifestFile.objects.count() == len(CONTENTS)


def test_bytes_that_are_not_stored_are_not_sealed(pending: ModelVersion) -> None:
    here = make.stored(CONTENTS)
    longer = [SealedFile(file.path, file.size + 1, file.sha256) for file in here]

    for files in ([SealedFile("MLmodel", 1, "ab" * 32)], longer):
        with pytest.raises(Conflict) as refused:
            versions.seal_version(version_id=pending.pk, files=files, by=INGEST)
        assert refused.value.code == "version.bytes_missing"

    pending.refresh_from_db()
    assert (pending.status, pending.manifest_digest) == (ModelVersion.Status.PENDING, "")
    assert not Blob.objects.exists()


def test_nothing_is_sealed_from_nothing(pending: ModelVersion) -> None:
    with pytest.raises(Invalid, match="no files"):
        versions.seal_version(version_id=pending.pk, files=[], by=INGEST)
    with pytest.raises(NotFound):
        versions.seal_version(version_id=uuid4(), files=make.stored(CONTENTS), by=INGEST)


def test_a_failed_version_says_why_and_stays_failed(pending: ModelVersion) -> None:
    versions.fail_version(version_id=pending.pk, message="The run is gone.\x00", by=INGEST)
    versions.fail_version(version_id=pending.pk, message="Again.", by=INGEST)

    pending.refresh_from_db()
    assert (pending.status, pending.status_message) == (ModelVersion.Status.FAILED, "The run is gone.")
    assert make.actions().count("version.failed") == 1
    with pytest.raises(Conflict, match="The run is gone"):
        versions.seal_version(version_id=pending.pk, files=make.stored(CONTENTS), by=INGEST)


def test_a_sealed_version_does_not_fail(sealed: ModelVersion) -> None:
    with pytest.raises(Conflict) as refused:
        versions.fail_version(version_id=sealed.pk, message="Too late.", by=INGEST)

    assert refused.value.code == "version.sealed"


@pytest.mark.parametrize(
    "column",
    ["number", "status", "manifest", "manifest_digest", "size_bytes", "flavours", "signature", "source", "run_id",
     "logged_model_id", "registered_by", "created_at", "sealed_at", "model"],
)  # fmt: skip
def test_sql_changes_nothing_of_what_was_sealed(
    column: str, sealed: ModelVersion, model: RegisteredModel, scientist: User, stranger: User
) -> None:
    other = make.sealed_version(model, scientist, {"MLmodel": b"other"})
    change: dict[str, object] = {
        "number": 99, "status": "PENDING_REGISTRATION", "manifest": other.manifest, "manifest_digest": "ab" * 32,
        "size_bytes": 0, "flavours": [], "signature": {"inputs": 1}, "source": "elsewhere", "run_id": "9",
        "logged_model_id": "9", "registered_by": stranger, "created_at": timezone.now(), "sealed_at": None,
        "model": make.registered_model(scientist),
    }  # fmt: skip

    with pytest.raises(DatabaseError, match=r"is sealed: \w+ never changes"), transaction.atomic():
        ModelVersion.objects.filter(pk=sealed.pk).update(**{column: change[column]})


def test_sql_deletes_no_sealed_version(sealed: ModelVersion, pending: ModelVersion) -> None:
    with pytest.raises(DatabaseError, match="is never deleted"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM registry_modelversion WHERE id = %s", [sealed.pk])
    ModelVersion.objects.filter(pk=pending.pk).delete()


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["registry_modelversion", "registry_datasetversion"])
def test_the_trigger_holds_also_for_replication_and_restores(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgenabled FROM pg_trigger WHERE tgname = 'keep_sealed' AND tgrelid = %s::regclass", [table]
        )
        assert cursor.fetchall() == [("A",)]


def test_who_trained_it_can_be_learned_once_and_not_taken_back(sealed: ModelVersion, stranger: User) -> None:
    row = ModelVersion.objects.filter(pk=sealed.pk)

    row.update(trained_by=stranger, parameters={"depth": "3"}, description="Texts may change.")

    with pytest.raises(DatabaseError, match="trained_by_id never changes"), transaction.atomic():
        row.update(trained_by=None)


def test_a_manifest_and_its_files_are_written_once(sealed: ModelVersion) -> None:
    for table in ("manifest", "manifestfile", "blob"):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM registry_{table}")


def test_ready_without_bytes_is_impossible(pending: ModelVersion) -> None:
    with pytest.raises(DatabaseError, match="modelversion_ready_iff_sealed"), transaction.atomic():
        ModelVersion.objects.filter(pk=pending.pk).update(status="READY")
    with pytest.raises(DatabaseError, match="modelversion_failed_says_why"), transaction.atomic():
        ModelVersion.objects.filter(pk=pending.pk).update(status="FAILED_REGISTRATION")
