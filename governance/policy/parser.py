"""Policy documents: bytes of YAML in, a :class:`Policy` out, or an error that names the line and the way out."""

# ruff: noqa: ANN401 - these values come from outside and are checked here
from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from governance.policy.document import CheckRequirement, Limit, Policy, ReviewStage, SandboxRule, Slots, WaiverRule

MAX_BYTES = 64 * 1024
Path = tuple[str | int, ...]


class PolicyError(Exception):
    """The document is no policy. ``path`` and ``line`` (from 1) say where; the message also says what to do."""

    def __init__(self, message: str, *, path: Path = (), line: int | None = None) -> None:
        self.path = ".".join(str(part) for part in path)
        self.line = line
        where = ", ".join(([f"line {line}"] if line else []) + ([self.path] if path else []))
        super().__init__(f"{where}: {message}" if where else message)
        self.message = message


def parse(document: bytes) -> Policy:
    """Read one policy. Guarantee: ``digest`` is the sha256 of ``document`` as given. Raises ``PolicyError``."""
    if len(document) > MAX_BYTES:
        raise PolicyError(f"The document has {len(document)} bytes; a policy has at most {MAX_BYTES}. Shorten it.")
    try:
        text = document.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PolicyError(f"The document is not UTF-8 (byte {error.start}). Save it as UTF-8.") from error
    lines: dict[Path, int] = {}
    plain = _plain(_compose(text), (), lines)
    _validate(plain, lines)
    return _policy(plain, hashlib.sha256(document).hexdigest(), lines)


def built_in(name: str = "model-promotion") -> bytes:
    """The bytes of a policy that comes with Countersign. Raises ``FileNotFoundError``."""
    return files("governance.policy").joinpath("builtin", f"{name}.yaml").read_bytes()


@cache
def schema() -> dict[str, Any]:
    """The published JSON Schema."""
    loaded: dict[str, Any] = json.loads(files("governance.policy").joinpath("schema.json").read_bytes())
    return loaded


def _compose(text: str) -> yaml.Node:
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise PolicyError("Anchors and aliases are not allowed. Write the value out.", line=_line(event))
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise PolicyError(f"This is not YAML: {error.problem}. Check indentation and quotes.", line=line) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise PolicyError(f"This is not YAML: {error}.") from error
    if node is None:
        raise PolicyError("The document is empty. Start from the built-in policy.")
    return node


def _line(event: yaml.Event) -> int | None:
    return event.start_mark.line + 1 if event.start_mark else None


def _plain(node: yaml.Node, path: Path, lines: dict[Path, int]) -> Any:
    line = node.start_mark.line + 1
    lines[path] = line
    if isinstance(node, yaml.MappingNode):
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            at = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise PolicyError("A key must be a word. Remove the brackets.", path=path, line=at)
            if key in made:
                raise PolicyError(f"“{key}” is given twice. Remove one of the two.", path=path, line=at)
            made[key] = _plain(value_node, (*path, key), lines)
            lines[(*path, key)] = at
        return made
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, (*path, number), lines) for number, child in enumerate(node.value)]
    try:
        value = yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        raise PolicyError("This value cannot be read. Put it in quotes if it is text.", path=path, line=line) from error
    if isinstance(value, float) and not math.isfinite(value):
        raise PolicyError("A limit must be a finite number.", path=path, line=line)
    if value is not None and not isinstance(value, str | int | float | bool):
        raise PolicyError(f"“{node.value}” is read as {type(value).__name__}. Put it in quotes.", path=path, line=line)
    return value


def _validate(plain: Any, lines: dict[Path, int]) -> None:
    error = best_match(Draft202012Validator(schema()).iter_errors(plain))
    if error is None:
        return
    path: Path = tuple(error.absolute_path)
    raise PolicyError(_advice(error), path=path, line=_nearest(path, lines))


def _nearest(path: Path, lines: dict[Path, int]) -> int | None:
    while path not in lines and path:
        path = path[:-1]
    return lines.get(path)


def _advice(error: ValidationError) -> str:
    wanted: Any = error.validator_value
    if error.validator == "required" and isinstance(error.instance, dict):
        missing = [name for name in wanted if name not in error.instance]
        return f"“{missing[0]}” is missing. Add it."
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list((error.schema.get("properties") or {}) if isinstance(error.schema, dict) else {})
        unknown = [name for name in error.instance if name not in known]
        return f"“{unknown[0]}” is not known here. Known: {', '.join(known)}."
    if error.validator == "enum":
        return f"“{error.instance}” is not one of {', '.join(map(str, wanted))}. Use one of them."
    if error.validator == "type":
        return f"This must be of type {wanted}. Correct the value."
    if error.validator == "oneOf":
        return "A limit needs exactly one of “ge” (at least) and “le” (at most)."
    if error.validator == "pattern":
        hint = error.schema.get("description", f"It must match {wanted}.") if isinstance(error.schema, dict) else ""
        return f"“{error.instance}” has the wrong form. {hint}"
    return f"{error.message}. Correct the value."


def _policy(plain: dict[str, Any], digest: str, lines: dict[Path, int]) -> Policy:
    stages = tuple(ReviewStage(stage["stage"], tuple(_slots(s) for s in stage["all"])) for stage in plain["review"])
    _distinct([stage.name for stage in stages], "review", "stage", lines)
    checks = tuple(_check(entry) for entry in plain.get("checks", ()))
    _distinct([check.key for check in checks], "checks", "check (give one of them an “id”)", lines)
    waivers = plain.get("waivers")
    return Policy(
        name=plain["policy"],
        title=plain.get("title", ""),
        digest=digest,
        tiers=tuple(plain["governs"]["tiers"]),
        targets=tuple(plain["governs"]["targets"]),
        checks=checks,
        card=tuple(plain.get("card", ())),
        review=stages,
        valid_days=_days(plain["valid_for"]) if "valid_for" in plain else None,
        waivers=WaiverRule(_slots(waivers["by"]), _days(waivers["max"])) if waivers else None,
        namespaces=tuple(sorted(plain.get("namespaces", ()))),
        sandbox=SandboxRule(**plain.get("sandbox", {})),
    )


def _distinct(names: Sequence[str], where: str, what: str, lines: dict[Path, int]) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            path: Path = (where, number)
            raise PolicyError(f"“{name}” is a second {what} of that name. Rename it.", path=path, line=lines.get(path))


def _check(entry: dict[str, Any]) -> CheckRequirement:
    data = entry.get("data", {})
    return CheckRequirement(
        key=entry.get("id", entry["use"].partition("@")[0]),
        use=entry["use"],
        limits=tuple(_limit(figure, limit) for figure, limit in entry.get("require", {}).items()),
        sensitive=tuple(entry.get("sensitive", ())),
        params=dict(entry.get("params", {})),
        dataset=data.get("dataset"),
        data_role=data.get("role", "test"),
        insufficient_data=entry.get("insufficient_data", "fail"),
        predictions=entry.get("predictions", "computed"),
        not_applicable=entry.get("not_applicable", "fail"),
    )


def _limit(figure: str, limit: dict[str, Any]) -> Limit:
    op = "ge" if "ge" in limit else "le"
    ideal = limit.get("ideal", 1.0 if op == "ge" else 0.0)
    return Limit(figure, "ge" if op == "ge" else "le", float(limit[op]), limit.get("bound", "value"), float(ideal))


def _slots(slot: dict[str, Any]) -> Slots:
    return Slots(slot["role"], slot["n"], slot.get("independent", False))


def _days(text: str) -> int:
    return int(text[1:-1])
