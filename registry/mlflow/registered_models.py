"""``registered-models/*``: each call parses, calls a service or selector, and answers in MLflow's words."""

from collections.abc import Sequence
from typing import Any, Final

from django.http import HttpRequest, HttpResponse

from audit.actors import Actor
from config.errors import Conflict, NotFound
from registry.mlflow import filters
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
    model_document,
    respond,
    version_document,
)
from registry.mlflow.errors import ProtocolError, invalid, missing
from registry.mlflow.lookup import model_named, number_in, stage_named
from registry.models import ModelVersion, RegisteredModel
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
        raise _already_exists(refusal, given["name"]) from refusal
    return respond({"registered_model": document(model)})


def get(request: HttpRequest, by: Actor) -> HttpResponse:
    """One model. Precedes nearly every write of the client, so it must not depend on the number of versions."""
    given = arguments(request, (NAME,))
    return respond({"registered_model": document(model_named(given["name"], by))})


def update(request: HttpRequest, by: Actor) -> HttpResponse:
    """Set the description."""
    given = arguments(request, (NAME, Field("description")))
    model = model_named(given["name"], by)
    model = catalog.update_model(model=model, by=by, description=given.get("description", ""))
    return respond({"registered_model": document(model)})


def rename(request: HttpRequest, by: Actor) -> HttpResponse:
    """Give a model another name."""
    given = arguments(request, (NAME, NEW_NAME))
    model = model_named(given["name"], by)
    try:
        model = catalog.rename_model(model=model, new_name=given["new_name"], by=by)
    except Conflict as refusal:
        raise _already_exists(refusal, given["new_name"]) from refusal
    return respond({"registered_model": document(model)})


def delete(request: HttpRequest, by: Actor) -> HttpResponse:
    """Delete a model. Its versions, decisions and ledger entries stay on record."""
    given = arguments(request, (NAME,))
    catalog.delete_model(model=model_named(given["name"], by), by=by)
    return respond({})


def find(request: HttpRequest, by: Actor) -> HttpResponse:
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
    answer: dict[str, Any] = {}
    if page.rows:
        answer["registered_models"] = documents(page.rows)
    if page.next:
        answer["next_page_token"] = page.next
    return respond(answer)


@reads
def latest_versions(request: HttpRequest, by: Actor) -> HttpResponse:
    """The newest version in each stage asked for, or in every stage."""
    given = arguments(request, (NAME, Field("stages", Kind.TEXTS)))
    model = model_named(given["name"], by)
    wanted = {stage_named(stage) for stage in given.get("stages", [])} or set(ModelVersion.Stage)
    found = [full(version) for version in search.latest_per_stage([model])[model.pk] if version.stage in wanted]
    return respond({"model_versions": found} if found else {})


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
    if model.tags.filter(key=given["key"]).exists():
        catalog.delete_model_tag(model=model, key=given["key"], by=by)
    return respond({})


def set_alias(request: HttpRequest, by: Actor) -> HttpResponse:
    """Point an alias to a version. A governed alias needs an active permit."""
    given = arguments(request, (NAME, ALIAS, VERSION))
    model = model_named(given["name"], by)
    number = number_in(given["version"])
    try:
        catalog.set_alias(model=model, alias=given["alias"], number=number, by=by)
    except NotFound as refusal:
        raise missing(f"Model Version (name={model.name}, version={number}) not found") from refusal
    return respond({})


def delete_alias(request: HttpRequest, by: Actor) -> HttpResponse:
    """Remove an alias, if it is there."""
    given = arguments(request, (NAME, ALIAS))
    model = model_named(given["name"], by)
    if model.aliases.filter(name=given["alias"]).exists():
        catalog.delete_alias(model=model, alias=given["alias"], by=by)
    return respond({})


def get_by_alias(request: HttpRequest, by: Actor) -> HttpResponse:
    """The version an alias names; ``latest`` is the newest."""
    given = arguments(request, (NAME, ALIAS))
    model, alias = model_named(given["name"], by), given["alias"]
    if alias.lower() == "latest":
        newest = search.newest_version(model)
        if newest is None:
            raise missing(f"Latest version not found for model {model.name}.")
        return respond({"model_version": full(newest)})
    version = search.version_by_alias(model, alias)
    if version is None:
        raise invalid(f"Registered model alias {alias} not found.")
    return respond({"model_version": full(version)})


def _already_exists(refusal: Conflict, name: str) -> Exception:
    """The code the client looks for before it goes on to add a version; any other conflict stays what it is."""
    if refusal.code != "model.exists":
        return refusal
    return ProtocolError("RESOURCE_ALREADY_EXISTS", f"Registered Model (name={name}) already exists.")


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


def full(version: ModelVersion) -> dict[str, Any]:
    """A version whose tags and aliases are loaded, as a message."""
    return version_document(version, tags=version.tags.all(), aliases=[alias.name for alias in version.aliases.all()])


def document(model: RegisteredModel) -> dict[str, Any]:
    """A model as a message."""
    return documents([model])[0]


def documents(models: Sequence[RegisteredModel]) -> list[dict[str, Any]]:
    """Models as messages, in a fixed number of queries."""
    latest = search.latest_per_stage(models)
    tags = search.tags_of_models(models)
    aliases = search.aliases_of_models(models)
    return [
        model_document(
            model,
            latest=[full(version) for version in latest[model.pk]],
            tags=tags[model.pk],
            aliases=aliases[model.pk],
        )
        for model in models
    ]
