"""Rows that are written once: what other apps put on their models so that PostgreSQL itself refuses a change.

    class Decision(AppendOnly):
        class Meta(AppendOnly.Meta):
            abstract = False
            triggers = append_only_triggers("decision")

Three locks, each enough alone: the runtime role holds INSERT and SELECT only (``audit.grants`` reads
``ledger_append_only``), triggers refuse UPDATE, DELETE and TRUNCATE whoever asks, and they are ENABLE ALWAYS, so that
``session_replication_role = replica`` does not switch them off. Those against TRUNCATE are made after each ``migrate``
from the list of models, like the rights (``refuse_truncate``).
"""

from typing import ClassVar, Final

import pgtrigger
from django.apps import apps
from django.db import models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

TRUNCATE_TRIGGER: Final = "append_only_truncate"


class RefuseChange(pgtrigger.Trigger):
    """BEFORE UPDATE OR DELETE on every row: raise.

    pgtrigger's own function body can be told to stand aside by a session variable (``pgtrigger.ignore``). This trigger
    runs ``audit_refuse_change()`` of the audit app's first migration instead, which listens to nobody.
    """

    name = "append_only"
    when = pgtrigger.Before
    operation = pgtrigger.Update | pgtrigger.Delete
    func = "RAISE EXCEPTION 'append-only';"

    def render_execute(self, model: models.Model) -> str:
        """Point at our function, and end the CREATE TRIGGER with the statement that enables it for good."""
        return (
            f'audit_refuse_change(); ALTER TABLE "{model._meta.db_table}" ENABLE ALWAYS TRIGGER {self.get_pgid(model)}'
        )


def append_only_triggers(label: str = "") -> list[pgtrigger.Trigger]:
    """Return the triggers for ``Meta.triggers`` of a model whose rows are never changed or deleted.

    ``label`` makes the trigger's name tell its table in an error message; names need not be unique between tables.

    The migration that creates the model must depend on ``("audit", "0001_initial")``, which makes their function.
    """
    return [RefuseChange(name=f"append_only_{label}" if label else RefuseChange.name)]


class AppendOnly(models.Model):
    """Abstract base of write-once rows. The model still names its triggers: Meta of a subclass replaces this one's."""

    ledger_append_only: ClassVar[bool] = True

    class Meta:
        """Not a table."""

        abstract = True
        triggers = append_only_triggers()


def refuse_truncate(connection: BaseDatabaseWrapper) -> None:
    """Give every write-once table the trigger against TRUNCATE that it lacks, or that is not always on.

    Partitions of the log get theirs when they are made. Must run as the owner of the tables.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        present = set(connection.introspection.table_names(cursor))
        cursor.execute(
            "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = %s AND tgenabled = 'A'", [TRUNCATE_TRIGGER]
        )
        guarded = {str(row[0]) for row in cursor.fetchall()}
        for model in apps.get_models(include_auto_created=True):
            table = model._meta.db_table
            if getattr(model, "ledger_append_only", False) and table in present and table not in guarded:
                names = {"table": sql.Identifier(table), "trigger": sql.Identifier(TRUNCATE_TRIGGER)}
                cursor.execute(
                    sql.SQL(
                        "CREATE OR REPLACE TRIGGER {trigger} BEFORE TRUNCATE ON {table}"
                        " FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()"
                    ).format(**names)
                )
                cursor.execute(sql.SQL("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}").format(**names))
