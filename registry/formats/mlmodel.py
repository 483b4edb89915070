"""Reading ``MLmodel``, the YAML file at the root of every MLflow model. Hostile input: nothing is executed."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

FILE: Final = "MLmodel"
LARGEST: Final = 2**20


class BadMLmodel(ValueError):
    """The file is no MLmodel; the message says why."""


@dataclass(frozen=True, slots=True)
class MLmodel:
    """What an MLmodel says of itself."""

    flavours: tuple[str, ...]
    signature: dict[str, Any] = field(default_factory=dict)
    python_version: str = ""
    run_id: str = ""
    model_id: str = ""


class _Loader(yaml.SafeLoader):
    """Plain data only, and no aliases: a short file must not unfold into a long one."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            raise BadMLmodel("MLmodel uses YAML aliases, which no MLflow release writes.")
        return super().compose_node(parent, index)


def parse(content: bytes) -> MLmodel:
    """Return what the file says. Raises ``BadMLmodel`` naming what is wrong with it."""
    if len(content) > LARGEST:
        raise BadMLmodel(f"MLmodel is larger than {LARGEST} bytes.")
    try:
        document = yaml.load(content.decode(), Loader=_Loader)  # noqa: S506 - a safe loader, narrowed
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        if isinstance(error, BadMLmodel):
            raise
        raise BadMLmodel(f"MLmodel is not valid YAML: {str(error)[:200]}") from error
    if not isinstance(document, dict):
        raise BadMLmodel("MLmodel must be a mapping.")
    flavours = document.get("flavors")
    if not isinstance(flavours, dict) or not flavours or not all(isinstance(name, str) for name in flavours):
        raise BadMLmodel("MLmodel names no flavors.")
    function = flavours.get("python_function")
    python = function.get("python_version") if isinstance(function, dict) else None
    return MLmodel(
        flavours=tuple(sorted(flavours)),
        signature=_signature(document.get("signature")),
        python_version=str(python or "")[:40],
        run_id=str(document.get("run_id") or "")[:64],
        model_id=str(document.get("model_id") or "")[:64],
    )


def _signature(given: object) -> dict[str, Any]:
    """The signature, with its parts (JSON inside YAML) as values."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise BadMLmodel("The signature in MLmodel must be a mapping.")
    found: dict[str, Any] = {}
    for part in ("inputs", "outputs", "params"):
        text = given.get(part)
        if text is None:
            continue
        try:
            found[part] = json.loads(text) if isinstance(text, str) else text
            json.dumps(found[part], allow_nan=False)
        except (ValueError, TypeError, RecursionError) as error:
            raise BadMLmodel(f"The signature's {part} in MLmodel are not valid JSON: {str(error)[:200]}") from error
    return found
