"""Reads compose.yaml as ``docker compose`` does, as far as our file uses it: merges, and variables with ``${…}``."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).resolve().parents[2] / "compose.yaml"
_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?::(?P<how>[?-])(?P<rest>[^}]*))?\}")


def load() -> dict[str, Any]:
    """Return the file with its YAML merges resolved and its variables untouched."""
    read: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return read


def interpolate(text: str, given: Mapping[str, str]) -> str:
    """Put ``given`` into ``text``. Raises ``KeyError`` for a required variable that is missing."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        if found := given.get(match["name"]):
            return found
        if match["how"] == "-":
            return str(match["rest"])
        raise KeyError(match["name"])

    return _VARIABLE.sub(value, text)


def variables(text: str) -> set[str]:
    """Return the names of the variables that ``text`` asks for."""
    return {match["name"] for match in _VARIABLE.finditer(text) if match["name"]}


def required(text: str) -> set[str]:
    """Return the names of those without a default."""
    return {match["name"] for match in _VARIABLE.finditer(text) if match["name"] and match["how"] != "-"}
