"""Files on their way in: uploads by chunks, closed by a digest the server computes itself, then sealed together."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from django.conf import settings
from django.db import IntegrityError, transaction

from audit.actors import SYSTEM, Actor
from audit.canonical import Json
from audit.services import append
from audit.subjects import mention
from config.errors import Conflict, Invalid, NotAllowed
from registry import guards
from registry.digests import SealedFile, check_path, check_sha256
from registry.formats import mlmodel
from registry.models import Blob, DatasetVersion, ModelVersion, Upload
from registry.services.catalog import person_of
from registry.services.versions import lock_version, seal_version
from registry.storage import DigestMismatch, Readable, artifact_root, blobs

_CHUNK: Final = 1 << 20


def partial_path(upload: Upload) -> Path:
    """Where the bytes of an unfinished upload are gathered."""
    return artifact_root() / "uploads" / f"{upload.pk}.part"


def open_upload(
    target: ModelVersion | DatasetVersion, *, path: str, declared_sha256: str, declared_size: int, by: Actor
) -> Upload:
    """Announce a file of a version or data set.

    Raises ``NotAllowed``, ``Invalid`` naming the field, ``Conflict`` when the target is sealed or the path is taken.
    """
    check_path(path)
    check_sha256(declared_sha256)
    if not 0 <= declared_size <= settings.MAX_UPLOAD_BYTES:
        raise Invalid(
            f"The size must lie between 0 and {settings.MAX_UPLOAD_BYTES} bytes.", code="upload.size", field="size"
        )
    _check_may_fill(by, target)
    person = person_of(by)
    places = {"version": target} if isinstance(target, ModelVersion) else {"dataset": target}
    try:
        with transaction.atomic():
            _check_open(target)
            upload = Upload.objects.create(
                owner=person, path=path, declared_sha256=declared_sha256, declared_size=declared_size, **places
            )
            facts: dict[str, Json] = {"path": path, "sha256": declared_sha256, "size": declared_size}
            append(action="upload.opened", subject=mention(target), by=by, facts=facts)
    except IntegrityError as error:
        if "upload_one_per_dataset" in str(error):
            raise Conflict(
                "A data set version has one file, and it is there already.", code="upload.path_taken", field="path"
            ) from error
        if "upload_path_once" not in str(error):
            raise
        raise Conflict(f"There is an upload of {path!r} already.", code="upload.path_taken", field="path") from error
    return upload


def _check_may_fill(by: Actor, target: ModelVersion | DatasetVersion) -> None:
    if isinstance(target, ModelVersion):
        guards.check_can_contribute(by, target.model)
    elif by.user is None or target.created_by_id != by.user.pk:
        raise NotAllowed("Only who registered this data set version may fill it.", code="dataset.not_yours")


def _check_open(target: ModelVersion | DatasetVersion) -> None:
    """Lock the target's row and make sure it still takes files. Raises ``Conflict``."""
    if isinstance(target, ModelVersion):
        found = ModelVersion.objects.locked().get(pk=target.pk)
        if found.status != ModelVersion.Status.PENDING or found.deleted_at is not None:
            raise Conflict(f"{target} takes no more files: it is not pending.", code="version.not_pending")
    else:
        version = DatasetVersion.objects.select_for_update(no_key=True).get(pk=target.pk)
        if version.status != DatasetVersion.Status.OPEN:
            state = version.get_status_display().lower()
            raise Conflict(f"{target} takes no more files: it is {state}.", code="dataset.closed")


def append_chunk(*, upload: Upload, offset: int, stream: Readable, by: Actor) -> Upload:
    """Append bytes at ``offset``, which must be where the last chunk ended. What arrived before a cut-off is kept.

    No transaction is open while the bytes come: a client may be slow. One request writes at a time.

    Raises ``Conflict`` (``upload.offset`` with the expected one, ``upload.closed``, ``upload.busy``, ``upload.cut_off``),
    ``Invalid`` for more bytes than declared: of that chunk nothing is kept.
    """
    _check_owner(upload, by)
    _open_row(upload)
    with _writing(upload) as part:
        row = _open_row(upload)
        if offset != row.received:
            raise Conflict(
                f"The next chunk begins at {row.received}, not at {offset}.",
                code="upload.offset",
                field="Upload-Offset",
                extra={"received": row.received},
            )
        part.seek(offset)
        part.truncate()
        try:
            _copy(stream, part, row)
            if row.received == row.declared_size and _read(stream, 1, row):
                row.received = offset
                raise Invalid(
                    f"More than the declared {row.declared_size} bytes came.", code="upload.too_long", field="size"
                )
        finally:
            part.flush()
            os.fsync(part.fileno())
            Upload.objects.filter(pk=row.pk, state=Upload.State.OPEN).update(received=row.received)
        return row


def _copy(stream: Readable, part: BinaryIO, row: Upload) -> None:
    """Write what the stream gives, at most as much as was declared; ``received`` counts what was written."""
    while row.received < row.declared_size:
        data = _read(stream, min(_CHUNK, row.declared_size - row.received), row)
        if not data:
            break
        part.write(data)
        row.received += len(data)


def _read(stream: Readable, size: int, row: Upload) -> bytes:
    """Read from the client. Raises ``Conflict`` when it went away."""
    try:
        return stream.read(size)
    except OSError as error:
        raise Conflict(
            f"The upload was cut off at byte {row.received}.",
            code="upload.cut_off",
            remedy=f"Go on at offset {row.received}.",
            extra={"received": row.received},
        ) from error


@contextmanager
def _writing(upload: Upload) -> Iterator[BinaryIO]:
    """The bytes gathered so far, for this request alone. Raises ``Conflict`` while another one has them.

    The lock is the file's: it ends with its process, and no database row stays locked while a client is slow.
    """
    part = partial_path(upload)
    part.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("Another request is writing this upload.", code="upload.busy", remedy="Try again.") from None
        yield stream


def _open_row(upload: Upload) -> Upload:
    """The upload as it is now. Raises ``Conflict`` when it takes no more bytes."""
    row = Upload.objects.select_related("version__model", "dataset__dataset", "blob").get(pk=upload.pk)
    if row.state != Upload.State.OPEN:
        raise Conflict(f"This upload is {row.get_state_display().lower()}.", code="upload.closed")
    return row


def _check_owner(upload: Upload, by: Actor) -> None:
    if by.user is None or upload.owner_id != by.user.pk:
        raise NotAllowed("This upload is somebody else's.", code="upload.not_yours")


def complete_upload(*, upload: Upload, by: Actor) -> Upload:
    """Close an upload: hash its bytes, store them by content. One that is complete is returned as it is.

    Raises ``Conflict`` when bytes are missing (it stays open and can be resumed), ``DigestMismatch`` (an ``Invalid``)
    when they are not what was declared: the upload has then failed, its bytes are gone and the ledger says so.
    """
    _check_owner(upload, by)
    found = Upload.objects.get(pk=upload.pk)
    if found.state == Upload.State.COMPLETE:
        return found
    _open_row(upload)
    with _writing(upload) as part:
        row = _open_row(upload)
        if row.received < row.declared_size:
            raise Conflict(
                f"{row.received} of {row.declared_size} bytes have arrived.",
                code="upload.incomplete",
                remedy=f"Go on at offset {row.received}.",
                extra={"received": row.received},
            )
        part.truncate(row.received)
        try:
            sha256, size = blobs().put(part, expected_sha256=row.declared_sha256)
        except DigestMismatch as mismatch:
            _fail(row, mismatch, by)
            partial_path(row).unlink(missing_ok=True)
            raise
        with transaction.atomic():
            row.blob, _ = Blob.objects.get_or_create(sha256=sha256, defaults={"size": size})
            row.state = Upload.State.COMPLETE
            row.save(update_fields=["blob", "state"])
            facts: dict[str, Json] = {"path": row.path, "sha256": sha256, "size": size}
            append(action="upload.completed", subject=mention(_target(row)), by=by, facts=facts)
        partial_path(row).unlink(missing_ok=True)
    return row


def abandon(*, before: datetime) -> int:
    """End the open uploads into which no byte came since ``before``, drop what they held, and say how many they were."""
    ended = 0
    for upload in Upload.objects.filter(state=Upload.State.OPEN, created_at__lt=before).order_by("created_at")[:1000]:
        part = partial_path(upload)
        if part.exists() and part.stat().st_mtime >= before.timestamp():
            continue
        with transaction.atomic():
            row = Upload.objects.select_for_update(no_key=True, of=("self",)).get(pk=upload.pk)
            if row.state != Upload.State.OPEN:
                continue
            row.state = Upload.State.FAILED
            row.save(update_fields=["state"])
            facts: dict[str, Json] = {"path": row.path, "received": row.received, "size": row.declared_size}
            reason = "Nobody went on with it."
            append(action="upload.failed", subject=mention(_target(row)), by=SYSTEM, reason=reason, facts=facts)
        part.unlink(missing_ok=True)
        ended += 1
    return ended


def _target(upload: Upload) -> ModelVersion | DatasetVersion:
    target = upload.version or upload.dataset
    if target is None:
        raise Conflict("This upload belongs to nothing any more.", code="upload.orphan")
    return target


def _fail(row: Upload, mismatch: DigestMismatch, by: Actor) -> None:
    with transaction.atomic():
        row.state = Upload.State.FAILED
        row.save(update_fields=["state"])
        facts: dict[str, Json] = {"path": row.path, "declared": row.declared_sha256, "actual": mismatch.actual}
        append(action="upload.failed", subject=mention(_target(row)), by=by, reason=mismatch.message, facts=facts)


def finish_version(*, version: ModelVersion, by: Actor, runnable: bool = True) -> ModelVersion:
    """Seal a version from its completed uploads.

    Not ``runnable`` is a vendor's model that is not here: any files that describe it, and no MLmodel among them.

    Raises ``NotAllowed``, ``Conflict`` when uploads are open or it is sealed, ``Invalid`` when there is no MLmodel file
    at the top or it is none; or when there is one, of what is said not to be runnable.
    """
    guards.check_can_contribute(by, version.model)
    if version.source:
        raise Conflict(f"{version} is read from {version.source}, not from uploads.", code="version.has_source")
    files = _uploaded(version)
    found = next((file for file in files if file.path == mlmodel.FILE), None)
    if not runnable:
        return _finish_description(version, files, found, by)
    if found is None:
        raise Invalid(
            "This is no MLflow model: it has no file MLmodel at its top.",
            code="version.no_mlmodel",
            field="files",
            remedy="Upload the whole directory that mlflow's save_model wrote.",
        )
    with blobs().open(found.sha256) as stream:
        content = stream.read(mlmodel.LARGEST + 1)
    try:
        described = mlmodel.parse(content)
    except mlmodel.BadMLmodel as error:
        raise Invalid(f"This is no MLflow model: {error}", code="version.bad_mlmodel", field="MLmodel") from error
    with transaction.atomic():
        version = _unchanged(version, files)
        return seal_version(
            version_id=version.pk, files=files, by=by, flavours=list(described.flavours), signature=described.signature
        )


def _finish_description(
    version: ModelVersion, files: list[SealedFile], found: SealedFile | None, by: Actor
) -> ModelVersion:
    """Seal what describes a model that is not here."""
    if found is not None:
        raise Invalid(
            "There is a file MLmodel, so this model can be run here.",
            code="version.runnable",
            field="runnable",
            remedy="Finish it as a runnable model, or upload the description without it.",
        )
    if not files:
        raise Invalid(
            "There is no file that describes the model.",
            code="version.no_files",
            field="files",
            remedy="Upload the vendor's documentation.",
        )
    with transaction.atomic():
        version = _unchanged(version, files)
        return seal_version(version_id=version.pk, files=files, by=by, flavours=[])


def _unchanged(version: ModelVersion, files: list[SealedFile]) -> ModelVersion:
    """The version, locked. Raises ``Conflict`` if its files are no longer these."""
    version = lock_version(version)
    if _uploaded(version) != files:
        raise Conflict(f"The files of {version} changed meanwhile.", code="version.files_changed", remedy="Try again.")
    return version


def _uploaded(version: ModelVersion) -> list[SealedFile]:
    """The files of a version's completed uploads, by path. Raises ``Conflict`` naming uploads that are still open."""
    uploads = list(version.uploads.exclude(state=Upload.State.FAILED).select_related("blob").order_by("path"))
    unfinished = [upload.path for upload in uploads if upload.state == Upload.State.OPEN]
    if unfinished:
        raise Conflict(
            f"{len(unfinished)} upload(s) are not complete: {', '.join(unfinished[:5])}.", code="upload.incomplete"
        )
    return [SealedFile(path=one.path, size=one.blob.size, sha256=one.blob.sha256) for one in uploads if one.blob]
