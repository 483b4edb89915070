"""Reading what a model says it needs: ``requirements.txt``, ``python_env.yaml`` and ``conda.yaml``, as hostile text.

Formats: https://mlflow.org/docs/latest/ml/model/#additional-logged-files and pip's requirements file format. Options of
a requirements file are never obeyed: an address of an index in it is the author's word, and is set aside.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

MAX_BYTES = 256 * 1024
MAX_LINES = 2_000
_HASH = re.compile(r"--hash[= ]sha256:([0-9a-f]{64})(?=\s|$)")
_OTHER_HASH = re.compile(r"--hash[= ]\S+")
_VERSION = re.compile(r"\d{1,2}\.\d{1,3}(\.\d{1,3})?")
_INDEX = ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--trusted-host", "--no-index", "--pre",
          "--prefer-binary", "--only-binary", "--require-hashes")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pin:
    """One recorded requirement, without its hashes. ``hashes`` are sha256 of the files that may be installed."""

    name: str
    text: str
    hashes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a model says it needs.

    ``source``: the file that was believed, or "". ``ignored``: what was set aside, ``problems``: why it cannot be
    built as recorded; sentences.
    """

    source: str = ""
    python: str = ""
    pins: tuple[Pin, ...] = ()
    ignored: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def read_recorded(model_dir: Path) -> Recorded:
    """What the files in ``model_dir`` record. Guarantee: nothing is followed, fetched or executed."""
    found = _Found()
    listed = found.text(model_dir, "requirements.txt")
    conda = found.yaml(model_dir, "conda.yaml")
    python = found.yaml(model_dir, "python_env.yaml").get("python")
    packages, conda_python = _conda(conda, found, say=listed is None)
    source = ""
    if listed is not None:
        source = "requirements.txt"
        found.lines(listed)
    elif packages is not None:
        source = "conda.yaml"
        found.lines("\n".join(packages))
    version = str(python or conda_python or "")
    if version and not _VERSION.fullmatch(version):
        found.problems.append(f"The recorded Python version “{version[:40]}” is none.")
        version = ""
    return Recorded(source, version, tuple(found.pins), tuple(found.ignored), tuple(found.problems))


class _Found:
    """What has been read so far."""

    def __init__(self) -> None:
        self.pins: list[Pin] = []
        self.ignored: list[str] = []
        self.problems: list[str] = []

    def text(self, folder: Path, name: str) -> str | None:
        try:
            descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError:
            self.problems.append(f"The file {name} is not a plain file.")
            return None
        with os.fdopen(descriptor, "rb") as handle:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode) or about.st_size > MAX_BYTES:
                self.problems.append(f"The file {name} is not a plain file of at most {MAX_BYTES} bytes.")
                return None
            try:
                return handle.read(MAX_BYTES).decode("utf-8-sig")
            except UnicodeDecodeError:
                self.problems.append(f"The file {name} is not text.")
                return None

    def yaml(self, folder: Path, name: str) -> dict[str, Any]:
        text = self.text(folder, name)
        if text is None:
            return {}
        try:
            if any(isinstance(token, yaml.tokens.AliasToken) for token in yaml.scan(text, Loader=yaml.SafeLoader)):
                raise yaml.YAMLError("it uses aliases")
            plain = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - BaseLoader makes text only: 3.10 stays 3.10
        except (yaml.YAMLError, RecursionError, ValueError):
            self.problems.append(f"The file {name} is not readable YAML.")
            return {}
        return plain if isinstance(plain, dict) else {}

    def lines(self, text: str) -> None:
        lines = re.sub(r"\\\r?\n", " ", text).splitlines()
        if len(lines) > MAX_LINES:
            self.problems.append(f"More than {MAX_LINES} requirements are recorded.")
            return
        for raw in lines:
            line = re.sub(r"(^|\s)#.*$", "", raw).strip()
            if line:
                self._line(line)

    def _line(self, line: str) -> None:
        if line.startswith("-"):
            option = re.split(r"[\s=]", line, maxsplit=1)[0]
            if option in _INDEX:
                self.ignored.append(f"The option {option} in the recorded requirements is not obeyed.")
            else:
                self.problems.append(f"The recorded requirements use {option[:40]}, which cannot be built from wheels.")
            return
        hashes = frozenset(_HASH.findall(line))
        text = _OTHER_HASH.sub("", _HASH.sub("", line)).strip()
        if _OTHER_HASH.search(line) and not hashes:
            self.problems.append(f"“{text[:100]}” is recorded with hashes, but with none of sha256.")
            return
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            self.problems.append(f"“{text[:100]}” is no requirement of a package by name and version.")
            return
        if requirement.url is not None:
            self.problems.append(f"“{requirement.name}” is recorded with an address of its own, which is never used.")
            return
        self.pins.append(Pin(canonicalize_name(requirement.name), str(requirement), hashes))


def _conda(conda: dict[str, Any], found: _Found, *, say: bool) -> tuple[list[str] | None, str]:
    """The pip part of a conda file, and its Python. ``say``: what only conda can install is a problem."""
    items = conda.get("dependencies")
    if not isinstance(items, list):
        return None, ""
    packages: list[str] = []
    python = ""
    for item in items:
        if isinstance(item, dict):
            inner = item.get("pip")
            packages += [str(one) for one in inner] if isinstance(inner, list) else []
            continue
        name, _, version = str(item).partition("=")
        name, version = name.strip().rstrip("<>!~"), version.strip("= ")
        if name == "python":
            python = version
        elif name != "pip" and say:
            found.problems.append(
                f"“{str(item)[:100]}” is recorded as a conda package, which cannot be built from wheels."
            )
    return packages, python
