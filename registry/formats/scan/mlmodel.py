"""Reading ``MLmodel`` as hostile YAML: size limit, no aliases, safe types only."""

# ruff: noqa: ANN401 - these values come from outside and are checked here
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

MAX_BYTES = 2 * 1024 * 1024


class MLmodelError(Exception):
    """The directory holds no readable MLflow model; ``code`` is stable, the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What ``MLmodel`` says. ``inputs`` are the column names of its signature, in order, or empty."""

    flavors: Mapping[str, Mapping[str, Any]]
    inputs: tuple[str, ...]
    mlflow_version: str = ""

    @property
    def loader_module(self) -> str:
        """The module that MLflow would import to load it, or ""."""
        return str(self.flavors.get("python_function", {}).get("loader_module") or "")

    def data_path(self, flavor: str) -> str:
        """The model's file of that flavour, relative to the directory. Raises ``MLmodelError``."""
        config = self.flavors.get(flavor, {})
        path = config.get("pickled_model") or config.get("data") or config.get("model_path")
        if not isinstance(path, str) or not path:
            raise MLmodelError("mlmodel.no_file", f"MLmodel names no file for the flavour {flavor}.")
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or "\0" in path:
            raise MLmodelError("mlmodel.path_outside", f"MLmodel points outside the model: {path!r}.")
        return path


def read_model_file(directory: Path) -> ModelFile:
    """Read ``MLmodel`` in ``directory``. Raises ``MLmodelError``."""
    path = directory / "MLmodel"
    if path.is_symlink() or not path.is_file():
        raise MLmodelError(
            "mlmodel.missing",
            "This is no MLflow model: there is no file “MLmodel” at its top. Log it with mlflow.<flavour>.log_model.",
        )
    if path.stat().st_size > MAX_BYTES:
        raise MLmodelError("mlmodel.too_large", f"MLmodel is larger than {MAX_BYTES} bytes.")
    plain = _safe_yaml(path.read_bytes())
    flavors = plain.get("flavors") if isinstance(plain, dict) else None
    if not isinstance(flavors, dict) or not flavors:
        raise MLmodelError("mlmodel.no_flavors", "MLmodel lists no flavours.")
    if not all(isinstance(k, str) and isinstance(v, dict) for k, v in flavors.items()):
        raise MLmodelError("mlmodel.invalid", "The flavours in MLmodel must be mappings.")
    return ModelFile(flavors, _inputs(plain.get("signature")), str(plain.get("mlflow_version") or ""))


def _safe_yaml(data: bytes) -> Any:
    # Imported here: the sandboxed child imports this package too, with libraries that need not have YAML.
    import yaml  # noqa: PLC0415

    try:
        text = data.decode("utf-8")
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                raise MLmodelError("mlmodel.invalid", "MLmodel uses YAML aliases, which MLflow never writes.")
        return yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader, see above
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise MLmodelError("mlmodel.invalid", "MLmodel is not valid YAML.") from error


def _inputs(signature: Any) -> tuple[str, ...]:
    if not isinstance(signature, dict) or not isinstance(signature.get("inputs"), str):
        return ()
    try:
        columns = json.loads(signature["inputs"])
    except (ValueError, RecursionError) as error:
        raise MLmodelError("mlmodel.invalid", "The signature in MLmodel is not valid JSON.") from error
    if not isinstance(columns, list):
        raise MLmodelError("mlmodel.invalid", "The signature in MLmodel is not a list of columns.")
    names = [column.get("name") if isinstance(column, dict) else None for column in columns]
    texts = tuple(name for name in names if isinstance(name, str))
    return texts if len(texts) == len(names) else ()
