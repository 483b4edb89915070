"""Rows of the catalogue as the ORM's objects, by statements that are prepared: what every write looks up first.

An ORM query costs the web process ten times what its work costs. These texts are made once, from the models' own columns.
"""

# ruff: noqa: S608 - what is put into the texts are names of columns and this house's own conditions; values are parameters
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from django.db import connection, models

from config import statements
from registry import reach
from registry.models import ModelVersion, RegisteredModel, User

LARGEST_NUMBER: Final = 2**31 - 1
_Kind = TypeVar("_Kind", bound=models.Model)


def columns(kind: type[models.Model], prefix: str = "") -> str:
    """All columns of a table, in the order of its model's fields."""
    return ", ".join(f"{prefix}{field.column}" for field in kind._meta.concrete_fields)


def reader(kind: type[_Kind]) -> Callable[[Sequence[Any]], _Kind]:
    """What makes an object of a row in the order of ``columns``: JSON comes as text (django.db.backends.postgresql)."""
    fields = kind._meta.concrete_fields
    names = [field.attname for field in fields]
    documents = [place for place, field in enumerate(fields) if isinstance(field, models.JSONField)]

    def read(row: Sequence[Any]) -> _Kind:
        values = list(row[: len(names)])
        for place in documents:
            field = fields[place]
            values[place] = field.from_db_value(values[place], None, connection)  # type: ignore[attr-defined]
        return kind.from_db(connection.alias, names, values)

    return read


to_model: Final = reader(RegisteredModel)
to_version: Final = reader(ModelVersion)

_MODEL_SEEN: Final = f"""
    SELECT {columns(RegisteredModel, "m.")} FROM registry_registeredmodel m
    WHERE m.name = %s AND m.deleted_at IS NULL AND {reach.MAY_SEE}
"""
_VERSION: Final = f"""
    SELECT {columns(ModelVersion)} FROM registry_modelversion WHERE model_id = %s AND number = %s AND deleted_at IS NULL
"""


def model_seen(user: User, name: str) -> RegisteredModel | None:
    """The living model of that name, if the account may see it."""
    found = statements.row(_MODEL_SEEN, [name, *reach.seeing(user)])
    return to_model(found) if found else None


def version_numbered(model: RegisteredModel, number: int) -> ModelVersion | None:
    """The living version of a model by its number."""
    found = statements.row(_VERSION, [model.pk, number]) if 0 < number <= LARGEST_NUMBER else None
    if found is None:
        return None
    version = to_version(found)
    version.model = model
    return version
