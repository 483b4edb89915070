"""Writes to data sets: a version is registered, filled by one upload, finished, and sealed by a worker that reads it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from audit.actors import Actor
from audit.canonical import LARGEST, Json
from audit.services import append
from config.errors import Conflict, Invalid, NotAllowed
from registry import names, reach
from registry.models import Dataset, DatasetVersion, Upload
from registry.services.catalog import person_of
from registry.services.differences import told
from registry.storage import blobs

_ROLES: Final = {"label", "features", "sensitive", "positive", "prediction", "weight", "id", "time"}
_LISTS: Final = {"features", "sensitive"}
_MOST_COLUMNS: Final = 10_000
_LONGEST_PROBLEM: Final = 2_000
SEAL_LEASE: Final = timedelta(minutes=5)
"""A worker that has not sealed by then is taken for dead. If it lives, the first to write wins and the other does nothing."""


@transaction.atomic
def register_dataset(
    *, name: str, role: str, by: Actor, columns: Mapping[str, Any] | None = None, description: str = ""
) -> DatasetVersion:
    """Register the next version of a data set; a new name makes the data set, owned by who asks.

    Raises ``NotAllowed`` without a contributor's or validator's role, or for somebody else's data set; ``Invalid``
    naming the field.
    """
    names.check_name(name, what="data set")
    names.check_text(description, field="description")
    if role not in DatasetVersion.Role.values:
        known = ", ".join(DatasetVersion.Role.values)
        raise Invalid(f"The role is one of {known}.", code="dataset.role", field="role")
    roles = _checked_columns(columns or {})
    person = person_of(by)
    if not any(reach.holds_anywhere(person, permission) for permission in (reach.CONTRIBUTE, reach.VALIDATE)):
        raise NotAllowed(
            "You may not register data sets: that needs the role contributor or validator.", code="dataset.not_allowed"
        )
    dataset, made = Dataset.objects.get_or_create(name=name, defaults={"owner": person, "description": description})
    if made:
        append(action="dataset.created", subject=dataset, by=by, facts={"name": name})
    dataset = Dataset.objects.select_for_update(no_key=True).get(pk=dataset.pk)
    if dataset.owner_id != person.pk and not reach.holds(person, reach.ADMINISTER):
        raise NotAllowed(f"The data set {name!r} is {dataset.owner}'s.", code="dataset.not_yours", field="name")
    last = dataset.versions.order_by("-number").values_list("number", flat=True).first() or 0
    version = DatasetVersion.objects.create(
        dataset=dataset, number=last + 1, role=role, columns=roles, digest="", created_by=person
    )
    append(action="dataset.registered", subject=version, by=by, facts={"name": name, "number": last + 1, "role": role})
    return version


def _checked_columns(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Column roles as they are stored. Raises ``Invalid`` for field ``columns.…``."""
    checked: dict[str, Any] = {}
    for key, value in columns.items():
        field = f"columns.{key}"
        if key not in _ROLES:
            raise Invalid(
                f"{key!r} is no column role; known are {', '.join(sorted(_ROLES))}.", code="columns", field=field
            )
        if key in _LISTS:
            if not isinstance(value, list | tuple) or len(value) > _MOST_COLUMNS:
                raise Invalid(f"{key} is a list of column names.", code="columns", field=field)
            for name in value:
                names.check_text(name, field=field, longest=250)
            checked[key] = list(value)
        elif key == "positive":
            if not isinstance(value, str | int | bool):
                raise Invalid(
                    "positive is the label's value that counts as 1: text, integer or true.",
                    code="columns",
                    field=field,
                )
            if isinstance(value, str):
                names.check_text(value, field=field, longest=250)
            elif abs(value) > LARGEST:
                raise Invalid("positive is beyond 2**53 - 1; write it as text.", code="columns", field=field)
            checked[key] = value
        else:
            names.check_text(value, field=field, longest=250)
            checked[key] = value
    return checked


def _locked(version: DatasetVersion) -> DatasetVersion:
    rows = DatasetVersion.objects.select_for_update(no_key=True, of=("self",)).select_related("dataset")
    return rows.get(pk=version.pk)


@transaction.atomic
def finish_dataset(*, dataset_version: DatasetVersion, by: Actor) -> DatasetVersion:
    """Say that the upload is whole; a worker then reads and seals it. Finishing twice is no error.

    Raises ``NotAllowed``, ``Conflict`` while nothing, or not all, was uploaded.
    """
    version = _locked(dataset_version)
    if by.user is None or version.created_by_id != by.user.pk:
        raise NotAllowed("Only who registered this data set version may finish it.", code="dataset.not_yours")
    if version.status != DatasetVersion.Status.OPEN:
        return version
    upload = version.uploads.exclude(state=Upload.State.FAILED).select_related("blob").first()
    if upload is None:
        raise Conflict("Nothing was uploaded yet.", code="dataset.no_file", remedy="Upload one CSV or Parquet file.")
    if upload.blob is None:
        raise Conflict("The upload is not complete.", code="upload.incomplete", extra={"received": upload.received})
    version.blob = upload.blob
    version.digest = upload.blob.sha256
    version.source = upload.path
    version.status = DatasetVersion.Status.SEALING
    version.save(update_fields=["blob", "digest", "source", "status"])
    append(action="dataset.finished", subject=version, by=by, facts={"digest": version.digest})
    return version


def waiting() -> QuerySet[DatasetVersion]:
    """Data sets to be sealed that nobody reads at the moment."""
    free = Q(seal_lease_until=None) | Q(seal_lease_until__lt=timezone.now())
    return DatasetVersion.objects.filter(free, status=DatasetVersion.Status.SEALING)


@transaction.atomic
def _failed(version: DatasetVersion, problem: str, by: Actor) -> DatasetVersion:
    """End it with the reason, unless somebody was faster."""
    version = _locked(version)
    if version.status == DatasetVersion.Status.SEALING:
        version.status, version.status_message = DatasetVersion.Status.FAILED, problem
        version.save(update_fields=["status", "status_message"])
        append(action="dataset.failed", subject=version, by=by, reason=problem)
    return version


def seal_dataset(*, dataset_version: DatasetVersion, by: Actor) -> DatasetVersion:
    """Read the bytes, check the columns, fix the version; what is wrong with it ends it as failed, with the reason.

    Runs in a worker (it needs pyarrow). Idempotent: a version that isn't being sealed, or that somebody else reads, is
    returned as it is. One that ended its worker three times fails.
    """
    # A machine-learning library: no web process ever comes here.
    from registry.formats import tabular  # noqa: PLC0415

    taken = (
        waiting()
        .filter(pk=dataset_version.pk)
        .update(seal_attempts=F("seal_attempts") + 1, seal_lease_until=timezone.now() + SEAL_LEASE)
    )
    version = DatasetVersion.objects.select_related("dataset").get(pk=dataset_version.pk)
    if not taken or version.blob_id is None:
        return version
    if version.seal_attempts > settings.JOB_MAX_ATTEMPTS:
        return _failed(version, f"Reading it ended the worker {settings.JOB_MAX_ATTEMPTS} times.", by)
    path = blobs().path(version.blob_id)
    problem, described = "", None
    try:
        if path is None:
            raise Invalid("Its bytes are not in storage.", code="dataset.no_bytes", field="file")
        described = tabular.describe(path, version.columns)
    except Invalid as error:
        problem = str(error).replace("\x00", "\\0")[:_LONGEST_PROBLEM]
    if described is None:
        return _failed(version, problem, by)
    with transaction.atomic():
        version = _locked(version)
        if version.status != DatasetVersion.Status.SEALING:
            return version
        version.format, version.rows, version.schema = described.format, described.rows, described.schema
        version.status, version.sealed_at = DatasetVersion.Status.SEALED, timezone.now()
        version.save(update_fields=["format", "rows", "schema", "status", "sealed_at"])
        facts: dict[str, Json] = {
            "digest": version.digest,
            "rows": described.rows,
            "columns": told(version.columns),
            "label_kind": described.label_kind,
        }
        append(action="dataset.sealed", subject=version, by=by, facts=facts)
    return version
