"""The registry as a Django app."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class RegistryConfig(AppConfig):
    """Models, versions, artifacts, lineage, accounts, the MLflow protocol."""

    name = "registry"
    verbose_name = "Registry"

    def ready(self) -> None:
        """Make the registry's ledger actions known."""
        import registry.actions  # noqa: F401


class CountersignAdminConfig(AdminConfig):
    """Django's admin, with our site: every write goes through the services and the ledger."""

    default_site = "registry.admin_site.CountersignAdminSite"
