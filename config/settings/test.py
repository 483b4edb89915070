"""Tests: real PostgreSQL (tests/conftest.py starts it and sets the environment), fast password hashing, no broker."""

import os
import tempfile

os.environ.setdefault("SECRET_KEY", "test-only-secret-key-that-protects-nothing-at-all")
os.environ.setdefault("DATABASE_ROLE", "owner")
os.environ.setdefault("DATABASE_OWNER_URL", "postgresql://postgres@127.0.0.1:5432/countersign")
os.environ.setdefault("DATA_DIR", tempfile.gettempdir() + "/countersign-tests")
os.environ.setdefault("TRACKING_SECRET", "test-tracking-secret")

from config.settings.base import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
BROKER_URL = os.environ.get("BROKER_URL", "memory://")
WHITENOISE_AUTOREFRESH = True
