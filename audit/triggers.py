"""No COMMIT without its entry: the deferred triggers on every governed table, made again after each migration.

A transaction that inserted, changed or deleted a governed row is refused at its end unless the same transaction wrote an
entry about the row's object (``audit.governed`` says which object that is). It does not matter how the write came: through
the ORM, as SQL, by COPY, by a cascade, as whichever role, with ``session_replication_role = replica``. What the trigger
asks is the inbox, by the index (transaction, object); the inbox' column of the transaction is PostgreSQL's own.

Each table has a function of its own, generated here, because a generic one would have to look up columns by name for
every row. It runs as its owner, who may read the inbox, with a search path that nobody else chooses, and reads no other
setting. Only the owner of the tables can disable a trigger; ``missing`` then says so, and the reconciliation
(``audit.reconcile``) finds what was done meanwhile.
"""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from audit.governed import Governed, governed_models

logger = logging.getLogger(__name__)

PREFIX: Final = "ledger_entry_"
REMEDY: Final = (
    "Write through the services of the product, or put the entry into the same transaction (audit.services.append). "
    "See docs/operators/sql-by-hand.md."
)
# _SETTINGS: an index scan, never a sequential one: in a SERIALIZABLE transaction that would conflict with every other writer.
_DEFERRED: Final = "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
_SETTINGS: Final = "SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off"


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger as it should be. Its name ends with the digest of what it does, so that a change gives another."""

    table: str
    name: str
    function: str
    statements: tuple[str, ...]


def wanted() -> list[Trigger]:
    """Every trigger that the governed tables should have."""
    return [trigger for one in governed_models() for trigger in _triggers_of(one)]


def apply_triggers(connection: BaseDatabaseWrapper) -> None:
    """Give each governed table its triggers, in one transaction; what is right already is left alone.

    Tables that are not there yet are left out. Must run as the owner of the tables.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        if "audit_inbox" not in tables:
            return
        present = _present(connection)
        due = {(one.table, one.name): one for one in wanted() if one.table in tables}
        for table, name in sorted(present.keys() - due.keys()):
            cursor.execute(f'DROP TRIGGER "{name}" ON "{table}"')
        for place in sorted(due.keys() - present.keys()):
            for statement in due[place].statements:
                cursor.execute(statement)
        for table, name in sorted(place for place in due.keys() & present.keys() if present[place] != "A"):
            logger.warning("The trigger %s of %s was disabled; it is enabled again", name, table)
            cursor.execute(f'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER "{name}"')


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """The governed tables whose triggers are not all there and enabled for every session. Empty when all is well."""
    present = _present(connection)
    return sorted({one.table for one in wanted() if present.get((one.table, one.name)) != "A"})


def _present(connection: BaseDatabaseWrapper) -> dict[tuple[str, str], str]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT relname, tgname, tgenabled::text FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
            WHERE relnamespace = 'public'::regnamespace AND NOT tgisinternal AND starts_with(tgname, %s)
            """,
            [PREFIX],
        )
        return {(str(table), str(name)): str(enabled) for table, name, enabled in cursor.fetchall()}


def _triggers_of(one: Governed) -> Iterator[Trigger]:
    columns = [str(field.column) for field in one.model._meta.concrete_fields if field.column not in one.quiet]
    function = _function(one)
    execute = f'EXECUTE FUNCTION public."{_name(one)}"()'
    old, new = (", ".join(f'{row}."{column}"' for column in columns) for row in ("OLD", "NEW"))
    for kind, event, when in (
        ("rows", "INSERT OR DELETE", ""),
        ("changes", "UPDATE", f"WHEN (ROW({old}) IS DISTINCT FROM ROW({new}))"),
    ):
        digest = hashlib.sha256(f"{function}{event}{when}".encode()).hexdigest()[:12]
        name, table = f"{PREFIX}{kind}_{digest}", one.table
        yield Trigger(
            table=table,
            name=name,
            function=function,
            statements=(
                function,
                f'REVOKE ALL ON FUNCTION public."{_name(one)}"() FROM PUBLIC',
                f'CREATE CONSTRAINT TRIGGER "{name}" AFTER {event} ON "{table}" {_DEFERRED} {when} {execute}',
                f'ALTER TABLE "{table}" ENABLE ALWAYS TRIGGER "{name}"',
            ),
        )


def _name(one: Governed) -> str:
    return f"{PREFIX}of_{one.table}"


def _function(one: Governed) -> str:
    """A row that moves from one object to another is a change of both."""
    return f"""
CREATE OR REPLACE FUNCTION public."{_name(one)}"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER {_SETTINGS} AS $$
DECLARE
    abouts text[];
    missing text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        abouts := ARRAY[{_about(one, "NEW")}];
    ELSIF TG_OP = 'DELETE' THEN
        abouts := ARRAY[{_about(one, "OLD")}];
    ELSE
        abouts := ARRAY[{_about(one, "NEW")}, {_about(one, "OLD")}];
        IF abouts[1] = abouts[2] THEN
            abouts := abouts[1:1];
        END IF;
    END IF;
    FOREACH missing IN ARRAY abouts LOOP
        PERFORM FROM public.audit_inbox
        WHERE txid = pg_current_xact_id()::text::bigint AND about = missing;
        IF NOT FOUND THEN
            RAISE EXCEPTION '%: % of the row % needs an entry of the ledger about % in the same transaction',
                TG_TABLE_NAME, TG_OP, CASE TG_OP WHEN 'DELETE' THEN OLD."{one.key}" ELSE NEW."{one.key}" END::text,
                coalesce(missing, 'its object, which it does not name')
                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, HINT = '{REMEDY}';
        END IF;
    END LOOP;
    RETURN NULL;
END
$$"""


def _about(one: Governed, row: str) -> str:
    sources = [f"""'{source.type}:' || {row}."{source.column}"::text""" for source in one.sources]
    return sources[0] if len(sources) == 1 else f"coalesce({', '.join(sources)})"
