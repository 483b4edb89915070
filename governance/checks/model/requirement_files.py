"""The requirements that a model records, read as text: ``requirements.txt``, ``conda.yaml``, ``python_env.yaml``.

Nothing is installed, imported or resolved. Forms: pip's requirements file format, PEP 508 and PEP 440 (``packaging``), conda's
match specifications as far as MLflow writes them (``name=1.2=build``), https://mlflow.org/docs/latest/ml/model.
"""

# ruff: noqa: ANN401 - these values come from outside and are checked here
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

Kind = Literal["pinned", "range", "open", "direct", "option", "unreadable"]
MOST_LINES: Final = 5_000
_LONGEST: Final = 1_000
_CONDA: Final = re.compile(r"(?:[\w.-]+::)?([A-Za-z0-9_.-]+)\s*(.*)")
_OWN: Final = frozenset({"python", "pip"})


@dataclass(frozen=True, slots=True, order=True)
class Recorded:
    """One requirement. ``name`` is normalised (PEP 503); ``version`` is set where it is pinned, ``allowed`` where it is a range.

    ``kind`` is ``open`` without any version, ``direct`` for a file or an address, ``option`` for pip's own (an index),
    ``unreadable`` for what is none of these.
    """

    file: str
    name: str
    kind: Kind
    text: str
    version: str = ""
    allowed: str = ""


def recorded(texts: Mapping[str, str]) -> tuple[Recorded, ...]:
    """Every requirement in the files, sorted, each once. Nothing is raised: what cannot be read is ``unreadable``."""
    readers = {"requirements.txt": _pip_file, "conda.yaml": _conda_file, "python_env.yaml": _env_file}
    found: set[Recorded] = set()
    for file, text in texts.items():
        found.update(readers.get(file, _pip_file)(file, text))
    return tuple(sorted(found))


def _pip_file(file: str, text: str) -> Iterator[Recorded]:
    joined = re.sub(r"\\\r?\n", " ", text)
    lines = joined.splitlines()
    for line in lines[:MOST_LINES]:
        bare = re.sub(r"(^|\s)#.*$", "", line).strip()
        if bare:
            yield pip_line(file, bare)
    if len(lines) > MOST_LINES:
        yield Recorded(file, "", "unreadable", f"The file has more than {MOST_LINES} lines.")


def pip_line(file: str, line: str) -> Recorded:
    """One line of a requirements file without its comment."""
    shown = line[:_LONGEST]
    if line.startswith("-"):
        return Recorded(file, "", "option", shown)
    if len(line) > _LONGEST:
        return Recorded(file, "", "unreadable", shown)
    bare = re.sub(r"\s--(hash|config-settings|global-option)[=\s]\S+", "", f" {line}").strip()
    try:
        given = Requirement(bare)
    except InvalidRequirement:
        direct = "://" in bare or bare.startswith((".", "/", "file:")) or bare.endswith((".whl", ".zip", ".tar.gz"))
        return Recorded(file, "", "direct" if direct else "unreadable", shown)
    name = canonicalize_name(given.name)
    if given.url:
        return Recorded(file, name, "direct", shown)
    return _specified(file, name, given.specifier, shown)


def _specified(file: str, name: str, wanted: SpecifierSet, shown: str) -> Recorded:
    exact = [one for one in wanted if one.operator in ("==", "===") and not one.version.endswith(".*")]
    if exact:
        try:
            return Recorded(file, name, "pinned", shown, version=str(Version(exact[0].version)))
        except InvalidVersion:
            return Recorded(file, name, "unreadable", shown)
    if not len(wanted):
        return Recorded(file, name, "open", shown)
    return Recorded(file, name, "range", shown, allowed=str(wanted))


def _conda_file(file: str, text: str) -> Iterator[Recorded]:
    document = _yaml(text)
    listed = document.get("dependencies") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        yield Recorded(file, "", "unreadable", "The file lists no dependencies.")
        return
    for one in listed[:MOST_LINES]:
        if isinstance(one, dict) and isinstance(one.get("pip"), list):
            for line in one["pip"][:MOST_LINES]:
                yield pip_line(file, str(line).strip()[: _LONGEST + 1])
        elif isinstance(one, str):
            made = _conda_line(file, one.strip())
            if made is not None:
                yield made
        else:
            yield Recorded(file, "", "unreadable", str(one)[:_LONGEST])


def _conda_line(file: str, line: str) -> Recorded | None:
    """A conda package; Python itself and pip are the environment's, not the model's."""
    match = _CONDA.fullmatch(line[:_LONGEST])
    if match is None:
        return Recorded(file, "", "unreadable", line[:_LONGEST])
    name, rest = canonicalize_name(match[1]), match[2].replace(" ", "")
    if name in _OWN:
        return None
    if not rest:
        return Recorded(file, name, "open", line)
    single = re.fullmatch(r"=([\w.+!*-]+)(=[\w.*-]+)?", rest)
    if single is not None:  # =1.2 means 1.2.*, =1.2.3=build one build of 1.2.3
        version = single[1].removesuffix("*").rstrip(".")
        rest = f"=={version}" if single[2] else f"=={version}.*"
    try:
        return _specified(file, name, SpecifierSet(rest), line)
    except InvalidSpecifier:
        return Recorded(file, name, "unreadable", line)


def _env_file(file: str, text: str) -> Iterator[Recorded]:
    document = _yaml(text)
    if not isinstance(document, dict):
        yield Recorded(file, "", "unreadable", "The file is no mapping.")
        return
    for key in ("build_dependencies", "dependencies"):
        listed = document.get(key)
        for one in listed[:MOST_LINES] if isinstance(listed, list) else ():
            line = str(one).strip()
            if line != "-r requirements.txt":  # the file beside it, read by itself
                yield pip_line(file, line)


class _Plain(yaml.SafeLoader):
    """Plain data only, and no aliases: a short file must not unfold into a long one."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases")
        return super().compose_node(parent, index)


def _yaml(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Plain)  # noqa: S506 - a safe loader, narrowed
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
