"""Writes to versions: registering, sealing, failing, texts, stages, tags. A sealed version's content never changes."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from audit.actors import Actor
from audit.canonical import Json
from audit.services import append
from audit.subjects import gone as deleted
from config import statements
from config.errors import Conflict, Invalid, NotFound
from registry import guards, names, prompts
from registry.digests import SealedFile, manifest_digest, manifest_document
from registry.models import Blob, Manifest, ManifestFile, ModelVersion, RegisteredModel, User
from registry.services import rows
from registry.services.catalog import gone, lock_model, person_of
from registry.services.differences import change, told
from registry.services.gated import asking, recording_refusals
from registry.services.prompts import files_to_seal
from registry.storage import blobs

STAGES: Final = {stage.value.lower(): stage.value for stage in ModelVersion.Stage}
_LONGEST_MESSAGE: Final = 2000
_BATCH: Final = 1000
_SEALING: Final = (
    "manifest", "manifest_digest", "size_bytes", "flavours", "signature", "status", "status_message", "sealed_at",
    "ingest_lease_until",
)  # fmt: skip
"""Not ``updated_at``: that is when people changed what they say of a version (MLflow's last_updated_timestamp)."""


def lock_version(version: ModelVersion) -> ModelVersion:
    """Lock the model's row, then the version's, and return it fresh. Raises ``NotFound`` if it is gone."""
    model = lock_model(version.model)
    found = rows.locked_version(version.pk)
    if found is None:
        raise NotFound(f"There is no {version} any more.", code="version.unknown")
    found.model = model
    return found


@recording_refusals
@transaction.atomic
def register_version(
    *,
    model: RegisteredModel,
    by: Actor,
    source: str = "",
    run_id: str = "",
    logged_model_id: str = "",
    run_link: str = "",
    description: str = "",
    tags: Mapping[str, str] | None = None,
    parameters: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
) -> ModelVersion:
    """Register the next version, pending until its bytes are sealed. Simultaneous calls get different numbers.

    A version of a prompt is sealed at once: its tags are all there is of it.

    Raises ``NotAllowed``, ``Invalid`` naming the field, the gate's refusal for a tag.
    """
    guards.check_can_contribute(by, model)
    texts = {"source": source, "run_link": run_link, "run_id": run_id, "logged_model_id": logged_model_id}
    for field, text in texts.items():
        names.check_text(text, field=field, longest=64 if field.endswith("_id") else 2000)
    names.check_text(description, field="description")
    names.check_tags(tags or {})
    names.check_parameters(parameters or {})
    names.check_metrics(metrics or {})
    prompt = files_to_seal(model, tags or {})
    version = ModelVersion(
        model=model,
        registered_by=person_of(by),
        description=description,
        parameters=dict(parameters or {}),
        metrics=dict(metrics or {}),
        **texts,
    )
    if not rows.insert_version(version):
        raise gone(model)
    model, number = version.model, version.number
    if tags:
        for key in sorted(tags):
            with asking(model, by) as gate:
                gate.check_tag(model=model, version=None, key=key, by=by)
        statements.run(
            "INSERT INTO registry_versiontag (version_id, key, value) SELECT %s, * FROM unnest(%s::text[], %s::text[])",
            [version.pk, list(tags), list(tags.values())],
        )
    version.__dict__["ledger_tags"] = dict(tags or {})
    facts: dict[str, Json] = {"model": model.name, "number": number, "source": source, "run_id": run_id}
    diff: dict[str, Json] = {
        "tags": told([{"key": key, "value": value} for key, value in sorted((tags or {}).items())]),
        "description": told(description),
    }
    append(action="version.registered", subject=version, by=by, diff=diff, facts=facts)
    if prompt:
        return seal_version(version_id=version.pk, files=prompt, by=by, flavours=[prompts.FLAVOUR])
    return version


@transaction.atomic
def seal_version(
    *,
    version_id: UUID,
    files: Sequence[SealedFile],
    by: Actor,
    flavours: Sequence[str] = (),
    signature: Mapping[str, Any] | None = None,
) -> ModelVersion:
    """Fix a version's bytes: manifest, digest, READY. The blobs must be stored. Sealing the same bytes again is no error.

    Raises ``Conflict`` when it is sealed with other bytes or has failed, and when a blob is not in the store or is not as
    long as its file; ``Invalid`` for files that make no manifest; ``NotFound``.
    """
    document = manifest_document(files)
    digest = manifest_digest(document)
    _check_stored(files)
    version = ModelVersion.objects.locked().filter(pk=version_id).first()
    if version is None:
        raise NotFound("There is no such version.", code="version.unknown")
    if version.is_sealed:
        if version.manifest_digest == digest:
            return version
        raise Conflict(f"{version} is sealed with other bytes; they cannot change.", code="version.sealed")
    if version.status != ModelVersion.Status.PENDING:
        raise Conflict(f"{version} has failed: {version.status_message}", code="version.failed")
    total = sum(file.size for file in files)
    version.manifest = _manifest(digest, document, files, total, by)
    version.manifest_digest = digest
    version.size_bytes = total
    version.flavours = sorted(flavours)
    version.signature = dict(signature or {})
    version.status = ModelVersion.Status.READY
    version.status_message = ""
    version.sealed_at = timezone.now()
    version.ingest_lease_until = None
    version.save(update_fields=_SEALING)
    facts: dict[str, Json] = {
        "manifest_digest": digest,
        "files": len(files),
        "size": total,
        "flavours": sorted(flavours),
    }
    append(action="version.sealed", subject=version, by=by, facts=facts)
    return version


def _check_stored(files: Sequence[SealedFile]) -> None:
    """Nothing is sealed that cannot be served: look at each blob's length."""
    store = blobs()
    for file in files:
        if not store.exists(file.sha256) or store.size(file.sha256) != file.size:
            raise Conflict(
                f"{file.path}: the store has no blob {file.sha256} of {file.size} bytes.",
                code="version.bytes_missing",
                extra={"path": file.path, "blob": file.sha256},
            )


def _manifest(digest: str, document: str, files: Sequence[SealedFile], total: int, by: Actor) -> Manifest:
    # By digest, so that two seals that share blobs wait for each other in one order and cannot deadlock.
    sizes = {file.sha256: file.size for file in files}
    Blob.objects.bulk_create(
        [Blob(sha256=sha256, size=sizes[sha256]) for sha256 in sorted(sizes)],
        ignore_conflicts=True,
        batch_size=_BATCH,
    )
    manifest, created = Manifest.objects.get_or_create(
        digest=digest, defaults={"document": document, "file_count": len(files), "total_size": total}
    )
    if created:
        ManifestFile.objects.bulk_create(
            [ManifestFile(manifest=manifest, path=file.path, blob_id=file.sha256) for file in files], batch_size=_BATCH
        )
        append(action="manifest.stored", subject=manifest, by=by, facts={"files": len(files), "size": total})
    return manifest


@transaction.atomic
def fail_version(*, version_id: UUID, message: str, by: Actor) -> ModelVersion:
    """End a pending version with the reason; one that has failed already stays as it is.

    Raises ``Conflict`` when it is sealed, ``NotFound``.
    """
    version = ModelVersion.objects.locked().filter(pk=version_id).first()
    if version is None:
        raise NotFound("There is no such version.", code="version.unknown")
    if version.is_sealed:
        raise Conflict(f"{version} is sealed; it cannot fail any more.", code="version.sealed")
    if version.status == ModelVersion.Status.FAILED:
        return version
    version.status = ModelVersion.Status.FAILED
    version.status_message = message.replace("\x00", "")[:_LONGEST_MESSAGE] or "No reason was given."
    version.ingest_lease_until = None
    version.save(update_fields=["status", "status_message", "ingest_lease_until"])
    append(action="version.failed", subject=version, by=by, reason=version.status_message[:1000])
    return version


@recording_refusals
@transaction.atomic
def update_version(*, version: ModelVersion, by: Actor, description: str) -> ModelVersion:
    """Change the description. Raises ``NotAllowed``, ``Invalid``, the gate's refusal for an approved version."""
    guards.check_can_contribute(by, version.model)
    names.check_text(description, field="description")
    version = lock_version(version)
    with asking(version, by) as gate:
        gate.check_change(model=version.model, version=version, verb="describe", by=by)
    before, version.description = version.description, description
    rows.describe_version(version)
    append(action="version.changed", subject=version, by=by, diff={"description": change(before, description)})
    return version


@recording_refusals
@transaction.atomic
def delete_version(*, version: ModelVersion, by: Actor) -> None:
    """Take a version out of the catalogue, with the aliases that name it. Its rows and log entries stay.

    Raises ``NotAllowed``, the gate's refusal.
    """
    guards.check_can_contribute(by, version.model)
    version = lock_version(version)
    model = version.model
    with asking(version, by) as gate:
        gate.check_change(model=model, version=version, verb="delete", by=by)
    for alias in list(version.aliases.all()):
        alias.model, alias.version = model, version
        with asking(version, by) as gate:
            gate.check_alias(model=model, alias=alias.name, version=None, by=by)
        append(
            action="alias.deleted",
            subject=deleted(alias),
            by=by,
            diff={"version": {"before": version.number, "after": None}},
            reason="The version was deleted.",
            facts={"model": model.name, "alias": alias.name},
        )
        alias.delete()
    version.deleted_at = version.updated_at = rows.touch(model)
    statements.run(
        "UPDATE registry_modelversion SET deleted_at = %s, updated_at = %s WHERE id = %s",
        [version.deleted_at, version.updated_at, version.pk],
    )
    append(action="version.deleted", subject=version, by=by)


@recording_refusals
@transaction.atomic
def set_stage(*, version: ModelVersion, stage: str, archive_existing: bool, by: Actor) -> ModelVersion:
    """Move a version to one of MLflow's stages (any case); with ``archive_existing`` the others there are archived.

    Raises ``NotAllowed``, ``Invalid`` for an unknown stage, the gate's refusal.
    """
    wanted = STAGES.get(stage.lower())
    if wanted is None:
        known = ", ".join(STAGES.values())
        raise Invalid(
            f"Invalid Model Version stage: {stage}. Value must be one of {known}.", code="stage", field="stage"
        )
    guards.check_can_move(by, version.model)
    version = lock_version(version)
    with asking(version, by) as gate:
        gate.check_stage(version=version, stage=wanted, by=by)
    moment = rows.touch(version.model)
    if archive_existing and wanted in {ModelVersion.Stage.STAGING, ModelVersion.Stage.PRODUCTION}:
        others = ModelVersion.objects.locked().filter(model=version.model, stage=wanted, deleted_at=None)
        for other in list(others.exclude(pk=version.pk)):
            other.model = version.model
            with asking(other, by) as gate:
                gate.check_stage(version=other, stage="Archived", by=by)
            _enter(other, ModelVersion.Stage.ARCHIVED, moment, by)
    _enter(version, wanted, moment, by)
    return version


def _enter(version: ModelVersion, stage: str, moment: datetime, by: Actor) -> None:
    """Put a locked version into a stage; one that is there already changes nothing but its moment, as in MLflow."""
    before, version.stage, version.updated_at = version.stage, stage, moment
    rows.enter_stage(version)
    if before != stage:
        diff = {"stage": {"before": before, "after": stage}}
        append(action="version.stage_changed", subject=version, by=by, diff=diff)


_SET_TAG: Final = """
    INSERT INTO registry_versiontag (version_id, key, value) VALUES (%s, %s, %s)
    ON CONFLICT (version_id, key) DO UPDATE SET value = EXCLUDED.value
    RETURNING (SELECT jsonb_object_agg(key, value) FROM registry_versiontag WHERE version_id = %s)
"""
_TAGS: Final = "SELECT jsonb_object_agg(key, value) FROM registry_versiontag WHERE version_id = %s"


@recording_refusals
@transaction.atomic
def set_version_tag(*, version: ModelVersion, key: str, value: str, by: Actor) -> None:
    """Set a tag. Raises ``NotAllowed``, ``Invalid``, the gate's refusal."""
    guards.check_can_contribute(by, version.model)
    names.check_tag(key, value)
    prompts.check_version_tag_is_free(key)
    version = lock_version(version)
    with asking(version, by) as gate:
        gate.check_tag(model=version.model, version=version, key=key, by=by)
    (present,) = statements.one(_SET_TAG, [version.pk, key, value, version.pk])
    tags: dict[str, str] = json.loads(present or "{}")
    before = tags.get(key)
    version.__dict__["ledger_tags"] = {**tags, key: value}
    append(action="version.tag_set", subject=version, by=by, diff={"key": key, "value": change(before, value)})


@recording_refusals
@transaction.atomic
def delete_version_tag(*, version: ModelVersion, key: str, by: Actor) -> None:
    """Delete a tag; one that isn't there is no error. Raises ``NotAllowed``, the gate's refusal."""
    guards.check_can_contribute(by, version.model)
    prompts.check_version_tag_is_free(key)
    version = lock_version(version)
    (present,) = statements.one(_TAGS, [version.pk])
    tags: dict[str, str] = json.loads(present or "{}")
    if key not in tags:
        return
    with asking(version, by) as gate:
        gate.check_tag(model=version.model, version=version, key=key, by=by)
    statements.run("DELETE FROM registry_versiontag WHERE version_id = %s AND key = %s", [version.pk, key])
    before = tags.pop(key)
    version.__dict__["ledger_tags"] = tags
    append(action="version.tag_deleted", subject=version, by=by, diff={"key": key, "value": change(before, None)})


def user_named(name: str) -> User | None:
    """The account of that name, if there is one: for who trained a run or wrote a commit."""
    return User.objects.filter(username=name).first()
