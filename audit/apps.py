"""The ledger as a Django app: after each migration the history follows the tables, and the runtime roles get their rights."""

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate, pre_migrate


class AuditConfig(AppConfig):
    """Registers the ledger's own actions and re-applies the grants after ``migrate``."""

    name = "audit"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect to the end of ``migrate``: this is configuration of the database, not a business reaction."""
        import audit.keeping_actions
        import audit.log_actions
        import audit.own_actions
        import audit.witnessing.actions  # noqa: F401

        pre_migrate.connect(_step_aside, sender=self, dispatch_uid="audit.history.step_aside")
        # After the history: what it makes is granted to nobody in public.
        post_migrate.connect(_remember, sender=self, dispatch_uid="audit.history.install")
        post_migrate.connect(_grant, sender=self, dispatch_uid="audit.grants")


def _grant(*, using: str, **kwargs: object) -> None:
    """Apply the grants and the triggers, unless it is ``flush`` that sends the signal: then there is no plan and no new table."""
    from audit.append_only import refuse_truncate
    from audit.grants import apply_grants
    from audit.triggers import apply_triggers

    if "plan" in kwargs:
        refuse_truncate(connections[using])
        apply_grants(connections[using])
        apply_triggers(connections[using])


def _step_aside(*, using: str, **kwargs: object) -> None:
    """Take the views of the past away from the tables that are about to change."""
    from audit.history.install import step_aside

    if kwargs.get("plan"):
        step_aside(connections[using])


def _remember(*, using: str, **kwargs: object) -> None:
    """Give every governed table its history, as the table is now."""
    from audit.history.install import install

    if "plan" in kwargs:
        install(connections[using])
