"""The statements that make one table's history, from the table as it is in the catalogue. They are text; nothing runs here.

A live row carries ``known_from``, the transaction that gave it its present content. When that content changes or goes, a
trigger copies it to ``history.<table>`` with ``known_until``, the transaction that ended it. So both together hold every
version of every row, each once, and nothing in ``history`` is ever changed. ``asof.<table>`` shows the versions that a
given snapshot of transactions (``countersign.moment``) could see.

The view is a UNION ALL without conditions inside it: PostgreSQL turns that into an append relation
(pull_up_simple_union_all in its prepjointree.c), so that conditions and joins reach the indexes of both tables.
"""

# ruff: noqa: S608 - statements are put together from names out of the catalogue, quoted, and this house's own text

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

STAMP: Final = "known_from"
END: Final = "known_until"
TRIGGERS: Final = ("zz_history_stamp", "history_keep", "append_only_history", "keep_history")
"""Two on each live table, two on its past."""

_NEVER: Final = "'18446744073709551615'::xid8"
_AT: Final = "(SELECT current_setting('countersign.moment')::pg_snapshot)"
_INDEX: Final = re.compile(
    r"CREATE (?:UNIQUE )?INDEX (?P<name>\S+) ON (?:ONLY )?(?P<table>\S+) (?P<rest>.*)", re.DOTALL
)

STAMP_FUNCTION: Final = f"""
CREATE OR REPLACE FUNCTION history.stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.{STAMP} := history.position();
    RETURN NEW;
END
$$
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its type as PostgreSQL writes it, and whether it may be null."""

    name: str
    type: str
    required: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """A live table as the catalogue describes it, without our own column."""

    table: str
    columns: tuple[Column, ...]
    indexes: tuple[str, ...]
    forgets: tuple[str, ...]

    @property
    def kept(self) -> tuple[Column, ...]:
        """The columns that have a history."""
        return tuple(column for column in self.columns if column.name not in self.forgets)


def position_function(offset: int) -> str:
    """What numbers a transaction: its own id, and after a restore into another cluster more than any id before."""
    if not offset:
        return _position("pg_current_xact_id()")
    return _position(f"(pg_current_xact_id()::text::numeric + {offset})::text::xid8")


def _position(what: str) -> str:
    return f"CREATE OR REPLACE FUNCTION history.position() RETURNS xid8 LANGUAGE sql STABLE AS $$ SELECT {what} $$"


def shifted_function(offset: int) -> str:
    """A snapshot of this cluster (``pg_current_snapshot()::text``) in positions."""
    if not offset:
        body = "SELECT snapshot"
    else:
        body = f"""
    SELECT (split_part(snapshot, ':', 1)::numeric + {offset}) || ':' || (split_part(snapshot, ':', 2)::numeric + {offset})
        || ':' || coalesce((SELECT string_agg((xid::numeric + {offset})::text, ',' ORDER BY xid::numeric)
                            FROM unnest(string_to_array(nullif(split_part(snapshot, ':', 3), ''), ',')) AS xid), '')"""
    return (
        "CREATE OR REPLACE FUNCTION history.shifted(snapshot text) RETURNS text "
        f"LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog AS $$ {body} $$"
    )


def live_column(table: str) -> list[str]:
    """The stamp on the live table. What is there already is stamped as older than everything; no row is written."""
    name = _q("public", table)
    return [
        f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {STAMP} xid8 NOT NULL DEFAULT '1'",
        # For whoever writes with the triggers switched off.
        f"ALTER TABLE {name} ALTER COLUMN {STAMP} SET DEFAULT history.position()",
    ]


def past_table(shape: Shape, present: Sequence[Column] | None, fills: Mapping[str, str]) -> Iterator[str]:
    """Make the table of former rows, or give it the columns that the live one got since ``present`` was made.

    Former rows get what live rows got then (``fills``: column to literal). A column that went stays: what it said is still
    the past.
    """
    name = _q("history", shape.table)
    if present is None:
        columns = ", ".join(f"{_i(column.name)} {column.type}" for column in shape.kept)
        yield f"CREATE TABLE {name} ({columns}, {STAMP} xid8 NOT NULL, {END} xid8 NOT NULL)"
        return
    known = {column.name: column for column in present}
    for column in shape.kept:
        if column.name not in known:
            fill = f" DEFAULT {fills[column.name]}" if column.name in fills else ""
            yield f"ALTER TABLE {name} ADD COLUMN {_i(column.name)} {column.type}{fill}"
            if fill:
                yield f"ALTER TABLE {name} ALTER COLUMN {_i(column.name)} DROP DEFAULT"
        elif known[column.name].type != column.type:
            cast = f"{_i(column.name)}::{column.type}"
            yield f"ALTER TABLE {name} ALTER COLUMN {_i(column.name)} TYPE {column.type} USING {cast}"


def past_indexes(shape: Shape) -> dict[str, str]:
    """The indexes of the live table for the former rows, by name: none of them unique."""
    found = {}
    for definition in shape.indexes:
        match = _INDEX.fullmatch(definition)
        if match is None:
            raise ValueError(f"an index of {shape.table} is not understood: {definition}")
        name = match["name"].strip('"')
        found[name] = f"CREATE INDEX {_i(name)} ON {_q('history', shape.table)} {match['rest']}"
    return found


def triggers(shape: Shape) -> Iterator[str]:
    """Stamp what is written and keep what was there before. Both are on whatever ``session_replication_role`` says."""
    live, past = _q("public", shape.table), _q("history", shape.table)
    watched = [*(column.name for column in shape.kept), STAMP]
    of = f" OF {', '.join(map(_i, watched))}" if shape.forgets else ""
    names = ", ".join(_i(column.name) for column in shape.kept)
    values = ", ".join(f"OLD.{_i(column.name)}" for column in shape.kept)
    keep = _q("history", f"keep_{shape.table}")
    yield f"""
CREATE OR REPLACE FUNCTION {keep}() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    here xid8 := history.position();
BEGIN
    -- What a transaction changes twice was never seen in between by anybody else.
    IF OLD.{STAMP} <> here THEN
        INSERT INTO {past} ({names}, {STAMP}, {END}) VALUES ({values}, OLD.{STAMP}, here);
    END IF;
    RETURN NULL;
END
$$"""
    yield f"DROP TRIGGER IF EXISTS zz_history_stamp ON {live}"
    yield (
        f"CREATE TRIGGER zz_history_stamp BEFORE INSERT OR UPDATE{of} ON {live} "
        "FOR EACH ROW EXECUTE FUNCTION history.stamp()"
    )
    yield f"DROP TRIGGER IF EXISTS history_keep ON {live}"
    yield f"CREATE TRIGGER history_keep AFTER UPDATE{of} OR DELETE ON {live} FOR EACH ROW EXECUTE FUNCTION {keep}()"
    for name in ("zz_history_stamp", "history_keep"):
        yield f"ALTER TABLE {live} ENABLE ALWAYS TRIGGER {name}"
    yield f"DROP TRIGGER IF EXISTS append_only_history ON {past}"
    yield (
        f"CREATE TRIGGER append_only_history BEFORE UPDATE OR DELETE ON {past} "
        "FOR EACH ROW EXECUTE FUNCTION audit_refuse_change()"
    )
    yield f"DROP TRIGGER IF EXISTS keep_history ON {past}"
    yield f"CREATE TRIGGER keep_history BEFORE TRUNCATE ON {past} FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()"
    for name in ("append_only_history", "keep_history"):
        yield f"ALTER TABLE {past} ENABLE ALWAYS TRIGGER {name}"


def view(shape: Shape) -> str:
    """The table as of ``countersign.moment``, under its own name and with its own columns in their order."""
    kept = ", ".join(_i(column.name) for column in shape.kept)
    shown = ", ".join(
        f"{_empty(column)} AS {_i(column.name)}" if column.name in shape.forgets else _i(column.name)
        for column in shape.columns
    )
    return f"""
CREATE VIEW {_q("asof", shape.table)} AS SELECT {shown} FROM (
    SELECT {kept}, {STAMP}, {_NEVER} AS {END} FROM {_q("public", shape.table)}
    UNION ALL
    SELECT {kept}, {STAMP}, {END} FROM {_q("history", shape.table)}
) AS ever
WHERE pg_visible_in_snapshot({STAMP}, {_AT}) AND NOT pg_visible_in_snapshot({END}, {_AT})"""


def log_view() -> str:
    """The entries that the log had: its first ones, up to the size of the moment."""
    return (
        'CREATE VIEW asof."audit_entry" AS SELECT * FROM public."audit_entry" '
        "WHERE index < current_setting('countersign.size')::bigint"
    )


def complete_view(tables: Sequence[str]) -> str:
    """A view that needs all others: if one of them is dropped, it goes as well, and nobody travels."""
    each = " UNION ALL ".join(f"SELECT 1 FROM {_q('asof', table)} WHERE false" for table in tables)
    return f"CREATE VIEW asof.complete AS {each}"


def past_function(definition: str) -> str:
    """A function of ours (from ``pg_get_functiondef``) a second time, where tables mean those of the past."""
    named = definition.replace("FUNCTION public.", "FUNCTION asof.", 1)
    without = re.sub(r"\n SET search_path TO [^\n]*", "", named)
    return without.replace("\nAS $", "\n SET search_path TO 'pg_catalog', 'asof', 'public', 'pg_temp'\nAS $", 1)


def _empty(column: Column) -> str:
    """What stands for a value that is not remembered."""
    kind = column.type
    if not column.required:
        return f"NULL::{kind}"
    if kind in {"smallint", "integer", "bigint"}:
        return f"0::{kind}"
    if kind == "boolean":
        return "false"
    if kind == "text" or kind.startswith("character varying"):
        return f"''::{kind}"
    raise ValueError(f"{column.name}: a {kind} that may not be null cannot be forgotten")


def _i(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _q(schema: str, name: str) -> str:
    return f"{_i(schema)}.{_i(name)}"
