"""Putting the history into the database, after each ``migrate``, and taking its views out of the way before.

What is there is compared with what the tables need, by a digest in the comment on schema ``asof``; nothing is done if it is
the same. Everything else happens in one transaction, so that there is never half a past. Must run as the owner.
"""

import hashlib
import logging
import re
from collections.abc import Mapping
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from audit.governed import Governed
from audit.history import ddl, era
from audit.history.tables import Remembered, functions, remembered
from config.runtime.roles import APP, SEQUENCER

logger = logging.getLogger(__name__)


def step_aside(connection: BaseDatabaseWrapper) -> None:
    """Drop the views of the past, which would keep a migration from changing the tables below them."""
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS asof CASCADE")


def install(connection: BaseDatabaseWrapper) -> bool:
    """Make the history what the tables need, and say whether there was anything to do.

    Raises ``django.db.DatabaseError`` if a column's type changed in a way that former values cannot follow.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if not _exists(cursor, "audit_moment"):
            return False  # `migrate audit zero`, or on the way up again
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('countersign history'))")
        cursor.execute("CREATE SCHEMA IF NOT EXISTS history")
        cursor.execute(era.TABLE)
        offset = era.settle(cursor)
        # An app may be migrated less far than its code: what is not there yet is not remembered yet.
        tables = [one for one in remembered() if _exists(cursor, one.table)]
        shapes = [_shape(cursor, one) for one in tables]
        copies = [copy for name in functions() for copy in _definitions(cursor, name)]
        wanted = _digest(offset, shapes, copies)
        if _installed(cursor) == wanted and _armed(cursor, [shape.table for shape in shapes]):
            _grant(cursor)  # the roles may be newer than the tables
            return False
        cursor.execute("DROP SCHEMA IF EXISTS asof CASCADE")
        cursor.execute("CREATE SCHEMA asof")
        cursor.execute(ddl.position_function(offset))
        cursor.execute(ddl.shifted_function(offset))
        cursor.execute(ddl.STAMP_FUNCTION)
        for one, shape in zip(tables, shapes, strict=True):
            _remember(cursor, one.governed, shape, connection)
        cursor.execute(ddl.log_view())
        for copy in copies:
            cursor.execute(ddl.past_function(copy))
        cursor.execute(ddl.complete_view([*(shape.table for shape in shapes), "audit_entry"]))
        _grant(cursor)
        cursor.execute(sql.SQL("COMMENT ON SCHEMA asof IS {}").format(sql.Literal(wanted)))
    logger.info("The history of %s tables is in place.", len(shapes))
    return True


def _remember(cursor: CursorWrapper, of: Governed, shape: ddl.Shape, connection: BaseDatabaseWrapper) -> None:
    for statement in ddl.live_column(shape.table):
        cursor.execute(statement)
    present = _columns(cursor, "history", shape.table)
    known = [column for column in present if column.name not in {ddl.STAMP, ddl.END}]
    for statement in ddl.past_table(shape, known if present else None, _fills(of, connection)):
        cursor.execute(statement)
    wanted, there = ddl.past_indexes(shape), _indexes(cursor, "history", shape.table)
    for name, definition in there.items():
        if name not in wanted or _tail(wanted[name]) != _tail(definition):
            cursor.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier("history", name)))
    for name, definition in wanted.items():
        if name not in there or _tail(there[name]) != _tail(definition):
            cursor.execute(definition)
    for statement in ddl.triggers(shape):
        cursor.execute(statement)
    cursor.execute(ddl.view(shape))


def _fills(of: Governed, connection: BaseDatabaseWrapper) -> Mapping[str, str]:
    """What a new column holds in rows that were there before, as Django's migrations fill it in."""
    found = {}
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        for field in of.model._meta.concrete_fields:
            value = editor.effective_default(field)
            if not field.null and value is not None:
                found[str(field.column)] = str(editor.quote_value(value))
    return found


def _shape(cursor: CursorWrapper, one: Remembered) -> ddl.Shape:
    columns = tuple(column for column in _columns(cursor, "public", one.table) if column.name != ddl.STAMP)
    needless = {*one.forgets, *_persons(one)}
    indexes = [
        definition
        for name, definition in sorted(_indexes(cursor, "public", one.table).items())
        if not name.endswith("_like")
        and not _about(definition, one.forgets)
        and _only_column(definition) not in needless
    ]
    return ddl.Shape(one.table, columns, tuple(indexes), one.forgets)


def _persons(one: Remembered) -> set[str]:
    """Columns that name a person: they are indexed so that a person's own things are found, which nobody does in the past."""
    person = apps.get_model(settings.AUTH_USER_MODEL)
    return {str(field.column) for field in one.governed.model._meta.concrete_fields if field.related_model is person}


def _about(definition: str, columns: tuple[str, ...]) -> bool:
    return any(re.search(rf"\b{re.escape(column)}\b", _tail(definition)) for column in columns)


def _only_column(definition: str) -> str:
    """The column of an index that has just one and no condition, or ""."""
    match = re.fullmatch(r"btree \((\w+)\)", _tail(definition))
    return match[1] if match else ""


def _columns(cursor: CursorWrapper, schema: str, table: str) -> list[ddl.Column]:
    cursor.execute(
        """
        SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_attribute a
        WHERE a.attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text)) AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attnum
        """,
        [schema, table],
    )
    return [ddl.Column(*row) for row in cursor.fetchall()]


def _indexes(cursor: CursorWrapper, schema: str, table: str) -> dict[str, str]:
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = %s AND tablename = %s", [schema, table]
    )
    return {str(name): str(definition) for name, definition in cursor.fetchall()}


def _tail(definition: str) -> str:
    """The part of an index's definition that names neither it nor its table."""
    return definition.partition(" USING ")[2]


def _exists(cursor: CursorWrapper, table: str) -> bool:
    cursor.execute("SELECT to_regclass(format('public.%%I', %s::text)) IS NOT NULL", [table])
    return bool(cursor.fetchone()[0])


def _definitions(cursor: CursorWrapper, name: str) -> list[str]:
    cursor.execute(
        "SELECT pg_get_functiondef(p.oid) FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.proname = %s",
        [name],
    )
    return [str(row[0]) for row in cursor.fetchall()]


def _digest(offset: int, shapes: list[ddl.Shape], copies: list[str]) -> str:
    """Names everything that what is installed was made from: tables, functions, and the code here."""
    code = b"".join((Path(__file__).parent / name).read_bytes() for name in ("ddl.py", "install.py"))
    return hashlib.sha256(repr((offset, shapes, copies)).encode() + code).hexdigest()


def _installed(cursor: CursorWrapper) -> str:
    cursor.execute(
        "SELECT obj_description(to_regnamespace('asof')::oid, 'pg_namespace') WHERE to_regclass('asof.complete') IS NOT NULL"
    )
    row = cursor.fetchone()
    return str(row[0]) if row else ""


def _armed(cursor: CursorWrapper, tables: list[str]) -> bool:
    """Whether every trigger is there and always on. Somebody may have switched one off, or to fire at ordinary times only."""
    cursor.execute(
        """
        SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname IN ('public', 'history')
        WHERE c.relname = ANY(%s) AND t.tgname = ANY(%s) AND t.tgenabled = 'A'
        """,
        [tables, list(ddl.TRIGGERS)],
    )
    return bool(cursor.fetchone()[0] == len(tables) * len(ddl.TRIGGERS))


def _grant(cursor: CursorWrapper) -> None:
    """The runtime roles read history and write none of it: the triggers do that, as the owner."""
    cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [[APP, SEQUENCER]])
    found = [sql.Identifier(str(row[0])) for row in cursor.fetchall()]
    roles = sql.SQL(", ").join(found)
    for schema in ("history", "asof"):
        name = sql.Identifier(schema)
        cursor.execute(sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA {} FROM PUBLIC").format(name))
        if found:
            cursor.execute(sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA {} FROM {}").format(name, roles))
            cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(name, roles))
            cursor.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}").format(name, roles))
