"""The floor as a Django app: system checks, template tags, commands of the house."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Registers the deploy checks."""

    name = "config"

    def ready(self) -> None:
        """Import the checks so that Django knows them."""
        import config.checks  # noqa: F401
