"""The same models, versions, tags and aliases in both databases, by set-based SQL as their owner.

A version is a position: version ``i`` stands in model ``i / 50`` and has the number ``i % 50 + 1``. Three tags, a run and
a source of its own, a description on every fifth, some in a stage. Sizes are multiples of 50. All triggers and
constraints of ours are in force.
"""

# ruff: noqa: S608 - what is put into these texts are constants
import hashlib
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection as ours
from django.db.models import Field, Model

from benchmarks.stack import PEER, Machine

PER_MODEL: Final = 50
HOT: Final = "hot"
CHAMPION: Final = "champion"
TEAMS: Final = 10

# What both databases are told, as SQL over a row ``g`` with ``i`` (position), ``number`` and ``model`` (its name).
_PLAIN: Final = f"""
    SELECT i, mod(i, {PER_MODEL}) + 1 AS number, 'model-' || lpad((i / {PER_MODEL})::text, 6, '0') AS model
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS i
"""
_HOT: Final = f"""
    SELECT i, (i - %(first)s::bigint + 1) AS number, '{HOT}' AS model
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS i
"""
_RUN: Final = "md5(i::text)"
_SOURCE: Final = f"'mlflow-artifacts:/1/' || {_RUN} || '/artifacts/model'"
_DESCRIPTION: Final = "CASE mod(i, 5) WHEN 0 THEN 'Retrained on the data of week ' || mod(i, 52) ELSE '' END"
_STAGE: Final = f"CASE mod(number, {PER_MODEL}) WHEN 48 THEN 'Staging' WHEN 2 THEN 'Archived' ELSE 'None' END"
_TAGS: Final = f"""
    LATERAL (VALUES ('team', 'team-' || mod(g.i, {TEAMS})), ('ticket', 'T-' || g.i), ('framework', 'sklearn')) AS tag(key, value)
"""
_MOMENT: Final = "timestamptz '2026-01-01' + i * interval '10 seconds'"


def run_of(position: int) -> str:
    """The run of a version."""
    return hashlib.md5(str(position).encode(), usedforsecurity=False).hexdigest()


@dataclass
class Filling:
    """What stands in both databases by now."""

    machine: Machine
    owner_id: int
    hot_versions: int
    total: int = 0
    """Versions in each database, and the next position."""
    hot: bool = False

    def grow(self, size: int) -> None:
        """Add versions until there are ``size``; the hot model is among them as soon as it is less than half."""
        if not self.hot and size - self.total >= self.hot_versions and size >= 2 * self.hot_versions:
            self._add(_HOT, self.hot_versions, models=f"SELECT '{HOT}' AS model, 0 AS i")
            self.hot = True
        models = f"SELECT DISTINCT model, i / {PER_MODEL} AS i FROM ({_PLAIN}) AS g"
        self._add(_PLAIN, size - self.total, models=models)
        self._tidy()

    def _add(self, rows: str, count: int, *, models: str) -> None:
        given = {"first": self.total, "last": self.total + count - 1}
        _ours(rows, models, given, self.owner_id)
        _theirs(self.machine, rows, models, given)
        self.total += count

    def _tidy(self) -> None:
        """Statistics and the visibility map, so that autovacuum has nothing to do meanwhile; then a checkpoint."""
        for database in ("countersign", PEER):
            with self.machine.owner(database) as connection:
                connection.execute("VACUUM (ANALYZE)")
        with self.machine.cluster.connect() as connection:
            connection.execute("CHECKPOINT")


def _ours(rows: str, models: str, given: dict[str, Any], owner_id: int) -> None:
    from registry.models import Alias, Manifest, ModelTag, ModelVersion, RegisteredModel, VersionTag

    version = {
        "id": "gen_random_uuid()",
        "model_id": "m.id",
        "number": "g.number",
        "description": _DESCRIPTION,
        "stage": _STAGE,
        "source": _SOURCE,
        "run_id": _RUN,
        "registered_by_id": str(owner_id),
        "status": "'READY'",
        "sealed_at": _MOMENT,
        "manifest_id": "encode(sha256(i::text::bytea), 'hex')",
        "manifest_digest": "encode(sha256(i::text::bytea), 'hex')",
        "size_bytes": "2048",
        "flavours": """'["python_function", "sklearn"]'""",
        "created_at": _MOMENT,
        "updated_at": _MOMENT,
    }
    of_model = f"({rows}) AS g JOIN registry_registeredmodel m ON m.name = g.model AND m.deleted_at IS NULL"
    of_version = f"{of_model} JOIN registry_modelversion v ON v.model_id = m.id AND v.number = g.number"
    named = f"({models}) AS g JOIN registry_registeredmodel m ON m.name = g.model AND m.deleted_at IS NULL"
    champion = f"{named} JOIN registry_modelversion v ON v.model_id = m.id AND v.number = 7"
    moments = {"created_at": _MOMENT, "updated_at": _MOMENT}
    _insert(
        RegisteredModel(next_version=1),
        {"name": "g.model", "owner_id": str(owner_id), **moments},
        f"({models}) AS g",
        given,
    )
    _insert(
        Manifest(file_count=1, total_size=2048),
        {"digest": "encode(sha256(i::text::bytea), 'hex')", "document": "i::text", "created_at": _MOMENT},
        f"({rows}) AS g",
        given,
    )
    _insert(ModelVersion(), version, of_model, given)
    _insert(
        VersionTag(), {"version_id": "v.id", "key": "tag.key", "value": "tag.value"}, f"{of_version}, {_TAGS}", given
    )
    _insert(ModelTag(), {"model_id": "m.id", "key": "'domain'", "value": "'credit'"}, named, given)
    alias = {"model_id": "m.id", "name": f"'{CHAMPION}'", "version_id": "v.id", "set_by_id": str(owner_id)}
    _insert(Alias(), {**alias, "set_at": "now()"}, champion, given)
    with ours.cursor() as cursor:
        cursor.execute(
            """
            UPDATE registry_registeredmodel m SET next_version = newest + 1
            FROM (SELECT model_id, max(number) AS newest FROM registry_modelversion GROUP BY model_id) AS v
            WHERE v.model_id = m.id AND m.next_version <= newest
            """
        )


def _insert(template: Model, columns: dict[str, str], source: str, given: dict[str, Any]) -> None:
    """Insert a row per row of ``source``; a column that is not among ``columns`` gets the template's value.

    So a column that a later migration adds is filled as ``save()`` would fill it.
    """
    names, values, parameters = [], [], dict(given)
    for field in template._meta.concrete_fields:
        if field.generated or (field.primary_key and field.column not in columns and field.db_returning):
            continue
        name = str(field.column)
        names.append(name)
        if name in columns:
            values.append(columns[name])
        else:
            parameters[name] = _prepared(field, template)
            values.append(f"%({name})s")
    table = template._meta.db_table
    with ours.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")  # one statement writes what thousands of requests would
        quoted = ", ".join(f'"{name}"' for name in names)
        cursor.execute(f'INSERT INTO "{table}" ({quoted}) SELECT {", ".join(values)} FROM {source}', parameters)


def _prepared(field: "Field[Any, Any]", template: Model) -> object:
    return field.get_db_prep_save(field.pre_save(template, add=True), ours)


def _theirs(machine: Machine, rows: str, models: str, given: dict[str, Any]) -> None:
    millis = f"(extract(epoch FROM {_MOMENT}) * 1000)::bigint"
    statements = (
        f"""
        INSERT INTO registered_models (name, creation_time, last_updated_time, description)
        SELECT model, {millis}, {millis}, '' FROM ({models}) AS g
        """,
        f"INSERT INTO registered_model_tags (name, key, value) SELECT model, 'domain', 'credit' FROM ({models}) AS g",
        f"""
        INSERT INTO model_versions (name, version, creation_time, last_updated_time, description, user_id, current_stage,
            source, storage_location, run_id, run_link, status, status_message)
        SELECT model, number, {millis}, {millis}, {_DESCRIPTION}, 'bench', {_STAGE}, {_SOURCE}, {_SOURCE}, {_RUN}, '',
            'READY', NULL
        FROM ({rows}) AS g
        """,
        f"""
        INSERT INTO model_version_tags (name, version, key, value)
        SELECT model, number, tag.key, tag.value FROM ({rows}) AS g, {_TAGS}
        """,
        f"""
        INSERT INTO registered_model_aliases (name, alias, version)
        SELECT model, '{CHAMPION}', 7 FROM ({models}) AS g
        """,
    )
    with machine.owner(PEER) as connection, connection.transaction():
        for statement in statements:
            connection.execute(statement.encode(), given)
