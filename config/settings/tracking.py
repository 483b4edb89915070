"""The tracking process: as much of Django as its view of the registry needs (``registry.mlflow.store``).

It signs nothing and holds no session, so its secret key is made up at start; it signs in as the role that reads the
catalogue, in transactions that may not write.
"""

import os
import secrets

os.environ["SECRET_KEY"] = secrets.token_urlsafe(50)
os.environ["DATABASE_ROLE"] = "catalogue"

from config.settings.base import *  # noqa: F403
from config.settings.base import DATABASES
from config.settings.base import WEBHOOK_EVENTS as _EVENTS

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "audit.apps.AuditConfig",
    "registry.apps.RegistryConfig",
    "guardian",
    "pgtrigger",
]
MIDDLEWARE = []
TEMPLATES = []
ROOT_URLCONF = "registry.mlflow.urls"
FOLLOWERS = []
WEBHOOK_EVENTS = [name for name in _EVENTS if name.startswith("registry.")]  # governance is not installed here
LOGGING_CONFIG = None  # MLflow and gunicorn have set theirs up
DATABASES["default"]["OPTIONS"]["options"] += " -c default_transaction_read_only=on"
