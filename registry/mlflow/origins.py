"""Where a new version says it comes from: checked as data, in MLflow's order and words, never dereferenced.

A source that is another version, by number, alias, stage or ``latest``, is resolved here and brings its run along
(mlflow/server/handlers.py, ``_create_model_version``).
"""

from dataclasses import dataclass

from audit.actors import Actor
from registry import prompts, sources
from registry.mlflow.auth import person
from registry.mlflow.codec import Arguments
from registry.mlflow.errors import ProtocolError, invalid, missing
from registry.mlflow.lookup import model_named, no_version, stage_named
from registry.models import ModelTag, ModelVersion, RegisteredModel


@dataclass(frozen=True, slots=True)
class Origin:
    """A source that may be registered. ``is_copy``: of a sealed version of ours, so nothing needs to be read."""

    source: str
    run_id: str = ""
    model_id: str = ""
    is_copy: bool = False


def origin_of(given: Arguments, by: Actor) -> Origin:
    """The origin in these arguments of ``model-versions/create``. Raises ``ProtocolError``."""
    text, run_id, model_id = given["source"], given.get("run_id", ""), given.get("model_id", "")
    if prompts.is_prompt(given.get("tags", {})):
        if text not in prompts.SOURCES:
            raise invalid(f"Invalid prompt source: '{text}'. Prompt sources must use an MLflow placeholder.")
        return Origin(text, run_id, model_id)
    try:
        source = sources.parse(text)
        sources.check_owner(source, text, run_id=run_id, model_id=model_id)
    except sources.BadSource as error:
        raise invalid(str(error)) from error
    if source.kind not in {"version", "sealed"}:
        return Origin(text, run_id, model_id)
    version = _version_at(source, text, by)
    for name, own in (("run_id", version.run_id), ("model_id", version.logged_model_id)):
        if name in given and given[name] != own:
            raise invalid(
                f"Invalid model version source: '{text}'. The run_id and model_id request parameters must match the "
                "referenced model version."
            )
    if not version.is_sealed:
        raise ProtocolError("RESOURCE_CONFLICT", f"{version} is not sealed, so it cannot be copied.")
    return Origin(
        f"models:/{version.model.name}/{version.number}", version.run_id, version.logged_model_id, is_copy=True
    )


def _version_at(source: sources.Source, text: str, by: Actor) -> ModelVersion:
    model = _model_at(source, by)
    if ModelTag.objects.filter(model=model, key=prompts.IS_PROMPT).exists():
        raise invalid(
            f"Invalid model version source: '{text}'. Prompt versions cannot be used as model version sources."
        )
    found = ModelVersion.objects.alive().filter(model=model).select_related("model")
    if source.alias and source.alias.lower() != "latest":
        version = found.filter(aliases__name=source.alias, aliases__model=model).first()
        if version is None:
            raise invalid(f"Registered model alias {source.alias} not found.")
        return version
    if source.number:
        version = found.filter(number=source.number).first()
        if version is None:
            raise no_version(model.name, source.number)
        return version
    if source.stage:
        found = found.filter(stage=stage_named(source.stage).value)
    version = found.order_by("-number").first()
    if version is None:
        raise missing(f"No versions of model with name '{model.name}' and stage '{source.stage or None}' found")
    return version


def _model_at(source: sources.Source, by: Actor) -> RegisteredModel:
    if source.kind == "version":
        return model_named(source.id, by)
    found = RegisteredModel.objects.alive().visible_to(person(by)).filter(pk=int(source.id)).first()
    if found is None:
        raise missing("Invalid model version source: there is no such sealed version.")
    return found
