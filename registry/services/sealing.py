"""The worker's part of a data set: its bytes are read once, in a process apart, checked, described and fixed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from audit.actors import Actor
from audit.canonical import Json
from audit.services import append
from config.errors import Invalid, Refusal
from registry import fetching, references
from registry.formats.apart import Aligned, Bounds, Read, read_apart
from registry.models import Blob, DatasetVersion
from registry.services.datasets import allowed_for, locked
from registry.services.differences import told
from registry.storage import blobs

SEAL_LEASE: Final = timedelta(minutes=5)
"""A worker that has not sealed by then, and not said that it goes on, is taken for dead. If it lives, the first to write wins."""
_RENEWED: Final = 60.0
_LONGEST_PROBLEM: Final = 2_000


@dataclass(frozen=True, slots=True)
class _Read:
    """What the worker found: the blob of the file and of its rows as Parquet, and what the file holds."""

    blob: Blob
    table: Blob | None
    origin: dict[str, str]
    found: Read


def waiting() -> QuerySet[DatasetVersion]:
    """Data sets to be sealed that nobody reads at the moment."""
    free = Q(seal_lease_until=None) | Q(seal_lease_until__lt=timezone.now())
    return DatasetVersion.objects.filter(free, status=DatasetVersion.Status.SEALING)


@transaction.atomic
def _failed(version: DatasetVersion, problem: str, by: Actor) -> DatasetVersion:
    """End it with the reason, unless somebody was faster."""
    version = locked(version)
    if version.status == DatasetVersion.Status.SEALING:
        version.status, version.status_message = DatasetVersion.Status.FAILED, problem
        version.save(update_fields=["status", "status_message"])
        append(action="dataset.failed", subject=version, by=by, reason=problem)
    return version


def seal_dataset(*, dataset_version: DatasetVersion, by: Actor) -> DatasetVersion:
    """Read the bytes, check the columns, fix the version; what is wrong with it ends it as failed, with the reason.

    Runs in a worker. Idempotent: a version that isn't being sealed, or that somebody else reads, is
    returned as it is. One that ended its worker three times fails.
    """
    taken = (
        waiting()
        .filter(pk=dataset_version.pk)
        .update(seal_attempts=F("seal_attempts") + 1, seal_lease_until=timezone.now() + SEAL_LEASE)
    )
    rows = DatasetVersion.objects.select_related("dataset", "predictions_for", "predictions_of")
    version = rows.get(pk=dataset_version.pk)
    if not taken:
        return version
    if version.seal_attempts > settings.JOB_MAX_ATTEMPTS:
        return _failed(version, f"Reading it ended the worker {settings.JOB_MAX_ATTEMPTS} times.", by)
    scratch = Path(settings.DATA_DIR) / "scratch"
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with TemporaryDirectory(prefix="seal-", dir=scratch) as directory:
            read = _read(version, Path(directory))
        return _sealed(version, read, by)
    except Refusal as refusal:
        return _failed(version, str(refusal).replace("\x00", "\\0")[:_LONGEST_PROBLEM], by)


def _read(version: DatasetVersion, scratch: Path) -> _Read:
    """Everything that takes time. Raises ``Invalid``."""
    blob, origin = (version.blob, {}) if version.blob is not None else _fetched(version)
    path = blobs().path(blob.sha256)
    if path is None:
        raise Invalid("Its bytes are not in storage.", code="dataset.no_bytes", field="file")
    _check_unshared(version, blob)
    found = read_apart(
        path,
        version.columns,
        scratch=scratch,
        bounds=Bounds(
            memory_mb=settings.DATASET_MEMORY_MB,
            seconds=settings.DATASET_SECONDS,
            bytes=settings.DATASET_MAX_BYTES,
            rows=settings.DATASET_MAX_ROWS,
        ),
        k=settings.DATASET_SMALLEST_CELL,
        sealed=version.is_holdout,
        aligned=_order(version.predictions_for) if version.predictions_for is not None else None,
        tick=_renewal(version),
    )
    return _Read(blob, _stored(found.table) if found.table else None, origin, found)


def _order(data: DatasetVersion) -> Aligned:
    """The rows that predictions are held against. Raises ``Invalid``."""
    rows = blobs().path(str(data.rows_blob_id))
    if rows is None:
        raise Invalid(f"The bytes of {data} are not in storage.", code="dataset.no_bytes", field="predictions")
    return Aligned(rows, data.columns, data.rows, secret=data.is_holdout)


def _fetched(version: DatasetVersion) -> tuple[Blob, dict[str, str]]:
    """The bytes that the reference names, in the store. Raises ``Invalid``."""
    reference = references.parse(version.reference, allowed_for(version.role))
    with fetching.opened_reference(reference) as found:
        sha256, size = blobs().put(found.stream)
        origin = found.origin
    return Blob.objects.get_or_create(sha256=sha256, defaults={"size": size})[0], origin


def _stored(table: Path) -> Blob:
    with table.open("rb") as stream:
        sha256, size = blobs().put(stream)
    return Blob.objects.get_or_create(sha256=sha256, defaults={"size": size})[0]


def _check_unshared(version: DatasetVersion, blob: Blob) -> None:
    """A hold-out's bytes are nothing else; what is referred to again is another version only if it changed."""
    same = DatasetVersion.objects.filter(digest=blob.sha256).exclude(pk=version.pk).select_related("dataset")
    if version.is_holdout:
        other = same.exclude(role=DatasetVersion.Role.HOLDOUT).exclude(status=DatasetVersion.Status.FAILED).first()
        if other is not None:
            raise Invalid(
                f"The same bytes are registered as {other}, which people can read: they are no hold-out.",
                code="holdout.known",
                field="file",
                remedy="Hold out rows that nobody has seen.",
            )
    elif same.filter(role=DatasetVersion.Role.HOLDOUT).exists():
        raise Invalid(
            "The same bytes are a sealed hold-out; they cannot be registered as anything else.",
            code="holdout.taken",
            field="file",
        )
    if version.reference:
        known = same.filter(
            status=DatasetVersion.Status.SEALED,
            dataset=version.dataset_id,
            reference=version.reference,
            role=version.role,
            columns=version.columns,
        ).first()
        if known is not None:
            raise Invalid(
                f"What the reference names has not changed since version {known.number}.",
                code="reference.unchanged",
                field="reference",
                remedy=f"Use version {known.number}.",
            )


def _sealed(version: DatasetVersion, read: _Read, by: Actor) -> DatasetVersion:
    """Write down what was found, unless somebody was faster."""
    found = read.found
    with transaction.atomic():
        version = locked(version)
        if version.status != DatasetVersion.Status.SEALING:
            return version
        version.blob, version.digest, version.table, version.origin = (
            read.blob,
            read.blob.sha256,
            read.table,
            read.origin,
        )
        version.format, version.compression, version.rows = found.format, found.compression, found.rows
        version.schema, version.profile = found.schema, found.profile
        version.status, version.sealed_at = DatasetVersion.Status.SEALED, timezone.now()
        version.save(
            update_fields=[
                *("blob", "digest", "table", "origin", "format", "compression", "rows", "schema", "profile"),
                *("status", "sealed_at"),
            ]
        )
        facts: dict[str, Json] = {
            "digest": version.digest,
            "rows": found.rows,
            "columns": told(version.columns),
            "label_kind": found.label_kind,
        }
        if read.table is not None:
            facts["table"] = read.table.sha256
        if read.origin:
            facts["origin"] = dict(read.origin)
        append(action="dataset.sealed", subject=version, by=by, facts=facts)
    return version


def _renewal(version: DatasetVersion) -> Callable[[], None]:
    """What a long reading calls between batches: it says, now and then, that the worker lives."""
    last = time.monotonic()

    def renew() -> None:
        nonlocal last
        if time.monotonic() - last > _RENEWED:
            last = time.monotonic()
            rows: Any = DatasetVersion.objects.filter(pk=version.pk, status=DatasetVersion.Status.SEALING)
            rows.update(seal_lease_until=timezone.now() + SEAL_LEASE)

    return renew
