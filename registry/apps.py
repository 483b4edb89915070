"""The registry as a Django app."""

from collections.abc import Mapping
from typing import ClassVar

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig

from audit.governed import EntryOf


class RegistryConfig(AppConfig):
    """Models, versions, artifacts, lineage, accounts, the MLflow protocol."""

    name = "registry"
    verbose_name = "Registry"
    ledger_facts_of_others: ClassVar[Mapping[str, str]] = {"auth.group": "registry.team_facts.team_facts"}
    ledger_rows_of_others: ClassVar[Mapping[str, str]] = {"auth.group": "registry.team_facts.ROWS"}
    ledger_of_others: ClassVar[Mapping[str, EntryOf | str]] = {
        # A team is a Django group: its members, roles and permissions are logged as the team's.
        "auth.group": EntryOf(),
        "auth.group_permissions": EntryOf("auth.group", "group_id"),
        "registry.user_groups": EntryOf("auth.group", "group_id"),
        "registry.user_user_permissions": EntryOf("registry.user", "user_id"),
        # Guardian's own tables. We give out permissions through tables of our own, but these would count as well.
        "guardian.groupobjectpermission": EntryOf("auth.group", "group_id"),
        "guardian.userobjectpermission": EntryOf("registry.user", "user_id"),
        "auth.permission": "Names of permissions, made from the code by migrate.",
        "contenttypes.contenttype": "Names of models, made from the code by migrate.",
        "sessions.session": "Who is signed in at the moment; each sign-in has an entry.",
        "admin.logentry": "Django's own list of what was done in its admin, beside the log and not in place of it.",
    }

    def ready(self) -> None:
        """Make the registry's ledger actions known."""
        import registry.actions  # noqa: F401


class CountersignAdminConfig(AdminConfig):
    """Django's admin, with our site: every write goes through the services and the ledger."""

    default_site = "registry.admin_site.CountersignAdminSite"
