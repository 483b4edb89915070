"""Rows that are written once: what other apps put on their models so that PostgreSQL itself refuses a change.

    class Decision(AppendOnly):
        class Meta(AppendOnly.Meta):
            abstract = False
            triggers = append_only_triggers("decision")

Three locks, each enough alone: the runtime role holds INSERT and SELECT only (``audit.grants`` reads
``ledger_append_only``), a trigger refuses UPDATE and DELETE whoever asks, and the trigger is ENABLE ALWAYS, so that
``session_replication_role = replica`` does not switch it off. TRUNCATE is denied by grant: a trigger against it would
break the flush of transactional tests.
"""

from typing import ClassVar

import pgtrigger
from django.db import models


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
