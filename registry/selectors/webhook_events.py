"""The events of the catalogue: MLflow's, in MLflow's shapes (mlflow/webhooks/types.py, 3.17), and those it lacks.

Read from entries of the ledger. What an entry holds only as a digest, because it is long, is read from its row.
"""

from typing import Any, Final

from django.db.models import F

from audit.models import Entry
from registry.events import Data, Event, Happening, Reader, Table
from registry.models import ModelTag, ModelVersion, RegisteredModel, VersionTag
from registry.selectors.mlflow_search import PROMPT_TAG

_TEXT_TAG: Final = "mlflow.prompt.text"
_TYPE_TAG: Final = "_mlflow_prompt_type"
_NAME: Final = {"name": "credit-default"}
_VERSION: Final = {**_NAME, "version": "1"}
_MODEL_SAMPLE: Final = {"name": "example_model", "version": "1"}
_PROMPT_SAMPLE: Final = {"name": "example_prompt", "version": "1"}
_TAG: Final = {"key": "example_key", "value": "example_value"}
_KEY: Final = {"key": "example_key"}
_TAGS: Final = {"tags": {"example_key": "example_value"}}
_CHANGES: Final = {"description": "Cards", "changes": {"description": {"before": "", "after": "Cards"}}}


def _named(sample: Data) -> Data:
    return {"name": sample["name"]}


def _of_mlflow(model: str, sample: Data, words: str) -> tuple[Event, ...]:
    """What MLflow tells of models and of prompts in the same shape, with its own samples."""
    version = "model_version" if model == "registered_model" else "prompt_version"
    alias = "model_version_alias" if model == "registered_model" else "prompt_alias"
    return (
        Event(f"{version}_tag.set", f"A tag of a {words} version is set.", {**sample, **_TAG}, mlflow=True),
        Event(f"{version}_tag.deleted", f"A tag of a {words} version is deleted.", {**sample, **_KEY}, mlflow=True),
        Event(
            f"{alias}.created",
            f"An alias names a {words} version.",
            {**_named(sample), "alias": "example_alias", "version": "1"},
            mlflow=True,
        ),
        Event(
            f"{alias}.deleted",
            f"An alias of a {words} is deleted.",
            {**_named(sample), "alias": "example_alias"},
            mlflow=True,
        ),
    )


EVENTS: Final = (
    Event(
        "registered_model.created",
        "A model is created.",
        {"name": "example_model", **_TAGS, "description": "An example registered model"},
        mlflow=True,
    ),
    Event(
        "model_version.created",
        "A version is registered; its bytes are not sealed yet.",
        {
            **_MODEL_SAMPLE,
            "source": "models:/123",
            "run_id": "abcd1234abcd5678",
            **_TAGS,
            "description": "An example model version",
        },
        mlflow=True,
    ),
    *_of_mlflow("registered_model", _MODEL_SAMPLE, "model"),
    Event(
        "prompt.created",
        "A prompt is created.",
        {"name": "example_prompt", **_TAGS, "description": "An example prompt"},
        mlflow=True,
    ),
    Event(
        "prompt_version.created",
        "A version of a prompt is registered.",
        {**_PROMPT_SAMPLE, "template": "Hello {{name}}!", **_TAGS, "description": "An example prompt version"},
        mlflow=True,
    ),
    Event("prompt_tag.set", "A tag of a prompt is set.", {**_named(_PROMPT_SAMPLE), **_TAG}, mlflow=True),
    Event("prompt_tag.deleted", "A tag of a prompt is deleted.", {**_named(_PROMPT_SAMPLE), **_KEY}, mlflow=True),
    *_of_mlflow("prompt", _PROMPT_SAMPLE, "prompt"),
    Event(
        "budget_policy.exceeded",
        "Known to MLflow's client, and never sent: there is no gateway here.",
        {"budget_policy_id": "bp-abc123"},
        mlflow=True,
    ),
    Event("registered_model.updated", "A model's description, tier, use case or card is changed.", _NAME | _CHANGES),
    Event("registered_model.renamed", "A model is renamed.", {**_NAME, "new_name": "credit-default-eu"}),
    Event("registered_model.deleted", "A model is deleted.", _NAME),
    Event("registered_model_tag.set", "A tag of a model is set.", {**_NAME, **_TAG}),
    Event("registered_model_tag.deleted", "A tag of a model is deleted.", {**_NAME, **_KEY}),
    Event("model_version.updated", "A version's description is changed.", _VERSION | _CHANGES),
    Event(
        "model_version.stage_changed",
        "A version is moved to another stage.",
        {**_VERSION, "from_stage": "None", "to_stage": "Staging"},
    ),
    Event(
        "model_version.sealed",
        "A version's bytes are read and fixed: it is READY.",
        {**_VERSION, "manifest_digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
    ),
    Event(
        "model_version.failed",
        "A version's bytes could not be sealed.",
        {**_VERSION, "message": "There is no file MLmodel."},
    ),
    Event("model_version.deleted", "A version is deleted.", _VERSION),
    Event("prompt.updated", "A prompt's description is changed.", {"name": "greeting", **_CHANGES}),
    Event("prompt.renamed", "A prompt is renamed.", {"name": "greeting", "new_name": "welcome"}),
    Event("prompt.deleted", "A prompt is deleted.", {"name": "greeting"}),
    Event("prompt_version.updated", "A prompt version's description is changed.", _PROMPT_SAMPLE | _CHANGES),
    Event("prompt_version.deleted", "A version of a prompt is deleted.", _PROMPT_SAMPLE),
)


def _is_prompt(model: RegisteredModel) -> bool:
    return ModelTag.objects.filter(model=model, key=PROMPT_TAG, value__iexact="true").exists()


def _model(entry: Entry) -> RegisteredModel | None:
    return RegisteredModel.objects.filter(pk=entry.subject_id).first()


def _version(entry: Entry) -> ModelVersion | None:
    return ModelVersion.objects.select_related("model").filter(pk=entry.subject_id).first()


def _about(name: str) -> str:
    return f"model:{name}"[:120]


def _whole(value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether the ledger holds the value itself, not its digest (``registry.services.differences.told``)."""
    return value is not None and not (isinstance(value, dict) and value.keys() == {"sha256", "bytes"})


def _texts(entry: Entry, row: RegisteredModel | ModelVersion) -> tuple[str, dict[str, str]]:
    """Description and tags at the moment of creation."""
    description: Any = entry.diff.get("description")
    tags: Any = entry.diff.get("tags")
    if not _whole(tags):
        manager: Any = ModelTag.objects if isinstance(row, RegisteredModel) else VersionTag.objects
        owner = "model" if isinstance(row, RegisteredModel) else "version"
        tags = [{"key": tag.key, "value": tag.value} for tag in manager.filter(**{owner: row}).order_by("key")]
    return (
        str(description) if _whole(description) else row.description,
        {str(tag["key"]): str(tag["value"]) for tag in tags},
    )


def _model_created(entry: Entry) -> Happening | None:
    model = _model(entry)
    if model is None:
        return None
    description, tags = _texts(entry, model)
    name = str(entry.facts.get("name", model.name))
    if tags.get(PROMPT_TAG, "").lower() == "true":
        rest = {key: value for key, value in tags.items() if key not in {PROMPT_TAG, _TYPE_TAG}}
        return Happening("prompt.created", {"name": name, "tags": rest, "description": description}, _about(name))
    data = {"name": name, "tags": tags, "description": description}
    return Happening("registered_model.created", data, _about(name))


def _version_registered(entry: Entry) -> Happening | None:
    version = _version(entry)
    if version is None:
        return None
    description, tags = _texts(entry, version)
    name = str(entry.facts.get("model", version.model.name))
    data: Data = {"name": name, "version": str(version.number)}
    if tags.get(PROMPT_TAG, "").lower() == "true":
        data["template"] = tags.pop(_TEXT_TAG, None)
        data["tags"] = {key: value for key, value in tags.items() if key not in {PROMPT_TAG, _TYPE_TAG}}
        data["description"] = description or None
        return Happening("prompt_version.created", data, _about(name))
    data |= {"source": version.source, "run_id": version.run_id or None, "tags": tags}
    data["description"] = description or None
    return Happening("model_version.created", data, _about(name))


def _alias(entry: Entry) -> Happening | None:
    name, mark, alias = str(entry.object_version).rpartition("@")
    name, alias = str(entry.facts.get("model", name)), str(entry.facts.get("alias", alias if mark else ""))
    newest_first = F("deleted_at").desc(nulls_first=True)
    model = RegisteredModel.objects.filter(name=name).order_by(newest_first).first()
    prompt = model is not None and _is_prompt(model)
    data: Data = {"name": name, "alias": alias}
    if entry.action == "alias.set":
        data["version"] = str(entry.diff["version"]["after"])
    verb = "created" if entry.action == "alias.set" else "deleted"
    return Happening(f"{'prompt' if prompt else 'model_version'}_alias.{verb}", data, _about(name))


def _of_model(verb: str, *, tag: bool = False) -> Reader:
    def read(entry: Entry) -> Happening | None:
        model = _model(entry)
        if model is None:
            return None
        noun = "prompt" if _is_prompt(model) else "registered_model"
        data: Data = {"name": model.name}
        if tag:
            data |= _tag(entry, verb, ModelTag.objects.filter(model=model))
        elif verb == "renamed":
            data = {"name": entry.diff["name"]["before"], "new_name": entry.diff["name"]["after"]}
        elif verb == "updated":
            data |= {"description": model.description, "changes": dict(entry.diff)}
        return Happening(f"{noun}_tag.{verb}" if tag else f"{noun}.{verb}", data, _about(data["name"]))

    return read


def _of_version(verb: str, *, tag: bool = False) -> Reader:
    def read(entry: Entry) -> Happening | None:
        version = _version(entry)
        if version is None:
            return None
        prompt = _is_prompt(version.model)
        if prompt and verb in {"sealed", "failed", "stage_changed"}:
            return None
        noun = "prompt_version" if prompt else "model_version"
        data: Data = {"name": version.model.name, "version": str(version.number)}
        if tag:
            data |= _tag(entry, verb, VersionTag.objects.filter(version=version))
        elif verb == "updated":
            data |= {"description": version.description, "changes": dict(entry.diff)}
        elif verb == "stage_changed":
            data |= {"from_stage": entry.diff["stage"]["before"], "to_stage": entry.diff["stage"]["after"]}
        elif verb == "sealed":
            data["manifest_digest"] = entry.facts["manifest_digest"]
        elif verb == "failed":
            data["message"] = entry.reason
        return Happening(f"{noun}_tag.{verb}" if tag else f"{noun}.{verb}", data, _about(version.model.name))

    return read


def _tag(entry: Entry, verb: str, rows: Any) -> Data:  # noqa: ANN401 - tags of a model or of a version
    key = entry.diff["key"]
    if verb == "deleted":
        return {"key": key}
    value = entry.diff["value"]["after"]
    if not _whole(value):
        value = rows.filter(key=key).values_list("value", flat=True).first() or ""
    return {"key": key, "value": value}


TABLE: Final = Table(
    events=EVENTS,
    readers={
        "model.created": _model_created,
        "model.changed": _of_model("updated"),
        "model.renamed": _of_model("renamed"),
        "model.deleted": _of_model("deleted"),
        "model.tag_set": _of_model("set", tag=True),
        "model.tag_deleted": _of_model("deleted", tag=True),
        "version.registered": _version_registered,
        "version.sealed": _of_version("sealed"),
        "version.failed": _of_version("failed"),
        "version.changed": _of_version("updated"),
        "version.stage_changed": _of_version("stage_changed"),
        "version.deleted": _of_version("deleted"),
        "version.tag_set": _of_version("set", tag=True),
        "version.tag_deleted": _of_version("deleted", tag=True),
        "alias.set": _alias,
        "alias.deleted": _alias,
    },
)
