"""The catalogue's rows by prepared statements (``registry.selectors.rows``): locked, and written from the ORM's objects.

Moments are the database's (``clock_timestamp()``), taken once the row is locked: they order as the changes did, whichever
process made them.
"""

# ruff: noqa: S608 - what is put into the texts are the names of columns
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from django.db import connection, models

from config import statements
from registry.models import Alias, ModelVersion, RegisteredModel
from registry.selectors.rows import columns, to_model, to_version

_MODEL_OF_DATABASE: Final = {"created_at": "now.at", "updated_at": "now.at"}
_VERSION_OF_MODEL: Final = {
    "model_id": "model.id",
    "number": "model.next_version - 1",
    "created_at": "model.updated_at",
    "updated_at": "model.updated_at",
}


def _values(kind: type[models.Model], computed: Mapping[str, str], *, without: str = "") -> tuple[str, str]:
    columns = [str(field.column) for field in kind._meta.concrete_fields if field.column != without]
    return ", ".join(columns), ", ".join(computed.get(column, "%s") for column in columns)


def _parameters(row: models.Model, computed: Mapping[str, str], *, without: str = "") -> list[object]:
    return [
        field.get_db_prep_save(getattr(row, field.attname), connection)
        for field in row._meta.concrete_fields
        if field.column not in computed and field.column != without
    ]


_LOCK_MODEL: Final = f"""
    SELECT {columns(RegisteredModel)} FROM registry_registeredmodel
    WHERE id = %s AND name = %s AND deleted_at IS NULL FOR NO KEY UPDATE
"""
_LOCK_VERSION: Final = f"""
    SELECT {columns(ModelVersion)} FROM registry_modelversion
    WHERE id = %s AND deleted_at IS NULL FOR NO KEY UPDATE
"""
_NAMED: Final = f"""
    SELECT {columns(ModelVersion, "v.")}, a.id, a.version_id, before.number
    FROM registry_modelversion v
    LEFT JOIN registry_alias a ON a.model_id = v.model_id AND a.name = %s
    LEFT JOIN registry_modelversion before ON before.id = a.version_id
    WHERE v.model_id = %s AND v.number = %s AND v.deleted_at IS NULL
"""
_OF_MODEL, _OF_MODEL_VALUES = _values(RegisteredModel, _MODEL_OF_DATABASE, without="id")
_CREATE_MODEL: Final = f"""
    INSERT INTO registry_registeredmodel ({_OF_MODEL})
    SELECT {_OF_MODEL_VALUES} FROM (SELECT clock_timestamp() AS at) AS now
    ON CONFLICT (name) WHERE deleted_at IS NULL DO NOTHING
    RETURNING id, created_at
"""
_OF_VERSION, _OF_VERSION_VALUES = _values(ModelVersion, _VERSION_OF_MODEL)
_REGISTER: Final = f"""
    WITH model AS (
        UPDATE registry_registeredmodel SET next_version = next_version + 1, updated_at = clock_timestamp()
        WHERE id = %s AND name = %s AND deleted_at IS NULL
        RETURNING *
    ), version AS (
        INSERT INTO registry_modelversion ({_OF_VERSION}) SELECT {_OF_VERSION_VALUES} FROM model
    )
    SELECT {columns(RegisteredModel)} FROM model
"""
_SET_ALIAS: Final = """
    WITH touched AS (UPDATE registry_registeredmodel SET revision = revision + 1 WHERE id = %s)
    INSERT INTO registry_alias (model_id, name, version_id, set_at, set_by_id)
    VALUES (%s, %s, %s, clock_timestamp(), %s)
    ON CONFLICT (model_id, name) DO UPDATE
    SET version_id = EXCLUDED.version_id, set_at = EXCLUDED.set_at, set_by_id = EXCLUDED.set_by_id
    RETURNING id, set_at
"""
_ALIAS: Final = """
    SELECT a.id, a.version_id, v.number FROM registry_alias a JOIN registry_modelversion v ON v.id = a.version_id
    WHERE a.model_id = %s AND a.name = %s
"""
_DROP_ALIAS: Final = """
    WITH gone AS (DELETE FROM registry_alias WHERE id = %s)
    UPDATE registry_registeredmodel SET revision = revision + 1 WHERE id = %s
"""


def locked_model(model: RegisteredModel) -> RegisteredModel | None:
    """The living model, locked (``FOR NO KEY UPDATE``) and as it is now; None if it is called otherwise by now.

    Every door names a model by its name: what was meant for one name is not done under another.
    """
    found = statements.row(_LOCK_MODEL, [model.pk, model.name])
    return to_model(found) if found else None


def locked_version(key: object) -> ModelVersion | None:
    """The living version, locked and as it is now. Its model's row is locked before it."""
    found = statements.row(_LOCK_VERSION, [key])
    return to_version(found) if found else None


def version_and_alias(model: RegisteredModel, number: int, alias: str) -> tuple[ModelVersion, Alias, int | None] | None:
    """The living version of that number, and the alias (unsaved if it is new) with the number that it names by now."""
    found = statements.row(_NAMED, [alias, model.pk, number])
    if found is None:
        return None
    version = to_version(found)
    version.model = model
    key, named, before = found[-3:]
    return version, Alias(pk=key, model=model, name=alias, version_id=named), before


def alias_named(model: RegisteredModel, name: str) -> tuple[Alias, int] | None:
    """An alias, with the number of the version that it names."""
    found = statements.row(_ALIAS, [model.pk, name])
    return (Alias(pk=found[0], model=model, name=name, version_id=found[1]), found[2]) if found else None


def drop_alias(alias: Alias) -> None:
    """Delete the alias and let the ETag of its locked model grow."""
    statements.run(_DROP_ALIAS, [alias.pk, alias.model_id])
    alias.model.revision += 1


def insert_model(model: RegisteredModel) -> bool:
    """Insert a new model and complete the object; False when a living model has its name."""
    found = statements.row(_CREATE_MODEL, _parameters(model, _MODEL_OF_DATABASE, without="id"))
    if found is None:
        return False
    model.pk, model.created_at = found
    model.updated_at = model.created_at
    _is_stored(model)
    return True


def insert_version(version: ModelVersion) -> bool:
    """Insert a new version under the next number of its model and complete both objects; False as ``locked_model``.

    The model's row stays locked: simultaneous registrations follow each other, each with a number of its own.
    """
    model = version.model
    found = statements.row(_REGISTER, [model.pk, model.name, *_parameters(version, _VERSION_OF_MODEL)])
    if found is None:
        return False
    version.model = model = to_model(found)
    version.number = model.next_version - 1
    version.created_at = version.updated_at = model.updated_at
    _is_stored(version)
    return True


def put_alias(alias: Alias) -> None:
    """Insert the alias or move it, whoever made it meanwhile, and let the ETag of its locked model grow."""
    alias.pk, alias.set_at = statements.one(
        _SET_ALIAS, [alias.model_id, alias.model_id, alias.name, alias.version_id, alias.set_by_id]
    )
    alias.model.revision += 1
    _is_stored(alias)


# With the tags, which an entry about the version vouches for: no other statement is needed to read them.
_DESCRIBE: Final = """
    UPDATE registry_modelversion v SET description = %s, updated_at = clock_timestamp() WHERE id = %s
    RETURNING updated_at, (SELECT jsonb_object_agg(key, value) FROM registry_versiontag WHERE version_id = v.id)
"""
_ENTER: Final = """
    UPDATE registry_modelversion v SET stage = %s, updated_at = %s WHERE id = %s
    RETURNING (SELECT jsonb_object_agg(key, value) FROM registry_versiontag WHERE version_id = v.id)
"""


def describe_version(version: ModelVersion) -> None:
    """Store the description of a locked version, and its moment."""
    version.updated_at, tags = statements.one(_DESCRIBE, [version.description, version.pk])
    version.__dict__["ledger_tags"] = json.loads(tags or "{}")


def enter_stage(version: ModelVersion) -> None:
    """Store the stage of a locked version, and its moment."""
    (tags,) = statements.one(_ENTER, [version.stage, version.updated_at, version.pk])
    version.__dict__["ledger_tags"] = json.loads(tags or "{}")


def touch(model: RegisteredModel) -> datetime:
    """Let the ETag of a locked model grow, and its moment with it; return that moment."""
    model.revision, model.updated_at = statements.one(
        "UPDATE registry_registeredmodel SET revision = revision + 1, updated_at = clock_timestamp() WHERE id = %s "
        "RETURNING revision, updated_at",
        [model.pk],
    )
    return model.updated_at


def _is_stored(row: models.Model) -> None:
    row._state.adding, row._state.db = False, connection.alias
