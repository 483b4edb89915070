"""What each PostgreSQL role may do, derived from the models and re-applied after every migration.

| role      | business tables | write-once tables | inbox          | entry, node, checkpoint | cursor         |
|-----------|-----------------|-------------------|----------------|-------------------------|----------------|
| app       | read and write  | SELECT, INSERT    | INSERT (canon) | SELECT                  | SELECT         |
| sequencer | as app          | as app            | SELECT, DELETE | SELECT, INSERT          | read and write |
| reader    | nothing         | nothing           | nothing        | SELECT                  | SELECT         |
| catalogue | SELECT of few   | nothing           | nothing        | nothing                 | nothing        |

Keys and disclosures of people (``audit_person``, ``audit_disclosure``): app and sequencer make them, and destroy them with a
person that is erased; the reader sees neither, so that a copy of what it reads has nobody's name.

Nobody but the owner holds anything on a partition of the log; rights are asked of the table that a statement names. The
sequencer may have the next partition made (``audit_ensure_partitions``), which is a function of the owner's.

A model with ``ledger_read_only`` is SELECT for app and sequencer: only the start-up step, as the owner, writes it.

Nobody but the owner holds TRUNCATE, TRIGGER or REFERENCES, and the owner signs in for migrations only. The sequencer
has the rights of the app because the followers run in its process. The catalogue's role is the tracking process's: what
MLflow's pages show of the registry, and who may see it (``CATALOGUE_GRANTS``).
"""

import logging
from collections.abc import Iterator
from typing import Final

from django.apps import apps
from django.db import models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from config.runtime.roles import APP, CATALOGUE, READER, SEQUENCER

logger = logging.getLogger(__name__)

LEDGER: Final = "audit"
READ_WRITE: Final = "SELECT, INSERT, UPDATE, DELETE"
LEDGER_GRANTS: Final = (
    ("INSERT (canon)", "audit_inbox", (APP, SEQUENCER)),
    ("SELECT, DELETE", "audit_inbox", (SEQUENCER,)),
    ("INSERT (index, canon, stream_n, stream_previous)", "audit_entry", (SEQUENCER,)),
    ("INSERT", "audit_node", (SEQUENCER,)),
    ("INSERT", "audit_checkpoint", (SEQUENCER,)),
    ("INSERT", "audit_moment", (SEQUENCER,)),
    ("INSERT, UPDATE", "audit_cursor", (SEQUENCER,)),
    # Keys are made and destroyed, never changed; audit_person_ends_once holds that, too.
    ("SELECT, INSERT (subject, key), UPDATE (key, erased_at, erased_entry)", "audit_person", (APP, SEQUENCER)),
    ("SELECT, INSERT, DELETE", "audit_disclosure", (APP, SEQUENCER)),
    ("SELECT, INSERT, UPDATE", "audit_legalhold", (APP, SEQUENCER)),
    (READ_WRITE, "audit_retentionrule", (APP, SEQUENCER)),
    *(("SELECT", f"audit_{table}", (APP, SEQUENCER, READER)) for table in ("entry", "node", "checkpoint", "cursor")),
    ("SELECT", "audit_moment", (APP, SEQUENCER)),
    # The notary is the app, too. What it keeps is verified when it is read.
    *(("INSERT", f"audit_{table}", (APP, SEQUENCER)) for table in ("cosignature", "timestamp", "anchor")),
    ("INSERT, UPDATE", "audit_attestor", (APP, SEQUENCER)),
    *(
        ("SELECT", f"audit_{table}", (APP, SEQUENCER, READER))
        for table in ("cosignature", "timestamp", "anchor", "attestor")
    ),
    ("SELECT", "audit_streamhead", (APP, SEQUENCER, READER)),
    # Asked for by the web, done by the worker: both are the app.
    ("SELECT, INSERT, UPDATE", "audit_verification", (APP, SEQUENCER)),
)

CATALOGUE_GRANTS: Final = (
    *(
        ("SELECT", f"registry_{table}")
        for table in (
            *("registeredmodel", "modelversion", "alias", "modeltag", "versiontag", "user_groups"),
            *("registeredmodeluserobjectpermission", "registeredmodelgroupobjectpermission", "user_user_permissions"),
        )
    ),
    # Names, not passwords or addresses.
    ("SELECT (id, username, is_active, is_superuser, is_service)", "registry_user"),
    *(("SELECT", table) for table in ("auth_group", "auth_permission", "auth_group_permissions")),
    ("SELECT", "django_content_type"),
)

# Tells the digest in the last entry of an object, also of the inbox, which these roles may not read (audit.reconcile).
_RECONCILE: Final = """
DO $$
DECLARE role name;
BEGIN
    IF to_regprocedure('public.audit_last_said(text, text[], bigint, boolean)') IS NOT NULL THEN
        FOREACH role IN ARRAY ARRAY[{}]::name[] LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION public.audit_last_said(text, text[], bigint, boolean) TO %I', role);
        END LOOP;
    END IF;
END
$$
"""


class RolesMissing(RuntimeError):
    """The database server has no such roles, so nothing keeps the web process from rewriting the ledger."""


def missing_roles(connection: BaseDatabaseWrapper) -> list[str]:
    """Return which of the runtime roles the server does not have."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles")
        present = {str(row[0]) for row in cursor.fetchall()}
    return [role for role in (APP, SEQUENCER, READER, CATALOGUE) if role not in present]


def apply_grants(connection: BaseDatabaseWrapper, *, strict: bool = False) -> None:
    """Give the runtime roles exactly the rights of the table above, in one transaction.

    Without the roles it logs a warning and does nothing, so that a database of somebody's own can be migrated;
    ``strict`` raises ``RolesMissing`` instead. Must run as the owner of the tables.
    """
    if missing := missing_roles(connection):
        problem = (
            f"the server has no role {', '.join(missing)}: create them, or the ledger is protected by triggers only"
        )
        if strict:
            raise RolesMissing(problem)
        logger.warning("Rights not granted: %s", problem)
        return
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        present = set(connection.introspection.table_names(cursor))
        for statement in _statements(present):
            cursor.execute(statement)


def _statements(present: set[str]) -> Iterator[sql.Composed]:
    """Revoke everything, then grant what is due. Tables of apps that are not migrated yet are left out."""
    roles = _names((APP, SEQUENCER, READER, CATALOGUE))
    for what in ("TABLES", "SEQUENCES"):
        yield sql.SQL("REVOKE ALL ON ALL {} IN SCHEMA public FROM PUBLIC, {}").format(sql.SQL(what), roles)
    # REVOKE on a table also takes back the rights on its columns.
    yield sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(roles)
    yield sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}").format(_names((APP, SEQUENCER)))
    for model in apps.get_models(include_auto_created=True):
        table = model._meta.db_table
        if model._meta.app_label == LEDGER or not model._meta.managed or table not in present:
            continue
        yield _grant(_rights(model), table, (APP, SEQUENCER))
    if "django_migrations" in present:
        yield _grant("SELECT", "django_migrations", (APP, SEQUENCER))
    for rights, table, holders in LEDGER_GRANTS:
        if table in present:
            yield _grant(rights, table, holders)
    if "audit_streamhead" in present:
        # Made with the partitions. The function does one thing, as the owner: make room ahead of the log.
        yield sql.SQL("GRANT EXECUTE ON FUNCTION public.audit_ensure_partitions() TO {}").format(_names((SEQUENCER,)))
    yield sql.SQL(_RECONCILE).format(sql.SQL(", ").join(sql.Literal(role) for role in (APP, SEQUENCER)))
    for rights, table in CATALOGUE_GRANTS:
        if table in present:
            yield _grant(rights, table, (CATALOGUE,))


def _rights(model: type[models.Model]) -> str:
    """What a model says of itself: only the owner writes it, it is written once, or neither."""
    if getattr(model, "ledger_read_only", False):
        return "SELECT"
    return "SELECT, INSERT" if getattr(model, "ledger_append_only", False) else READ_WRITE


def _grant(rights: str, table: str, holders: tuple[str, ...]) -> sql.Composed:
    return sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(rights), sql.Identifier(table), _names(holders))


def _names(roles: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(role) for role in roles)
