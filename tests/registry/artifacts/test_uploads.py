"""Uploads: in chunks, resumable, honest about what arrived, closed by the digest the server computes."""

import io
import os
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django import Settings

from audit.actors import SYSTEM
from config.errors import Conflict, Invalid, NotAllowed, Refusal
from registry.models import Blob, DatasetVersion, ModelVersion, Upload, User
from registry.roles import Role
from registry.services import artifacts, datasets, versions
from registry.storage import DigestMismatch, blobs
from tests.factories import registry as make

pytestmark = pytest.mark.usefixtures("by_hand")

CONTENT = b"0123456789"


class _CutOff(io.RawIOBase):
    """A client that goes away after its first bytes."""

    def __init__(self, first: bytes) -> None:
        self.first = [first]

    def read(self, size: int = -1, /) -> bytes:
        if self.first:
            return self.first.pop()
        raise ConnectionResetError


@pytest.fixture
def opened(pending: ModelVersion, scientist: User) -> Upload:
    """An upload of CONTENT, of which nothing has arrived."""
    return artifacts.open_upload(
        pending, path="data/model.bin", declared_sha256=make.sha256(CONTENT), declared_size=10, by=make.actor(scientist)
    )


def _send(upload: Upload, offset: int, data: bytes) -> Upload:
    return artifacts.append_chunk(upload=upload, offset=offset, stream=io.BytesIO(data), by=make.actor(upload.owner))


def test_chunks_make_a_blob_and_the_ledger_says_so(opened: Upload, scientist: User) -> None:
    assert _send(opened, 0, CONTENT[:4]).received == 4
    assert _send(opened, 4, CONTENT[4:]).received == 10

    done = artifacts.complete_upload(upload=opened, by=make.actor(scientist))

    assert done.state == Upload.State.COMPLETE
    with blobs().open(make.sha256(CONTENT)) as stream:
        assert stream.read() == CONTENT
    assert make.actions()[-2:] == ["upload.opened", "upload.completed"]
    assert not artifacts.partial_path(opened).exists()


def test_completing_twice_is_no_error_and_is_logged_once(opened: Upload, scientist: User) -> None:
    _send(opened, 0, CONTENT)

    for _ in range(2):
        assert artifacts.complete_upload(upload=opened, by=make.actor(scientist)).state == Upload.State.COMPLETE

    assert make.actions().count("upload.completed") == 1
    with pytest.raises(Conflict, match="complete"):
        _send(opened, 10, b"")


@pytest.mark.parametrize("offset", [0, 3, 5, 10])
def test_a_wrong_offset_is_refused_saying_the_right_one(opened: Upload, offset: int) -> None:
    _send(opened, 0, CONTENT[:4])

    with pytest.raises(Conflict, match="begins at 4") as refused:
        _send(opened, offset, b"xx")

    assert refused.value.extra == {"received": 4}
    opened.refresh_from_db()
    assert opened.received == 4


def test_of_a_chunk_that_is_too_long_nothing_is_kept(opened: Upload, scientist: User) -> None:
    _send(opened, 0, CONTENT[:4])

    with pytest.raises(Invalid, match="More than the declared 10 bytes"):
        _send(opened, 4, b"x" * 7)

    opened.refresh_from_db()
    assert opened.received == 4
    _send(opened, 4, CONTENT[4:])
    artifacts.complete_upload(upload=opened, by=make.actor(scientist))


def test_an_upload_that_was_cut_off_counts_what_arrived_and_can_be_resumed(opened: Upload, scientist: User) -> None:
    with pytest.raises(Conflict, match="cut off at byte 6") as refused:
        artifacts.append_chunk(upload=opened, offset=0, stream=_CutOff(CONTENT[:6]), by=make.actor(scientist))
    assert (refused.value.code, refused.value.extra) == ("upload.cut_off", {"received": 6})
    opened.refresh_from_db()
    assert opened.received == 6

    with pytest.raises(Conflict, match="6 of 10 bytes"):
        artifacts.complete_upload(upload=opened, by=make.actor(scientist))

    _send(opened, 6, CONTENT[6:])
    assert artifacts.complete_upload(upload=opened, by=make.actor(scientist)).state == Upload.State.COMPLETE


def test_bytes_a_dying_process_wrote_but_did_not_count_are_written_anew(opened: Upload, scientist: User) -> None:
    _send(opened, 0, CONTENT[:4])
    with artifacts.partial_path(opened).open("ab") as part:
        part.write(b"torn")

    _send(opened, 4, CONTENT[4:])

    assert artifacts.complete_upload(upload=opened, by=make.actor(scientist)).state == Upload.State.COMPLETE


@pytest.mark.django_db(transaction=True)
def test_no_row_is_locked_while_a_client_is_slow_and_a_second_writer_is_refused(
    opened: Upload, scientist: User
) -> None:
    begun, go_on = Event(), Event()
    outcome: list[int] = []

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            begun.set()
            assert go_on.wait(30)
            return super().read(size)

    def send() -> None:
        try:
            outcome.append(
                artifacts.append_chunk(upload=opened, offset=0, stream=Slow(CONTENT), by=make.actor(scientist)).received
            )
        finally:
            connection.close()

    sender = Thread(target=send)
    sender.start()
    try:
        assert begun.wait(30)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
            )
            assert cursor.fetchone() == (0,)
        with pytest.raises(Conflict) as refused:
            _send(opened, 0, CONTENT)
        assert refused.value.code == "upload.busy"
    finally:
        go_on.set()
        sender.join(30)
    assert outcome == [10]


def test_a_digest_that_does_not_match_fails_the_upload_and_leaves_no_blob(
    pending: ModelVersion, scientist: User, artifact_root: Path
) -> None:
    upload = make.upload(pending, scientist, b"evil", declared=b"good")
    before = len(make.entries())

    with pytest.raises(DigestMismatch) as refused:
        artifacts.complete_upload(upload=upload, by=make.actor(scientist))

    assert refused.value.field == "sha256"
    upload.refresh_from_db()
    assert (upload.state, upload.blob) == (Upload.State.FAILED, None)
    assert not Blob.objects.exists()
    assert [path for path in artifact_root.rglob("*") if path.is_file()] == []
    [entry] = make.entries(before)
    assert entry["action"] == "upload.failed"
    assert entry["object"]["id"] == str(pending.pk)
    assert entry["facts"] == {
        "path": "MLmodel",
        "declared": make.sha256(b"good"),
        "actual": make.sha256(b"evil"),
    }
    with pytest.raises(Conflict, match="failed"):
        artifacts.complete_upload(upload=upload, by=make.actor(scientist))
    make.uploaded(pending, scientist, b"good")  # the path is free again


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"path": "../MLmodel"}, "path"),
        ({"path": "/MLmodel"}, "path"),
        ({"path": "a\\b"}, "path"),
        ({"path": "a\x00"}, "path"),
        ({"declared_sha256": "0" * 63}, "sha256"),
        ({"declared_sha256": "X" * 64}, "sha256"),
        ({"declared_size": -1}, "size"),
        ({"declared_size": 101}, "size"),
    ],
    ids=str,
)
def test_a_bad_declaration_is_refused_by_field(
    pending: ModelVersion, scientist: User, settings: Settings, change: dict[str, object], field: str
) -> None:
    settings.MAX_UPLOAD_BYTES = 100
    said: dict[str, object] = {"path": "MLmodel", "declared_sha256": "0" * 64, "declared_size": 1, **change}

    with pytest.raises(Invalid) as refused:
        artifacts.open_upload(pending, by=make.actor(scientist), **said)  # type: ignore[arg-type]

    assert refused.value.field == field
    assert not Upload.objects.exists()


def test_a_path_is_taken_by_the_upload_that_was_first(opened: Upload, pending: ModelVersion, scientist: User) -> None:
    with pytest.raises(Conflict) as refused:
        make.upload(pending, scientist, b"", "data/model.bin")

    assert (refused.value.code, refused.value.field) == ("upload.path_taken", "path")
    assert Upload.objects.count() == 1


def test_a_data_set_version_has_one_file(scientist: User) -> None:
    version = datasets.register_dataset(name="credit", role="test", by=make.actor(scientist))
    make.upload(version, scientist, b"a")

    with pytest.raises(Conflict, match="one file"):
        make.upload(version, scientist, b"b", "other")


def test_an_upload_is_its_owners(opened: Upload, stranger: User) -> None:
    colleague = make.person(Role.CONTRIBUTOR)

    for other in (stranger, colleague):
        with pytest.raises(NotAllowed):
            artifacts.append_chunk(upload=opened, offset=0, stream=io.BytesIO(CONTENT), by=make.actor(other))
        with pytest.raises(NotAllowed):
            artifacts.complete_upload(upload=opened, by=make.actor(other))

    opened.refresh_from_db()
    assert opened.received == 0


def test_a_stranger_opens_no_upload(pending: ModelVersion, stranger: User, scientist: User) -> None:
    mine: DatasetVersion = datasets.register_dataset(name="credit", role="test", by=make.actor(scientist))

    for target in (pending, mine):
        with pytest.raises(NotAllowed):
            make.upload(target, stranger, b"")

    assert not Upload.objects.exists()


def test_what_is_sealed_failed_or_deleted_takes_no_files(
    sealed: ModelVersion, pending: ModelVersion, scientist: User
) -> None:
    deleted = make.pending_version(pending.model, scientist)
    versions.delete_version(version=deleted, by=make.actor(scientist))
    versions.fail_version(version_id=pending.pk, message="Gone.", by=SYSTEM)

    for version in (sealed, pending, deleted):
        with pytest.raises(Refusal) as refused:
            make.upload(version, scientist, b"late", "late")
        assert refused.value.code == "version.not_pending"


def test_the_database_itself_refuses_more_than_was_declared(opened: Upload) -> None:
    for change, constraint in (
        ({"received": 11}, "upload_received_within_size"),
        ({"state": "complete"}, "upload_complete_iff_stored"),
    ):
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            Upload.objects.filter(pk=opened.pk).update(**change)


def test_an_upload_nobody_goes_on_with_ends_and_its_bytes_are_dropped(opened: Upload, scientist: User) -> None:
    artifacts.append_chunk(upload=opened, offset=0, stream=io.BytesIO(b"0123"), by=make.actor(scientist))
    part = artifacts.partial_path(opened)
    assert artifacts.abandon(before=timezone.now() - timedelta(days=7)) == 0
    long_ago = timezone.now() - timedelta(days=8)
    Upload.objects.filter(pk=opened.pk).update(created_at=long_ago)
    assert artifacts.abandon(before=timezone.now() - timedelta(days=7)) == 0, "a byte came lately"
    os.utime(part, (long_ago.timestamp(), long_ago.timestamp()))
    assert artifacts.abandon(before=timezone.now() - timedelta(days=7)) == 1
    opened.refresh_from_db()
    assert opened.state == Upload.State.FAILED
    assert not part.exists()
    assert make.actions()[-1] == "upload.failed"
