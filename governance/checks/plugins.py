"""Checks that other distributions bring, by entry points of the group ``countersign.checks``.

An entry is a ``Manifest`` or a list of them. Only distributions that the operator lists as trusted are loaded: a plug-in's
code runs in workers like ours, and its manifests are imported by every process. Whatever is wrong with one of them is a
``Problem`` with the way out, never an exception and never at the cost of another check. See docs/contributors/plug-ins.md.
"""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import json
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path, PurePosixPath
from typing import Any, Final, get_args

from governance.checks.contract import FigureSpec, Manifest, Need, Task
from governance.checks.digesting import digest_of

GROUP: Final = "countersign.checks"
HEAVY: Final = frozenset({"mlflow", "numpy", "pandas", "polars", "pyarrow", "scipy", "sklearn", "torch"})
"""What no web process may load: a manifest is words."""
_KEY: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_FIGURE: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_CODE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_METADATA: Final = frozenset({"METADATA", "entry_points.txt"})
"""Of the metadata, what the wheel says; the rest is what the installer wrote about this installation."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """One trusted distribution: its checks, and the digest of the files they came from."""

    distribution: str
    version: str
    digest: str
    manifests: tuple[Manifest, ...]

    def stamp(self) -> dict[str, str]:
        """What every result of its checks says under ``facts``."""
        return {"plugin": self.distribution, "plugin_version": self.version, "plugin_digest": self.digest}


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a distribution brings no checks. ``refused`` if that is the operator's choice, not a fault."""

    distribution: str
    sentence: str
    remedy: str
    refused: bool = False


class _Unfit(Exception):
    """A plug-in that cannot be used; the text is the sentence."""

    def __init__(self, sentence: str, remedy: str) -> None:
        super().__init__(sentence)
        self.remedy = remedy


def find(trusted: Collection[str], taken: Mapping[str, Manifest]) -> tuple[tuple[Plugin, ...], tuple[Problem, ...]]:
    """Every usable plug-in and every problem, by name. ``taken`` are the built-in checks, whose keys nobody else may use."""
    wanted = {canonical_name(name): name for name in trusted}
    found: list[Plugin] = []
    problems: list[Problem] = []
    installed: dict[str, tuple[Distribution, tuple[EntryPoint, ...]]] = {}
    for distribution in distributions():
        entries = tuple(distribution.entry_points.select(group=GROUP))
        if entries:
            installed.setdefault(canonical_name(distribution.metadata["Name"]), (distribution, entries))
    for name, (distribution, entries) in sorted(installed.items()):
        if name not in wanted:
            problems.append(_untrusted(name))
            continue
        try:
            found.append(_plugin(name, distribution, entries))
        except _Unfit as unfit:
            problems.append(Problem(name, str(unfit), unfit.remedy))
    problems += [_absent(name, wanted[name]) for name in sorted(set(wanted) - set(installed))]
    clashing = dict(_clashes(found, taken))
    problems += clashing.values()
    usable = tuple(one for one in found if one.distribution not in clashing)
    return usable, tuple(sorted(problems, key=lambda one: one.distribution))


def canonical_name(name: str) -> str:
    """The name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _untrusted(name: str) -> Problem:
    return Problem(
        name,
        f"The distribution {name} is installed and brings checks, but is not trusted: none of its code was loaded.",
        "Read its code and name it in TRUSTED_CHECK_PLUGINS, or uninstall it. Code that is not to be trusted can run in the "
        "sandbox as a script check.",
        refused=True,
    )


def _absent(name: str, spelled: str) -> Problem:
    return Problem(
        name,
        f"TRUSTED_CHECK_PLUGINS names {spelled}, which is not installed here or brings no checks.",
        "Install it in every process (web, scheduler, workers), or take it out of the setting.",
    )


def _clashes(found: list[Plugin], taken: Mapping[str, Manifest]) -> Iterator[tuple[str, Problem]]:
    """A key has one owner: a newer version of a built-in check by somebody else would take its place unasked."""
    own = {one.key for one in taken.values()}
    owners: dict[str, list[str]] = {}
    for plugin in found:
        for key in {one.key for one in plugin.manifests}:
            owners.setdefault(key, []).append(plugin.distribution)
    for key, names in sorted(owners.items()):
        others = ["Countersign itself", *names] if key in own else names
        if len(others) > 1:
            for name in names:
                rest = ", ".join(sorted(set(others) - {name}))
                yield (
                    name,
                    Problem(
                        name,
                        f"Its check “{key}” has the key of a check of {rest}. None of its checks is used.",
                        f"Give it a key of its own, such as “{name.replace('-', '_')}.{key.rpartition('.')[2]}”.",
                    ),
                )


def _plugin(name: str, distribution: Distribution, entries: tuple[EntryPoint, ...]) -> Plugin:
    files = _installed_files(distribution)
    manifests = [one for entry in entries for one in _manifests(entry)]
    names = [one.name for one in manifests]
    for manifest in manifests:
        _validate(manifest, files)
        if names.count(manifest.name) > 1:
            raise _Unfit(f"It brings the check “{manifest.name}” twice.", "Remove one of the two entries.")
    if not manifests:
        raise _Unfit("Its entry points name no check.", "List at least one Manifest.")
    version = distribution.version
    return Plugin(name, version, digest_of(files.items()), tuple(manifests))


def _manifests(entry: EntryPoint) -> tuple[Manifest, ...]:
    before = HEAVY & set(sys.modules)
    try:
        loaded = entry.load()
    except (Exception, SystemExit) as error:
        raise _Unfit(
            f"Its entry “{entry.name}” cannot be loaded: {type(error).__name__}: {str(error)[:300]}",
            "Correct or update it; python -c 'import …' shows the whole error.",
        ) from error
    if heavy := sorted((HEAVY & set(sys.modules)) - before):
        raise _Unfit(
            f"Its entry “{entry.name}” imports {', '.join(heavy)}, which no web process may load.",
            "Put the manifests into a module of their own that imports governance.checks.contract and nothing else.",
        )
    listed = tuple(loaded) if isinstance(loaded, list | tuple) else (loaded,)
    if not all(isinstance(one, Manifest) for one in listed):
        raise _Unfit(f"Its entry “{entry.name}” is no Manifest, and no list of them.", "Name a Manifest.")
    return listed


def _validate(one: Any, files: Mapping[str, str]) -> None:  # noqa: ANN401 - its fields can hold anything
    """Raise ``_Unfit`` for a manifest that policies, pages or workers would stumble over."""
    if not isinstance(one.key, str) or not _KEY.fullmatch(one.key):
        raise _Unfit(f"“{one.key}” is no key of a check.", "Use two or more lower-case words with dots between them.")
    wrong: list[str] = []
    if not isinstance(one.version, int) or isinstance(one.version, bool) or one.version < 1:
        wrong.append("its version is no whole number from 1")
    texts = (one.title, one.category, one.definition, one.code)
    if not all(isinstance(text, str) and text.strip() and len(text) <= 4000 for text in texts):
        wrong.append("its title, category, definition and code must be texts")
    if one.task not in get_args(Task):
        wrong.append(f"there is no task “{one.task}”")
    if unknown := sorted(set(one.needs) - set(get_args(Need))):
        wrong.append(f"there is no input “{unknown[0]}”")
    keys = [figure.key if isinstance(figure, FigureSpec) else "" for figure in one.figures]
    if not all(_FIGURE.fullmatch(key) for key in keys) or len(set(keys)) < len(keys):
        wrong.append("its figures need keys of lower-case letters, each once")
    if not _CODE.fullmatch(str(one.code)):
        wrong.append("its code is not of the form module:Class")
    elif not any(path.partition("/")[0] in _tops(one.code) for path in files):
        wrong.append(f"its code {one.code} is not among the files of the distribution, so no digest would cover it")
    if wrong:
        raise _Unfit(f"The check “{one.key}”: {'; '.join(wrong)}.", "Correct the manifest.")


def _tops(code: str) -> tuple[str, str]:
    top = code.partition(":")[0].partition(".")[0]
    return top, f"{top}.py"


def _installed_files(distribution: Distribution) -> dict[str, str]:
    """Path → SHA-256 of what is installed, every file read and compared with the RECORD."""
    if _editable(distribution):
        raise _Unfit(
            "It is installed as editable, so its files have no fixed digest.", "Build a wheel and install that."
        )
    record = distribution.read_text("RECORD")
    if not record:
        raise _Unfit("It was installed without a RECORD of its files.", "Install it from a wheel, with pip or uv.")
    found: dict[str, str] = {}
    # Read here: `distribution.files` leaves out what is gone as soon as a library has loaded importlib's backport.
    for path, said in ((row[0], row[1]) for row in csv.reader(record.splitlines()) if len(row) >= 2):
        file = PurePosixPath(path)
        about = file.parent.name.endswith(".dist-info")
        if (about and file.name not in _METADATA) or file.suffix == ".pyc" or path.startswith("../"):
            continue
        try:
            actual = hashlib.sha256(Path(str(distribution.locate_file(path))).read_bytes()).digest()
        except OSError as error:
            raise _Unfit(f"Its file {path} cannot be read ({error.strerror}).", "Install it again.") from error
        if not said.startswith("sha256=") or _decoded(said.removeprefix("sha256=")) != actual:
            raise _Unfit(
                f"Its file {path} is not the one that was installed: it differs from the RECORD.",
                "Find out who changed it, and install it again.",
            )
        found[path] = actual.hex()
    return found


def _decoded(value: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (ValueError, binascii.Error):
        return b""


def _editable(distribution: Distribution) -> bool:
    try:
        url = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        return True
    return bool(isinstance(url, dict) and url.get("dir_info", {}).get("editable"))
