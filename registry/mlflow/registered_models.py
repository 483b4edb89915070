"""``registered-models/*``: each call parses, calls a service or selector, and answers in MLflow's words."""

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from audit.actors import Actor
from config.errors import Conflict, NotFound
from registry import prompts
from registry.mlflow import documents, filters
from registry.mlflow.auth import person, reads
from registry.mlflow.codec import (
    ALIAS,
    KEY,
    NAME,
    NEW_NAME,
    VERSION,
    Field,
    Kind,
    arguments,
    respond,
    respond_page,
    respond_text,
)
from registry.mlflow.errors import ProtocolError, invalid, missing
from registry.mlflow.lookup import model_named, no_model, no_version, number_in, stage_named
from registry.models import ModelTag, ModelVersion, RegisteredModel
from registry.selectors import mlflow_reads
from registry.selectors import mlflow_search as search
from registry.services import catalog

SEARCH: Final = (
    Field("filter"),
    Field("max_results", Kind.INTEGER),
    Field("order_by", Kind.TEXTS),
    Field("page_token"),
)


def create(request: HttpRequest, by: Actor) -> HttpResponse:
    """Register a model."""
    given = arguments(request, (NAME, Field("tags", Kind.TAGS), Field("description")))
    try:
        model = catalog.create_model(
            name=given["name"], by=by, description=given.get("description", ""), tags=given.get("tags", {})
        )
    except Conflict as refusal:
        raise _already_exists(refusal, given["name"], prompt=prompts.is_prompt(given.get("tags", {}))) from refusal
    return respond({"registered_model": documents.new_model(model, given.get("tags", {}))})


def get(request: HttpRequest, by: Actor) -> HttpResponse:
    """One model. Precedes nearly every write of the client, so it must not depend on the number of versions."""
    given = arguments(request, (NAME,))
    found = mlflow_reads.model_json(person(by), given["name"])
    if found is None:
        raise no_model(given["name"])
    return respond_text(f'{{"registered_model":{found}}}')


def update(request: HttpRequest, by: Actor) -> HttpResponse:
    """Set the description."""
    given = arguments(request, (NAME, Field("description")))
    model = model_named(given["name"], by)
    return _changed(catalog.update_model(model=model, by=by, description=given.get("description", "")))


def rename(request: HttpRequest, by: Actor) -> HttpResponse:
    """Give a model another name."""
    given = arguments(request, (NAME, NEW_NAME))
    model = model_named(given["name"], by)
    try:
        model = catalog.rename_model(model=model, new_name=given["new_name"], by=by)
    except Conflict as refusal:
        raise _already_exists(refusal, given["new_name"]) from refusal
    return _changed(model)


def delete(request: HttpRequest, by: Actor) -> HttpResponse:
    """Delete a model. Its versions, decisions and ledger entries stay on record."""
    given = arguments(request, (NAME,))
    catalog.delete_model(model=model_named(given["name"], by), by=by)
    return respond({})


def find(request: HttpRequest, by: Actor) -> HttpResponseBase:
    """Search models; prompts are hidden unless asked for."""
    given = arguments(request, SEARCH)
    conditions, order, size = search_arguments(given, filters.MODELS, default=100, limit=1000)
    page = search.search_models(
        person(by),
        conditions,
        order,
        after=given.get("page_token", ""),
        size=size,
        prompts=filters.wants_prompts(conditions),
    )
    return respond_page("registered_models", iter([page]))


@reads
def latest_versions(request: HttpRequest, by: Actor) -> HttpResponse:
    """The newest version in each stage asked for, or in every stage."""
    given = arguments(request, (NAME, Field("stages", Kind.TEXTS)))
    try:
        wanted = [stage_named(stage).value for stage in given.get("stages", [])] or list(ModelVersion.Stage.values)
    except ProtocolError:
        model_named(given["name"], by)
        raise
    found = mlflow_reads.latest_versions_json(person(by), given["name"], wanted)
    if found is None:
        raise no_model(given["name"])
    return respond_text(f'{{"model_versions":{found}}}' if found else "{}")


def set_tag(request: HttpRequest, by: Actor) -> HttpResponse:
    """Write a tag."""
    given = arguments(request, (NAME, KEY, Field("value")))
    model = model_named(given["name"], by)
    catalog.set_model_tag(model=model, key=given["key"], value=given.get("value", ""), by=by)
    return respond({})


def delete_tag(request: HttpRequest, by: Actor) -> HttpResponse:
    """Delete a tag, if it is there."""
    given = arguments(request, (NAME, KEY))
    model = model_named(given["name"], by)
    catalog.delete_model_tag(model=model, key=given["key"], by=by)
    return respond({})


def set_alias(request: HttpRequest, by: Actor) -> HttpResponse:
    """Point an alias to a version. A governed alias needs an active permit."""
    given = arguments(request, (NAME, ALIAS, VERSION))
    number = number_in(given["version"])
    model = model_named(given["name"], by, otherwise=no_version(given["name"], number))
    try:
        catalog.set_alias(model=model, alias=given["alias"], number=number, by=by)
    except NotFound as refusal:
        raise no_version(model.name, number) from refusal
    return respond({})


def delete_alias(request: HttpRequest, by: Actor) -> HttpResponse:
    """Remove an alias, if it is there."""
    given = arguments(request, (NAME, ALIAS))
    model = model_named(given["name"], by)
    catalog.delete_alias(model=model, alias=given["alias"], by=by)
    return respond({})


def get_by_alias(request: HttpRequest, by: Actor) -> HttpResponse:
    """The version an alias names; ``latest`` is the newest."""
    given = arguments(request, (NAME, ALIAS))
    name, alias = given["name"], given["alias"]
    if alias.lower() == "latest":
        found = mlflow_reads.newest_version_json(person(by), name)
        gone = missing(f"Latest version not found for model {name}.")
    else:
        found = mlflow_reads.version_json_by_alias(person(by), name, alias)
        gone = invalid(f"Registered model alias {alias} not found.")
    return respond_version(found, name, gone)


def _changed(model: RegisteredModel) -> HttpResponse:
    """The model that the service returned, with its newest versions, tags and aliases."""
    return respond_text(f'{{"registered_model":{mlflow_reads.model_json_of(model)}}}')


def _already_exists(refusal: Conflict, name: str, *, prompt: bool | None = None) -> Exception:
    """The code the client looks for before it goes on to add a version; any other conflict stays what it is.

    In the words of mlflow/prompt/registry_utils.py. Whether the other one is a prompt is told to whoever creates one.
    """
    if refusal.code != "model.exists":
        return refusal
    message = f"{'Prompt' if prompt else 'Registered Model'} (name={name}) already exists."
    other = ModelTag.objects.filter(model__name=name, model__deleted_at=None, key=prompts.IS_PROMPT).exists()
    if prompt is not None and prompt != other:
        message = (
            f"Tried to create a {'prompt' if prompt else 'registered model'} with name {name!r}, but the name is already "
            f"taken by a {'prompt' if other else 'registered model'}. MLflow does not allow creating a model and a "
            "prompt with the same name."
        )
    return ProtocolError("RESOURCE_ALREADY_EXISTS", message)


def search_arguments(
    given: dict[str, Any], language: filters.Language, *, default: int, limit: int
) -> tuple[list[filters.Condition], list[tuple[str, bool]], int]:
    """Conditions, order and page size of a search. Raises ``ProtocolError`` (INVALID_PARAMETER_VALUE)."""
    size = given.get("max_results", default)
    if not 0 < size <= limit:
        raise invalid(
            f"Invalid value for request parameter max_results. It must be at least 1 and at most {limit}, "
            f"but got value {size}"
        )
    try:
        conditions = filters.parse(given.get("filter", ""), language)
        return conditions, filters.order(given.get("order_by", []), language), size
    except filters.BadFilter as error:
        raise invalid(str(error)) from error


def respond_version(found: str | None, name: str, gone: ProtocolError) -> HttpResponse:
    """A version that ``mlflow_reads`` found. Raises ``gone`` if there is none, and that there is no such model."""
    if found is None:
        raise no_model(name)
    if not found:
        raise gone
    return respond_text(f'{{"model_version":{found}}}')
