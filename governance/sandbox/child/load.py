"""Loading the model by its native flavour, without MLflow where that can be (its import costs seconds)."""

# ruff: noqa: ANN401 - a model, and what it returns, can be anything
from __future__ import annotations

import importlib
import pickle
import random
from pathlib import Path
from typing import Any

from registry.formats.scan.allowed import allowed, allowed_dotted, is_own


class CannotLoadError(Exception):
    """The model's files do not give a model; the message says why."""


def imports(job: dict[str, Any]) -> None:
    """Import the trusted libraries before the audit hook watches: some of them ask for sockets while loading."""
    for name in ("numpy", "pandas", "pyarrow", "pyarrow.parquet", "pyarrow.ipc"):
        importlib.import_module(name)
    if job["flavor"] == "python_function":
        importlib.import_module("mlflow.pyfunc")
    # A forked child has its template's random state; from the job's seed, a run can be repeated to the bit.
    random.seed(job["seed"])
    importlib.import_module("numpy").random.seed(job["seed"] % 2**32)


def load(job: dict[str, Any]) -> Any:
    """The model object. Raises what loading raises."""
    if job["flavor"] == "sklearn":
        path = Path(job["model_dir"], job["model_file"])
        return _skops(path) if job["format"] == "skops" else pickled(path, listed_only=job["listed_only"])
    return importlib.import_module("mlflow.pyfunc").load_model(job["model_dir"])


class _Listed(pickle.Unpickler):
    """Imports only what the gate's list names, and only if that name is what it says."""

    def find_class(self, module: str, name: str) -> Any:
        """Raises ``CannotLoadError`` for everything else."""
        if not allowed(module, name):
            raise CannotLoadError(f"The pickle would import {module}.{name}, which is not on the allow-list.")
        found = super().find_class(module, name)
        if not is_own(module, name, found):
            raise CannotLoadError(f"The pickle would import {module}.{name}, which does not belong to that library.")
        return found


def pickled(path: Path, *, listed_only: bool) -> Any:
    """Load a pickle; with ``listed_only`` the gate's list is asked again for each name, at the moment it is imported."""
    with path.open("rb") as handle:
        return (_Listed(handle) if listed_only else pickle.Unpickler(handle)).load()  # noqa: S301 - scanned, in the sandbox


def _skops(path: Path) -> Any:
    """Trusted types come from our allow-list, never from the model's own file."""
    skops = importlib.import_module("skops.io")
    unknown = skops.get_untrusted_types(file=path)
    refused = sorted(name for name in unknown if not allowed_dotted(name))
    if refused:
        raise CannotLoadError(f"The skops file needs types that are not on the allow-list: {', '.join(refused)}.")
    return skops.load(path, trusted=unknown)
