"""Fixtures every test may use. The database comes from tests/cluster.py; the loopback-only sockets from pyproject."""

from pathlib import Path

import pytest
from pytest_django import Settings


@pytest.fixture
def artifact_root(settings: Settings, tmp_path: Path) -> Path:
    """Point ARTIFACT_ROOT to an empty directory of this test's own."""
    root = tmp_path / "artifacts"
    root.mkdir()
    settings.ARTIFACT_ROOT = root
    return root


@pytest.fixture
def keys_dir(settings: Settings, tmp_path: Path) -> Path:
    """Point KEYS_DIR to an empty directory of this test's own."""
    directory = tmp_path / "keys"
    directory.mkdir(mode=0o700)
    settings.KEYS_DIR = directory
    return directory
