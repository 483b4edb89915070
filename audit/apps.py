"""The ledger as a Django app: after each migration it sets rights (``audit.grants``) and triggers (``audit.triggers``)."""

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    """Registers the ledger's own actions and re-applies grants and triggers after ``migrate``."""

    name = "audit"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect to the end of ``migrate``: this is configuration of the database, not a business reaction."""
        import audit.log_actions
        import audit.own_actions
        import audit.witnessing.actions  # noqa: F401

        post_migrate.connect(_grant, sender=self, dispatch_uid="audit.grants")


def _grant(*, using: str, **kwargs: object) -> None:
    """Apply both, unless it is ``flush`` that sends the signal: then there is no plan and no new table."""
    from audit.append_only import refuse_truncate
    from audit.grants import apply_grants
    from audit.triggers import apply_triggers

    if "plan" in kwargs:
        refuse_truncate(connections[using])
        apply_grants(connections[using])
        apply_triggers(connections[using])
