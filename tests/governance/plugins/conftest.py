"""A directory of plug-ins on the path, and the catalogue as it was afterwards."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from governance.checks import catalogue

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "docs/contributors/plug-in-example"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where plug-ins are installed, importable; nothing of them is left afterwards."""
    target = tmp_path / "installed"
    target.mkdir()
    monkeypatch.syspath_prepend(str(target))
    before = set(sys.modules)
    yield target
    catalogue.trust([])
    for name in set(sys.modules) - before:
        if str(target) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example of the documentation, really built and installed, without a network."""
    place = tmp_path_factory.mktemp("example")
    source = shutil.copytree(EXAMPLE, place / "source")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run(
        [uv, "pip", "install", "--offline", "--no-deps", "--quiet", "--python", sys.executable, "--target",
         place / "installed", source],
        check=True, capture_output=True, text=True, env={"HOME": str(place), "UV_CACHE_DIR": str(place / "cache")},
    )  # fmt: skip
    return place / "installed"


@pytest.fixture
def example(built: Path, place: Path) -> Path:
    """A copy of the installed example that a test may spoil."""
    shutil.copytree(built, place, dirs_exist_ok=True)
    return place
