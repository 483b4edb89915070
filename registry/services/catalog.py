"""Writes to the catalogue: models, their tags and aliases. Lock order: model, then version, then the rest."""

import json
from collections.abc import Mapping
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import prefetch_related_objects

from audit.actors import Actor
from audit.canonical import Json
from audit.services import append
from audit.subjects import gone as deleted
from config import statements
from config.errors import Conflict, Invalid, NotFound, StaleEdit
from registry import guards, names, prompts
from registry.models import Alias, Dataset, ModelVersion, RegisteredModel, User
from registry.services import rows
from registry.services.differences import change, told
from registry.services.gated import asking, recording_refusals


class _Keep:
    """Marks an argument that was not given: the field keeps its value."""


KEEP: Final = _Keep()
RENAMING: Final = 0x72656E61
"""Advisory lock: one rename at a time. Two that swap names would wait for each other's entries in the index of names."""


def person_of(by: Actor) -> User:
    """The account behind an actor. Raises ``Invalid`` for a service: what is owned or signed is a person's."""
    if not isinstance(by.user, User):
        raise Invalid("This must be done by a person or a service account that is signed in.", code="actor.no_account")
    return by.user


def lock_model(model: RegisteredModel) -> RegisteredModel:
    """The model's row, locked and fresh. Raises ``NotFound`` if it was deleted or renamed meanwhile."""
    found = rows.locked_model(model)
    if found is None:
        raise gone(model)
    return found


def gone(model: RegisteredModel) -> NotFound:
    """The model was deleted or renamed after somebody read it."""
    return NotFound(f"There is no model {model.name!r} any more.", code="model.unknown")


@recording_refusals
@transaction.atomic
def create_model(
    *,
    name: str,
    by: Actor,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    tier: int = RegisteredModel.Tier.ONE,
    use_case: str = "",
    card: Mapping[str, str] | None = None,
) -> RegisteredModel:
    """Create a registered model, owned by who asks.

    Raises ``NotAllowed`` without the role, ``Invalid`` naming the field, ``Conflict`` (``model.exists``) when the name
    is taken.
    """
    guards.check_can_create_model(by)
    names.check_name(name)
    _check_texts(description=description, use_case=use_case, tier=tier, card=card)
    names.check_tags(tags or {})
    prompts.check_tags(tags or {})
    if tier > RegisteredModel.Tier.ONE:
        guards.check_can_relax_tier(by, None)
    model = RegisteredModel(
        name=name, description=description, owner=person_of(by), tier=tier, use_case=use_case, card=dict(card or {})
    )
    if not rows.insert_model(model):
        raise Conflict(f"A model named {name!r} exists already.", code="model.exists", field="name")
    if tags:
        for key in sorted(tags):
            with asking(model, by) as gate:
                gate.check_tag(model=model, version=None, key=key, by=by)
        statements.run(
            "INSERT INTO registry_modeltag (model_id, key, value) SELECT %s, * FROM unnest(%s::text[], %s::text[])",
            [model.pk, list(tags), list(tags.values())],
        )
    model.__dict__["ledger_tags"] = dict(tags or {})
    diff: dict[str, Json] = {
        "tags": told([{"key": key, "value": value} for key, value in sorted((tags or {}).items())]),
        "description": told(description),
    }
    append(action="model.created", subject=model, by=by, diff=diff, facts={"name": name, "tier": tier})
    return model


def _check_texts(
    *,
    description: str | None = None,
    use_case: str | None = None,
    tier: int | None = None,
    card: Mapping[str, str] | None = None,
) -> None:
    if description is not None:
        names.check_text(description, field="description")
    if use_case is not None:
        names.check_text(use_case, field="use_case", longest=400)
    if tier is not None and tier not in RegisteredModel.Tier.values:
        raise Invalid("The tier is 1, 2 or 3.", code="model.tier", field="tier")
    if card is not None:
        names.check_card(card)


@recording_refusals
@transaction.atomic
def update_model(
    *,
    model: RegisteredModel,
    by: Actor,
    description: str | None = None,
    tier: int | None = None,
    use_case: str | None = None,
    card: Mapping[str, str] | None = None,
    evaluation_dataset: Dataset | _Keep | None = KEEP,
    revision: int | None = None,
) -> RegisteredModel:
    """Change what is given; ``None`` keeps a field (``KEEP`` for the data set, where ``None`` takes it away).

    Raises ``NotAllowed``, ``Invalid`` naming the field, ``StaleEdit`` when ``revision`` is not the current one.
    """
    guards.check_can_curate(by, model)
    _check_texts(description=description, use_case=use_case, tier=tier, card=card)
    model = lock_model(model)
    if revision is not None and revision != model.revision:
        raise StaleEdit(
            "Somebody changed this model after you read it.",
            code="model.stale",
            remedy="Read it again, then repeat your change.",
            extra={"revision": model.revision},
        )
    wanted: dict[str, object] = {"description": description, "tier": tier, "use_case": use_case}
    wanted["card"] = dict(card) if card is not None else None
    changed = {field: value for field, value in wanted.items() if value is not None and value != getattr(model, field)}
    if not isinstance(evaluation_dataset, _Keep) and evaluation_dataset != model.evaluation_dataset:
        changed["evaluation_dataset"] = evaluation_dataset
    if not changed:
        _say_when(model, said=description is not None)
        return model
    with asking(model, by) as gate:
        gate.check_change(model=model, version=None, verb="describe", by=by)
    if tier is not None and tier > model.tier:
        guards.check_can_relax_tier(by, model)
    before = {field: _logged(getattr(model, field)) for field in changed}
    for field, value in changed.items():
        setattr(model, field, value)
    model.save(update_fields=list(changed))
    rows.touch(model)
    diff = {field: change(before[field], _logged(value)) for field, value in changed.items()}
    append(action="model.changed", subject=model, by=by, diff=diff)
    return model


def _say_when(model: RegisteredModel, *, said: bool) -> None:
    """A description that is given again changes nothing but the moment, as in MLflow (update_registered_model)."""
    if said:
        statements.run("UPDATE registry_registeredmodel SET updated_at = clock_timestamp() WHERE id = %s", [model.pk])
        model.refresh_from_db(fields=["updated_at"])


def _logged(value: Any) -> Json:  # noqa: ANN401 - any of the model's fields
    plain: Json = value.name if isinstance(value, Dataset) else value
    return plain


@recording_refusals
@transaction.atomic
def rename_model(*, model: RegisteredModel, new_name: str, by: Actor) -> RegisteredModel:
    """Give a model another name. Raises ``NotAllowed``, ``Invalid``, ``Conflict`` (``model.exists``), the gate's refusal."""
    guards.check_can_contribute(by, model)
    names.check_name(new_name, field="new_name")
    statements.row("SELECT pg_advisory_xact_lock(%s)", [RENAMING])
    model = lock_model(model)
    with asking(model, by) as gate:
        gate.check_change(model=model, version=None, verb="rename", by=by, new_name=new_name)
    before, model.name = model.name, new_name
    try:
        statements.run("UPDATE registry_registeredmodel SET name = %s WHERE id = %s", [new_name, model.pk])
    except IntegrityError as error:
        if "registeredmodel_name_once" not in str(error):
            raise
        raise Conflict(f"A model named {new_name!r} exists already.", code="model.exists", field="new_name") from error
    moment = rows.touch(model)
    # In MLflow a version carries its model's name, so a rename changes each (rename_registered_model).
    statements.run(
        "UPDATE registry_modelversion SET updated_at = %s WHERE model_id = %s AND deleted_at IS NULL",
        [moment, model.pk],
    )
    append(action="model.renamed", subject=model, by=by, diff={"name": {"before": before, "after": new_name}})
    return model


@recording_refusals
@transaction.atomic
def delete_model(*, model: RegisteredModel, by: Actor) -> None:
    """Take a model out of the catalogue. Its rows, decisions and log entries stay. Raises as ``rename_model``."""
    guards.check_can_contribute(by, model)
    model = lock_model(model)
    with asking(model, by) as gate:
        gate.check_change(model=model, version=None, verb="delete", by=by)
    now = rows.touch(model)
    for alias in list(model.aliases.select_related("version")):
        alias.model = model
        with asking(model, by) as gate:
            gate.check_alias(model=model, alias=alias.name, version=None, by=by)
        append(
            action="alias.deleted",
            subject=deleted(alias),
            by=by,
            diff={"version": {"before": alias.version.number, "after": None}},
            facts={"model": model.name, "alias": alias.name},
        )
        alias.delete()
    versions = list(ModelVersion.objects.locked().filter(model=model, deleted_at=None))
    statements.run(
        "UPDATE registry_modelversion SET deleted_at = %s, updated_at = %s WHERE model_id = %s AND deleted_at IS NULL",
        [now, now, model.pk],
    )
    prefetch_related_objects(versions, "tags")
    for version in versions:
        version.model, version.deleted_at, version.updated_at = model, now, now
        append(action="version.deleted", subject=version, by=by, reason="The model was deleted.")
    model.deleted_at = now
    statements.run("UPDATE registry_registeredmodel SET deleted_at = %s WHERE id = %s", [now, model.pk])
    append(action="model.deleted", subject=model, by=by)


_SET_TAG: Final = """
    WITH touched AS (UPDATE registry_registeredmodel SET revision = revision + 1 WHERE id = %s)
    INSERT INTO registry_modeltag (model_id, key, value) VALUES (%s, %s, %s)
    ON CONFLICT (model_id, key) DO UPDATE SET value = EXCLUDED.value
    RETURNING (SELECT jsonb_object_agg(key, value) FROM registry_modeltag WHERE model_id = %s)
"""
_TAGS: Final = "SELECT jsonb_object_agg(key, value) FROM registry_modeltag WHERE model_id = %s"
_DELETE_TAG: Final = """
    WITH gone AS (DELETE FROM registry_modeltag WHERE model_id = %s AND key = %s)
    UPDATE registry_registeredmodel SET revision = revision + 1 WHERE id = %s
"""


@recording_refusals
@transaction.atomic
def set_model_tag(*, model: RegisteredModel, key: str, value: str, by: Actor) -> None:
    """Set a tag. Raises ``NotAllowed``, ``Invalid``, the gate's refusal."""
    guards.check_can_contribute(by, model)
    names.check_tag(key, value)
    prompts.check_model_tag_is_free(key)
    model = lock_model(model)
    with asking(model, by) as gate:
        gate.check_tag(model=model, version=None, key=key, by=by)
    (present,) = statements.one(_SET_TAG, [model.pk, model.pk, key, value, model.pk])
    tags: dict[str, str] = json.loads(present or "{}")
    before = tags.get(key)
    model.__dict__["ledger_tags"] = {**tags, key: value}
    diff: dict[str, Json] = {"key": key, "value": change(before, value)}
    append(action="model.tag_set", subject=model, by=by, diff=diff)


@recording_refusals
@transaction.atomic
def delete_model_tag(*, model: RegisteredModel, key: str, by: Actor) -> None:
    """Delete a tag; one that isn't there is no error. Raises ``NotAllowed``, the gate's refusal."""
    guards.check_can_contribute(by, model)
    prompts.check_model_tag_is_free(key)
    model = lock_model(model)
    (present,) = statements.one(_TAGS, [model.pk])
    tags: dict[str, str] = json.loads(present or "{}")
    if key not in tags:
        return
    with asking(model, by) as gate:
        gate.check_tag(model=model, version=None, key=key, by=by)
    statements.run(_DELETE_TAG, [model.pk, key, model.pk])
    before = tags.pop(key)
    model.__dict__["ledger_tags"] = tags
    append(action="model.tag_deleted", subject=model, by=by, diff={"key": key, "value": change(before, None)})


@recording_refusals
@transaction.atomic
def set_alias(*, model: RegisteredModel, alias: str, number: int, by: Actor) -> Alias:
    """Let an alias name a version of the model. One that names it already is left as it is.

    Raises ``NotAllowed``, ``Invalid`` for the alias, ``NotFound`` for the version, the gate's refusal if the alias is
    governed and no active permit is for this version.
    """
    names.check_alias(alias)
    guards.check_can_move(by, model)
    model = lock_model(model)
    found = rows.version_and_alias(model, number, alias)
    if found is None:
        raise NotFound(f"{model.name} has no version {number}.", code="version.unknown", field="version")
    version, row, before = found
    with asking(model, by) as gate:
        gate.check_alias(model=model, alias=alias, version=version, by=by)
    if row.version_id == version.pk:
        return row
    row.version, row.set_by = version, by.user if isinstance(by.user, User) else None
    rows.put_alias(row)
    append(
        action="alias.set",
        subject=row,
        by=by,
        diff={"version": {"before": before, "after": number}},
        facts={"model": model.name, "alias": alias},
    )
    return row


@recording_refusals
@transaction.atomic
def delete_alias(*, model: RegisteredModel, alias: str, by: Actor) -> None:
    """Take an alias away; one that isn't there is no error. Raises ``NotAllowed``, the gate's refusal."""
    guards.check_can_move(by, model)
    model = lock_model(model)
    found = rows.alias_named(model, alias)
    if found is None:
        return
    row, number = found
    with asking(model, by) as gate:
        gate.check_alias(model=model, alias=alias, version=None, by=by)
    append(
        action="alias.deleted",
        subject=deleted(row),
        by=by,
        diff={"version": {"before": number, "after": None}},
        facts={"model": model.name, "alias": alias},
    )
    rows.drop_alias(row)
