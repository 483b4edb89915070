"""Governance as a Django app."""

from django.apps import AppConfig


class GovernanceConfig(AppConfig):
    """Policies, requests, checks, signatures, waivers, permits."""

    name = "governance"
    verbose_name = "Governance"
    history_functions = ("governance_governs",)

    def ready(self) -> None:
        """Make the ledger actions of governance known, and the checks of the plug-ins that the operator trusts."""
        import governance.actions  # noqa: F401
        from governance import trusted_plugins

        trusted_plugins.load()
