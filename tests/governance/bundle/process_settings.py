"""Settings of the processes that these tests start: those of the tests, on the same database, keys and files."""

import os
from pathlib import Path

from config.settings.test import *  # noqa: F403
from config.settings.test import DATABASES

KEYS_DIR = Path(os.environ.get("TEST_KEYS_DIR", "/nonexistent"))
ARTIFACT_ROOT = Path(os.environ.get("TEST_ARTIFACT_ROOT", "/nonexistent"))
DATABASES["default"].update(
    NAME=os.environ.get("TEST_DATABASE", ""),
    HOST=os.environ.get("TEST_DATABASE_HOST", ""),
    PORT=os.environ.get("TEST_DATABASE_PORT", ""),
    USER=os.environ.get("TEST_DATABASE_USER", ""),
    PASSWORD=os.environ.get("TEST_DATABASE_PASSWORD", ""),
)
