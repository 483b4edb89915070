"""Files on their way in: uploads by chunks, closed by a digest the server computes itself, then sealed together."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from django.conf import settings
from django.db import IntegrityError, transaction

from audit.actors import Actor
from audit.services import append
from config.errors import Conflict, Invalid, NotAllowed
from registry import guards
from registry.digests import SealedFile, check_path, check_sha256
from registry.formats import mlmodel
from registry.models import Blob, DatasetVersion, ModelVersion, Upload
from registry.services.catalog import person_of
from registry.services.versions import seal_version
from registry.storage import DigestMismatch, Readable, blobs

_CHUNK: Final = 1 << 20


def partial_path(upload: Upload) -> Path:
    """Where the bytes of an unfinished upload are gathered."""
    return Path(settings.ARTIFACT_ROOT) / "uploads" / f"{upload.pk}.part"


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
            if isinstance(target, DatasetVersion) and target.uploads.exclude(state=Upload.State.FAILED).exists():
                raise Conflict("A data set version has one file, and it is there already.", code="upload.path_taken")
            upload = Upload.objects.create(
                owner=person, path=path, declared_sha256=declared_sha256, declared_size=declared_size, **places
            )
            facts = {"path": path, "sha256": declared_sha256, "size": declared_size}
            append(action="upload.opened", subject=target, by=by, facts=facts)
    except IntegrityError as error:
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
        status = ModelVersion.objects.select_for_update(no_key=True).values_list("status", flat=True).get(pk=target.pk)
        if status != ModelVersion.Status.PENDING:
            raise Conflict(f"{target} takes no more files: it is not pending.", code="version.not_pending")
    else:
        found = DatasetVersion.objects.select_for_update(no_key=True).get(pk=target.pk)
        if found.status != DatasetVersion.Status.OPEN:
            raise Conflict(f"{target} takes no more files: it is {found.get_status_display().lower()}.", code="dataset.closed")


def append_chunk(*, upload: Upload, offset: int, stream: Readable, by: Actor) -> Upload:
    """Append bytes at ``offset``, which must be where the last chunk ended. What arrived before a cut-off is kept.

    Raises ``Conflict`` (``upload.offset`` with the expected one, ``upload.closed``), ``Invalid`` for more bytes than
    declared.
    """
    _check_owner(upload, by)
    with _locked(upload) as row:
        if offset != row.received:
            raise Conflict(
                f"The next chunk begins at {row.received}, not at {offset}.",
                code="upload.offset",
                field="Upload-Offset",
                extra={"received": row.received},
            )
        try:
            _copy(row, stream)
        finally:
            row.save(update_fields=["received"])
        if row.received == row.declared_size and stream.read(1):
            raise Invalid(f"More than the declared {row.declared_size} bytes came.", code="upload.too_long", field="size")
        return row


def _copy(row: Upload, stream: Readable) -> None:
    """Write what the stream gives, at most as much as was declared; ``received`` counts what is on disk."""
    part = partial_path(row)
    part.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with part.open("r+b" if part.exists() else "w+b") as output:
        output.truncate(row.received)
        output.seek(row.received)
        try:
            while row.received < row.declared_size:
                data = stream.read(min(_CHUNK, row.declared_size - row.received))
                if not data:
                    break
                output.write(data)
                row.received += len(data)
        finally:
            output.flush()
            os.fsync(output.fileno())


@contextmanager
def _locked(upload: Upload) -> Iterator[Upload]:
    """The upload's row, locked; it commits also when the body raises, so that what was received stays counted."""
    problem: BaseException | None = None
    with transaction.atomic():
        row = Upload.objects.select_for_update(no_key=True, of=("self",)).select_related("version__model", "dataset").get(pk=upload.pk)
        if row.state != Upload.State.OPEN:
            raise Conflict(f"This upload is {row.get_state_display().lower()}.", code="upload.closed")
        try:
            yield row
        except Exception as error:  # noqa: BLE001 - raised again below, after the commit
            problem = error
    if problem is not None:
        raise problem


def _check_owner(upload: Upload, by: Actor) -> None:
    if by.user is None or upload.owner_id != by.user.pk:
        raise NotAllowed("This upload is somebody else's.", code="upload.not_yours")


def complete_upload(*, upload: Upload, by: Actor) -> Upload:
    """Close an upload: hash its bytes, store them by content.

    Raises ``Conflict`` when bytes are missing (it stays open and can be resumed), ``DigestMismatch`` (an ``Invalid``)
    when they are not what was declared: the upload has then failed, its bytes are gone and the ledger says so.
    """
    _check_owner(upload, by)
    if upload.state == Upload.State.OPEN and upload.received < upload.declared_size:
        raise Conflict(
            f"{upload.received} of {upload.declared_size} bytes have arrived.",
            code="upload.incomplete",
            remedy=f"Go on at offset {upload.received}.",
            extra={"received": upload.received},
        )
    part = partial_path(upload)
    try:
        with _bytes_of(part) as stream:
            sha256, size = blobs().put(stream, expected_sha256=upload.declared_sha256)
    except DigestMismatch as mismatch:
        _fail(upload, mismatch, by)
        part.unlink(missing_ok=True)
        raise
    with transaction.atomic():
        row = Upload.objects.select_for_update(no_key=True).get(pk=upload.pk)
        if row.state != Upload.State.OPEN:
            raise Conflict(f"This upload is {row.get_state_display().lower()}.", code="upload.closed")
        blob, _ = Blob.objects.get_or_create(sha256=sha256, defaults={"size": size})
        row.blob = blob
        row.state = Upload.State.COMPLETE
        row.save(update_fields=["blob", "state"])
        facts = {"path": row.path, "sha256": sha256, "size": size}
        append(action="upload.completed", subject=_target(row), by=by, facts=facts)
    part.unlink(missing_ok=True)
    return row


@contextmanager
def _bytes_of(part: Path) -> Iterator[BinaryIO]:
    """The gathered bytes; an upload of nothing has no file."""
    with (part if part.exists() else Path(os.devnull)).open("rb") as stream:
        yield stream


def _target(upload: Upload) -> ModelVersion | DatasetVersion:
    target = upload.version or upload.dataset
    if target is None:
        raise Conflict("This upload belongs to nothing any more.", code="upload.orphan")
    return target


def _fail(upload: Upload, mismatch: DigestMismatch, by: Actor) -> None:
    with transaction.atomic():
        row = Upload.objects.select_for_update(no_key=True).get(pk=upload.pk)
        row.state = Upload.State.FAILED
        row.save(update_fields=["state"])
        facts = {"path": row.path, "declared": row.declared_sha256, "actual": mismatch.actual}
        append(action="upload.failed", subject=_target(row), by=by, reason=mismatch.message, facts=facts)


def finish_version(*, version: ModelVersion, by: Actor) -> ModelVersion:
    """Seal a version from its completed uploads.

    Raises ``NotAllowed``, ``Conflict`` when uploads are open or it is sealed, ``Invalid`` when there is no MLmodel file
    at the top or it is none.
    """
    guards.check_can_contribute(by, version.model)
    if version.source:
        raise Conflict(f"{version} is read from {version.source}, not from uploads.", code="version.has_source")
    uploads = list(version.uploads.exclude(state=Upload.State.FAILED).select_related("blob"))
    unfinished = sorted(upload.path for upload in uploads if upload.state == Upload.State.OPEN)
    if unfinished:
        raise Conflict(
            f"{len(unfinished)} upload(s) are not complete: {', '.join(unfinished[:5])}.", code="upload.incomplete"
        )
    files = [SealedFile(path=one.path, size=one.blob.size, sha256=one.blob.sha256) for one in uploads if one.blob]
    found = next((file for file in files if file.path == mlmodel.FILE), None)
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
    return seal_version(
        version_id=version.pk, files=files, by=by, flavours=list(described.flavours), signature=described.signature
    )
