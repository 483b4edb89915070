"""Loading the model by its native flavour, without MLflow where that can be (its import costs seconds)."""

# ruff: noqa: ANN401 - a model, and what it returns, can be anything
from __future__ import annotations

import importlib
import pickle
from pathlib import Path
from typing import Any

from registry.formats.scan.allowed import allowed_dotted


class CannotLoadError(Exception):
    """The model's files do not give a model; the message says why."""


def imports(job: dict[str, Any]) -> None:
    """Import the trusted libraries before the audit hook watches: some of them ask for sockets while loading."""
    for name in ("numpy", "pandas", "pyarrow", "pyarrow.parquet", "pyarrow.ipc"):
        importlib.import_module(name)
    if job["flavor"] != "sklearn":
        importlib.import_module("mlflow.pyfunc")


def load(job: dict[str, Any]) -> Any:
    """The model object. Raises what loading raises."""
    if job["flavor"] == "sklearn":
        path = Path(job["model_dir"], job["model_file"])
        return _skops(path) if job["format"] == "skops" else _pickled(path)
    return importlib.import_module("mlflow.pyfunc").load_model(job["model_dir"])


def _pickled(path: Path) -> Any:
    with path.open("rb") as handle:
        return pickle.load(handle)  # noqa: S301 - scanned before, and this process is the sandbox


def _skops(path: Path) -> Any:
    """Trusted types come from our allow-list, never from the model's own file."""
    skops = importlib.import_module("skops.io")
    unknown = skops.get_untrusted_types(file=path)
    refused = sorted(name for name in unknown if not allowed_dotted(name))
    if refused:
        raise CannotLoadError(f"The skops file needs types that are not on the allow-list: {', '.join(refused)}.")
    return skops.load(path, trusted=unknown)
