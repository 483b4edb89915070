"""``model-versions/*``: each call parses, calls a service or selector, and answers in MLflow's words."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from audit.actors import Actor
from registry import sources
from registry.mlflow import documents, filters
from registry.mlflow.auth import person
from registry.mlflow.codec import (
    KEY,
    NAME,
    VERSION,
    Field,
    Kind,
    arguments,
    model_name,
    required,
    respond,
    respond_page,
    respond_text,
)
from registry.mlflow.errors import ProtocolError, invalid
from registry.mlflow.lookup import model_named, no_version, number_in, stage_named, version_named
from registry.mlflow.origins import origin_of
from registry.mlflow.registered_models import SEARCH, respond_version, search_arguments
from registry.models import ModelVersion
from registry.selectors import mlflow_reads
from registry.selectors import mlflow_search as search
from registry.services import ingest, versions

DEFAULT_SIZE: Final = 10_000
"""What MLflow's client asks for. The proto's default is the limit, an answer that no caller means to get."""
LARGEST_SIZE: Final = 200_000
ACTIVE_STAGES: Final = (ModelVersion.Stage.STAGING, ModelVersion.Stage.PRODUCTION)


def create(request: HttpRequest, by: Actor) -> HttpResponse:
    """Register a version. It is PENDING_REGISTRATION until a worker has read, digested and sealed its bytes.

    A copy of a sealed version is sealed at once: its bytes are here and known.
    """
    given = arguments(
        request,
        (
            required("name"),  # its form is looked at after the source, as MLflow does
            required("source"),
            Field("run_id"),
            Field("tags", Kind.TAGS),
            Field("run_link"),
            Field("description"),
            Field("model_id"),
        ),
    )
    origin = origin_of(given, by)
    model = model_named(model_name(given["name"]), by)
    version = versions.register_version(
        model=model,
        by=by,
        source=origin.source,
        run_id=origin.run_id,
        logged_model_id=origin.model_id,
        run_link=given.get("run_link", ""),
        description=given.get("description", ""),
        tags=given.get("tags", {}),
    )
    if origin.is_copy:
        ingest.seal_copy(version.pk)
    elif not version.is_sealed:
        return respond({"model_version": documents.new_version(version, given.get("tags", {}))})
    return _changed(version)


def get(request: HttpRequest, by: Actor) -> HttpResponse:
    """One version."""
    given = arguments(request, (NAME, VERSION))
    name, number = given["name"], number_in(given["version"])
    found = mlflow_reads.version_json(person(by), name, number) or ""  # of an unknown model MLflow says the same
    return respond_version(found, name, no_version(name, number))


def update(request: HttpRequest, by: Actor) -> HttpResponse:
    """Set the description."""
    given = arguments(request, (NAME, VERSION, Field("description")))
    version = version_named(given["name"], given["version"], by)
    return _changed(versions.update_version(version=version, by=by, description=given.get("description", "")))


def transition(request: HttpRequest, by: Actor) -> HttpResponse:
    """Move a version to a stage. A governed stage needs an active permit."""
    given = arguments(request, (NAME, VERSION, required("stage"), Field("archive_existing_versions", Kind.FLAG)))
    stage = stage_named(given["stage"])
    archive = given.get("archive_existing_versions", False)
    if archive and stage not in ACTIVE_STAGES:
        raise invalid(
            "Model version transition cannot archive existing model versions because "
            f"'{given['stage']}' is not an Active stage. Valid stages are Staging, Production"
        )
    version = version_named(given["name"], given["version"], by)
    return _changed(versions.set_stage(version=version, stage=stage, archive_existing=archive, by=by))


def delete(request: HttpRequest, by: Actor) -> HttpResponse:
    """Delete a version. Its number is never used again; what was decided about it stays on record."""
    given = arguments(request, (NAME, VERSION))
    versions.delete_version(version=version_named(given["name"], given["version"], by), by=by)
    return respond({})


def find(request: HttpRequest, by: Actor) -> HttpResponseBase:
    """Search versions; those of prompts are hidden unless asked for."""
    given = arguments(request, SEARCH)
    conditions, order, size = search_arguments(given, filters.VERSIONS, default=DEFAULT_SIZE, limit=LARGEST_SIZE)
    slices = search.slices_of_versions(
        person(by),
        conditions,
        order,
        after=given.get("page_token", ""),
        size=size,
        prompts=filters.wants_prompts(conditions),
    )
    return respond_page("model_versions", slices)


def download_uri(request: HttpRequest, by: Actor) -> HttpResponse:
    """Where the sealed bytes of a version are served, whatever its source holds by now."""
    given = arguments(request, (NAME, VERSION))
    version = version_named(given["name"], given["version"], by)
    if not version.is_sealed:
        why = version.status_message or "it is still being sealed; wait until its status is READY"
        raise ProtocolError("RESOURCE_CONFLICT", f"{version} has no artifacts to load: {why}")
    return respond({"artifact_uri": f"mlflow-artifacts:/{sources.SEALED}/{version.model_id}/{version.number}"})


def set_tag(request: HttpRequest, by: Actor) -> HttpResponse:
    """Write a tag."""
    given = arguments(request, (NAME, VERSION, KEY, Field("value")))
    version = version_named(given["name"], given["version"], by)
    versions.set_version_tag(version=version, key=given["key"], value=given.get("value", ""), by=by)
    return respond({})


def delete_tag(request: HttpRequest, by: Actor) -> HttpResponse:
    """Delete a tag, if it is there."""
    given = arguments(request, (NAME, VERSION, KEY))
    version = version_named(given["name"], given["version"], by)
    versions.delete_version_tag(version=version, key=given["key"], by=by)
    return respond({})


def _changed(version: ModelVersion) -> HttpResponse:
    """The version that the service returned, with its tags and aliases."""
    return respond_text(f'{{"model_version":{mlflow_reads.version_json_of(version)}}}')
