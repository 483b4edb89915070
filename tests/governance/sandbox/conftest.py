"""Models by hand, so that hostile ones need no MLflow: a directory with ``MLmodel`` and a pickle by value."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml

MakeModel = Callable[[Any], Path]


@pytest.fixture(autouse=True)
def run_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Runs get their directories here (``tmp_path`` itself comes first), and none may be left."""
    assert tmp_path.is_dir()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", place)
        yield folder
        assert not list(folder.iterdir())
        monkeypatch.undo()


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    def make(model: Any) -> Path:
        folder = tmp_path / "model"
        folder.mkdir()
        data = model if isinstance(model, bytes) else cloudpickle.dumps(model)
        (folder / "model.pkl").write_bytes(data)
        flavor = {"pickled_model": "model.pkl", "serialization_format": "cloudpickle", "code": None}
        (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": flavor}}))
        return folder

    return make


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Forty rows: two inputs and a label that follows the first."""
    path = tmp_path / "people.parquet"
    age = list(range(20, 60))
    label = [int(x >= 40) for x in age]
    pyarrow.parquet.write_table(pa.table({"age": age, "noise": [x * 7 % 11 for x in age], "y": label}), path)
    return path
