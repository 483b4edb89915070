"""What MLflow's client reads all the time, in one statement each: an alias, a version, a model, the newest by stage.

The statements are prepared and PostgreSQL writes the JSON, so that a web process neither plans, nor loads rows, nor builds
documents. tests/registry/mlflow/test_reads.py compares them with the ORM's rows. Who may see a model is said by
``registry.reach``. A model that is not there and one that may not be seen are the same here.
"""

# ruff: noqa: S608 - statements are put together from this house's own text alone; values are parameters

from typing import Final

from config import statements
from registry import reach
from registry.models import ModelVersion, RegisteredModel, User

LARGEST_NUMBER: Final = 2**31 - 1
_STAGES: Final = ", ".join(f"'{stage.value}'" for stage in ModelVersion.Stage)


def _milliseconds(column: str) -> str:
    return f"floor(extract(epoch FROM {column}) * 1000)::bigint"


VERSION: Final = f"""json_strip_nulls(json_build_object(
    'name', v.name,
    'version', v.number::text,
    'creation_timestamp', {_milliseconds("v.created_at")},
    'last_updated_timestamp', {_milliseconds("v.updated_at")},
    'user_id', v.username,
    'current_stage', v.stage,
    'description', nullif(v.description, ''),
    'source', nullif(v.source, ''),
    'run_id', nullif(v.run_id, ''),
    'status', v.status,
    'status_message', nullif(v.status_message, ''),
    'tags', (SELECT json_agg(json_build_object('key', t.key, 'value', t.value) ORDER BY t.key COLLATE "C")
             FROM registry_versiontag t WHERE t.version_id = v.id),
    'run_link', nullif(v.run_link, ''),
    'aliases', CASE WHEN EXISTS (SELECT FROM registry_alias a WHERE a.version_id = v.id) THEN (
        SELECT json_agg(a.name ORDER BY a.name COLLATE "C") FROM registry_alias a WHERE a.version_id = v.id) END,
    'model_id', nullif(v.logged_model_id, '')))"""
"""A ``ModelVersion`` message of the row ``v``, which has the columns ``VERSION_COLUMNS``. What is empty is left out."""

_OWN_COLUMNS: Final = """v.id, v.number, v.created_at, v.updated_at, v.stage, v.description, v.source, v.run_id, v.status,
    v.status_message, v.run_link, v.logged_model_id"""
VERSION_COLUMNS: Final = f"{_OWN_COLUMNS}, m.name, registrar.username"
_WITH_REGISTRAR: Final = "JOIN registry_user registrar ON registrar.id = v.registered_by_id"


def _newest_by_stage(which: str = "true") -> str:
    """One probe of the index ``modelversion_latest`` for each stage, however many versions there are.

    The stages stand in the text and not in a parameter, or PostgreSQL would plan anew each time.
    """
    return f"""(
    SELECT json_agg({VERSION} ORDER BY v.number)
    FROM unnest(ARRAY[{_STAGES}]) AS wanted(stage) CROSS JOIN LATERAL (
        SELECT {VERSION_COLUMNS} FROM registry_modelversion v {_WITH_REGISTRAR}
        WHERE v.model_id = m.id AND v.stage = wanted.stage AND v.deleted_at IS NULL
        ORDER BY (v.number * -1) LIMIT 1
    ) AS v WHERE {which})"""


MODEL: Final = f"""json_strip_nulls(json_build_object(
    'name', m.name,
    'creation_timestamp', {_milliseconds("m.created_at")},
    'last_updated_timestamp', {_milliseconds("m.updated_at")},
    'description', nullif(m.description, ''),
    'latest_versions', {_newest_by_stage()},
    'tags', (SELECT json_agg(json_build_object('key', t.key, 'value', t.value) ORDER BY t.key COLLATE "C")
             FROM registry_modeltag t WHERE t.model_id = m.id),
    'aliases', (SELECT json_agg(json_build_object('alias', a.name, 'version', named.number::text)
                                ORDER BY a.name COLLATE "C")
                FROM registry_alias a JOIN registry_modelversion named ON named.id = a.version_id
                WHERE a.model_id = m.id)))"""
"""A ``RegisteredModel`` message of the row ``m``."""

_SEEN: Final = f"m.name = %s AND m.deleted_at IS NULL AND {reach.MAY_SEE}"


def _one_version(found: str) -> str:
    """A statement for the version that ``found`` joins to the model ``m``: no row without a model, '' without a version."""
    return f"""SELECT CASE WHEN v.id IS NULL THEN '' ELSE {VERSION}::text END
        FROM registry_registeredmodel m LEFT JOIN LATERAL (
            SELECT {VERSION_COLUMNS} FROM registry_modelversion v {_WITH_REGISTRAR} {found}
        ) AS v ON true WHERE {_SEEN}"""


_BY_NUMBER: Final = _one_version("WHERE v.model_id = m.id AND v.number = %s AND v.deleted_at IS NULL")
_BY_ALIAS: Final = _one_version(
    "JOIN registry_alias a ON a.version_id = v.id WHERE a.model_id = m.id AND a.name = %s AND v.deleted_at IS NULL"
)
_NEWEST: Final = _one_version("WHERE v.model_id = m.id AND v.deleted_at IS NULL ORDER BY v.number DESC LIMIT 1")
_BY_NAME: Final = f"SELECT {MODEL}::text FROM registry_registeredmodel m WHERE {_SEEN}"
_LATEST: Final = f"""SELECT coalesce({_newest_by_stage("wanted.stage = ANY(%s)")}::text, '')
    FROM registry_registeredmodel m WHERE {_SEEN}"""
_BY_KEY: Final = f"""SELECT {VERSION}::text FROM (
        SELECT {VERSION_COLUMNS} FROM registry_modelversion v JOIN registry_registeredmodel m ON m.id = v.model_id
        {_WITH_REGISTRAR} WHERE v.id = %s
    ) AS v"""
_MODEL_BY_KEY: Final = f"SELECT {MODEL}::text FROM registry_registeredmodel m WHERE m.id = %s"


def version_json(user: User, name: str, number: int) -> str | None:
    """The live version as JSON; ``""`` if the model has none of that number, None if there is no such model."""
    known = number if 0 < number <= LARGEST_NUMBER else 0
    return _text(_BY_NUMBER, known, name, *reach.seeing(user))


def version_json_by_alias(user: User, name: str, alias: str) -> str | None:
    """The version an alias names; ``""`` if there is no such alias, None if there is no such model."""
    return _text(_BY_ALIAS, alias, name, *reach.seeing(user))


def newest_version_json(user: User, name: str) -> str | None:
    """The live version with the highest number; ``""`` if the model has none, None if there is no such model."""
    return _text(_NEWEST, name, *reach.seeing(user))


def model_json(user: User, name: str) -> str | None:
    """The live model, or None."""
    return _text(_BY_NAME, name, *reach.seeing(user))


def latest_versions_json(user: User, name: str, stages: list[str]) -> str | None:
    """The newest version in each of the stages, as a JSON list; ``""`` for none, None if there is no such model."""
    return _text(_LATEST, stages, name, *reach.seeing(user))


def version_json_of(version: ModelVersion) -> str:
    """The version that somebody has just changed, whatever it or its model is called by now."""
    return str(statements.one(_BY_KEY, [version.pk])[0])


def model_json_of(model: RegisteredModel) -> str:
    """The model that somebody has just changed, whatever it is called by now."""
    return str(statements.one(_MODEL_BY_KEY, [model.pk])[0])


def _text(statement: str, *parameters: object) -> str | None:
    found = statements.row(statement, parameters)
    return None if found is None else str(found[0])
