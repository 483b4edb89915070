"""The parameters of every built-in check, in words, without importing the check: web processes need no numerical library.

``parameters.json`` beside this file is printed from the checks (``manage.py print_checks --parameters``); a test compares.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from importlib.resources import files
from inspect import getdoc
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from governance.checks.contract import Params

FILE: Final = "parameters.json"
_KINDS: Final[Mapping[object, str]] = {int: "whole number", float: "number", bool: "true or false", str: "text"}
_LISTED: Final[Mapping[object, str]] = {int: "whole numbers", float: "numbers", bool: "true or false", str: "texts"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name in a policy, what it holds, and its value where the policy gives none ("" if it must)."""

    name: str
    kind: str
    default: str
    required: bool


@dataclass(frozen=True, slots=True)
class Parameters:
    """All of a check, and what its class says of them."""

    about: str
    fields: tuple[Parameter, ...]


def parameters_of(name: str) -> Parameters | None:
    """Those of a built-in check by its full name ``key@version``; None for one of a plug-in."""
    return _printed().get(name)


@cache
def _printed() -> Mapping[str, Parameters]:
    read: dict[str, dict[str, Any]] = json.loads(files("governance.checks").joinpath(FILE).read_bytes())
    return {
        name: Parameters(one["about"], tuple(Parameter(**field) for field in one["fields"]))
        for name, one in read.items()
    }


def described(kind: type[Params]) -> dict[str, Any]:
    """What ``parameters.json`` has of one check's class of parameters."""
    hints = get_type_hints(kind)
    about = "" if kind is Params else " ".join((getdoc(kind) or "").replace("``", "").split())
    return {
        "about": about,
        "fields": [
            {
                "name": one.name,
                "kind": _words(hints[one.name]),
                "default": "" if one.default is MISSING else shown(one.default),
                "required": one.default is MISSING,
            }
            for one in fields(kind)
        ],
    }


def shown(value: object) -> str:
    """A default as a policy would write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(shown(one) for one in value)}]"
    return str(value) if value != "" else '""'


def _words(hint: object) -> str:
    if get_origin(hint) is tuple:
        return f"list of {_LISTED[get_args(hint)[0]]}"
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}"
    return _KINDS.get(hint, "text")
