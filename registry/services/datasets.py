"""Writes to data sets: a version is registered, filled by one upload or a reference, finished. A worker then seals it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from audit.actors import Actor
from audit.canonical import Json
from audit.services import append
from config.errors import Conflict, Invalid, NotAllowed
from registry import columns as column_roles
from registry import guards, names, reach, references
from registry.formats import mlmodel
from registry.models import Dataset, DatasetVersion, ManifestFile, ModelVersion, Upload, User
from registry.services import holdouts
from registry.services.catalog import person_of

_UPLOAD_ONE: Final = "Upload one file (CSV, Parquet or Arrow, as it is or packed with gzip or Zstandard)."


@dataclass(frozen=True, slots=True)
class Of:
    """What uploaded predictions are of: the model version that made them, and the data whose rows they speak of.

    ``digest`` is that of the data's file, as whoever uploads them knows it.
    """

    version: ModelVersion
    data: DatasetVersion
    digest: str


@transaction.atomic
def register_dataset(
    *,
    name: str,
    role: str,
    by: Actor,
    columns: Mapping[str, Any] | None = None,
    description: str = "",
    reference: str = "",
    predictions: Of | None = None,
) -> DatasetVersion:
    """Register the next version of a data set; a new name makes the data set, owned by who asks.

    With a ``reference`` a worker reads the bytes there, once; else one file is uploaded. ``predictions`` goes with the
    role of that name. Raises ``NotAllowed`` without a contributor's or validator's role, or for somebody else's data
    set; ``Invalid`` naming the field.
    """
    names.check_name(name, what="data set")
    names.check_text(description, field="description")
    if role not in DatasetVersion.Role.values:
        known = ", ".join(DatasetVersion.Role.values)
        raise Invalid(f"The role is one of {known}.", code="dataset.role", field="role")
    roles = column_roles.checked(columns or {})
    person = person_of(by)
    _check_may_register(person, role)
    _check_predictions(role, roles, predictions, by)
    if reference:
        references.parse(reference, allowed_for(role))
    dataset = _dataset(name, description, person, by)
    last = dataset.versions.order_by("-number").values_list("number", flat=True).first() or 0
    version = DatasetVersion.objects.create(
        dataset=dataset,
        number=last + 1,
        role=role,
        columns=roles,
        digest="",
        reference=reference,
        predictions_of=predictions.version if predictions else None,
        predictions_for=predictions.data if predictions else None,
        created_by=person,
    )
    facts: dict[str, Json] = {"name": name, "number": last + 1, "role": role}
    if predictions:
        facts |= {"of": str(predictions.version.pk), "for": str(predictions.data.pk)}
    append(action="dataset.registered", subject=version, by=by, facts=facts)
    if reference:
        version.status = DatasetVersion.Status.SEALING
        version.save(update_fields=["status"])
        append(action="dataset.finished", subject=version, by=by, facts={"reference": reference})
    return version


def allowed_for(role: str) -> references.Allowed:
    """Where data sets of this role may be read from."""
    if role == DatasetVersion.Role.HOLDOUT:
        return references.Allowed(settings.HOLDOUT_DIRS, settings.HOLDOUT_S3)
    return references.Allowed(settings.DATASET_DIRS, settings.DATASET_S3)


def _check_may_register(person: User, role: str) -> None:
    if role == DatasetVersion.Role.HOLDOUT:
        holdouts.check_can_create(person)
    elif not any(reach.holds_anywhere(person, permission) for permission in (reach.CONTRIBUTE, reach.VALIDATE)):
        raise NotAllowed(
            "You may not register data sets: that needs the role contributor or validator.", code="dataset.not_allowed"
        )


def _check_predictions(role: str, roles: Mapping[str, Any], given: Of | None, by: Actor) -> None:
    """Predictions say of what they are, and that fits. Raises ``NotAllowed`` and ``Invalid``."""
    if (role == DatasetVersion.Role.PREDICTIONS) != (given is not None):
        raise Invalid(
            "The role “predictions” goes with the model version and the data set that they are of, and only it.",
            code="predictions.of_what",
            field="predictions",
        )
    if given is None:
        return
    guards.check_can_contribute(by, given.version.model)
    guards.check_is_sealed(given.version)
    if ManifestFile.objects.filter(manifest=given.version.manifest_id, path=mlmodel.FILE).exists():
        raise Invalid(
            f"{given.version} has a model that can be run, so its predictions are computed here.",
            code="predictions.runnable",
            field="predictions.version",
            remedy="Leave the check of it to a worker.",
        )
    data = given.data
    if data.status != DatasetVersion.Status.SEALED or data.role == DatasetVersion.Role.PREDICTIONS:
        raise Invalid(f"{data} is no sealed data set.", code="predictions.data", field="predictions.dataset_version")
    if given.digest != data.digest:
        raise Invalid(
            f"The predictions are for a file with another digest than that of {data}.",
            code="predictions.digest",
            field="predictions.digest",
            remedy="Name the version of the data set that was predicted, with the digest of its file.",
        )
    if not roles.get("prediction") and not roles.get("score"):
        raise Invalid(
            "Name the column of the predictions, of the scores, or both.",
            code="predictions.columns",
            field="columns.prediction",
        )
    if roles.get("id") and not data.columns.get("id"):
        raise Invalid(
            f"{data} has no column with the role id, so rows cannot be found by it.",
            code="predictions.id",
            field="columns.id",
            remedy="Give the predictions in the order of the data set's rows and name no id.",
        )


def _dataset(name: str, description: str, person: User, by: Actor) -> Dataset:
    """The data set, locked, made if it is new. Raises ``NotAllowed`` if it is somebody else's."""
    dataset, made = Dataset.objects.get_or_create(name=name, defaults={"owner": person, "description": description})
    if made:
        append(action="dataset.created", subject=dataset, by=by, facts={"name": name})
    dataset = Dataset.objects.select_for_update(no_key=True).get(pk=dataset.pk)
    if dataset.owner_id != person.pk and not reach.holds(person, reach.ADMINISTER):
        raise NotAllowed(f"The data set {name!r} is {dataset.owner}'s.", code="dataset.not_yours", field="name")
    return dataset


def locked(version: DatasetVersion) -> DatasetVersion:
    """The row as it is now, locked."""
    rows = DatasetVersion.objects.select_for_update(no_key=True, of=("self",)).select_related("dataset")
    return rows.get(pk=version.pk)


@transaction.atomic
def finish_dataset(*, dataset_version: DatasetVersion, by: Actor) -> DatasetVersion:
    """Say that the upload is whole; a worker then reads and seals it. Finishing twice is no error.

    Raises ``NotAllowed``, ``Conflict`` while nothing, or not all, was uploaded.
    """
    version = locked(dataset_version)
    if by.user is None or version.created_by_id != by.user.pk:
        raise NotAllowed("Only who registered this data set version may finish it.", code="dataset.not_yours")
    if version.status != DatasetVersion.Status.OPEN:
        return version
    upload = version.uploads.exclude(state=Upload.State.FAILED).select_related("blob").first()
    if upload is None:
        raise Conflict("Nothing was uploaded yet.", code="dataset.no_file", remedy=_UPLOAD_ONE)
    if upload.blob is None:
        raise Conflict("The upload is not complete.", code="upload.incomplete", extra={"received": upload.received})
    version.blob = upload.blob
    version.digest = upload.blob.sha256
    version.source = upload.path
    version.status = DatasetVersion.Status.SEALING
    version.save(update_fields=["blob", "digest", "source", "status"])
    append(action="dataset.finished", subject=version, by=by, facts={"digest": version.digest})
    return version
