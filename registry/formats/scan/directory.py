"""``scan_directory``: every file of a model, its ``MLmodel`` and its requirements."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from registry.formats.scan.allowed import FLAVORS, LOADER_MODULES
from registry.formats.scan.archives import Inside, Loaded, look
from registry.formats.scan.mlmodel import MLmodelError, ModelFile, read_model_file
from registry.formats.scan.report import Finding, ScanReport

MAX_FILES = 10_000
MAX_FILE = 2 * 1024**3
_CODE_SUFFIXES = (".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".sh", ".pth", ".whl", ".jar")


def scan_directory(path: Path) -> ScanReport:
    """Read a model's directory as bytes. Guarantee: nothing of it is imported, executed or followed outside.

    A model is let in only if ``report.ok``. Raises ``NotADirectoryError`` if ``path`` is none, and nothing for
    what is in it: all of that is a finding.
    """
    if not path.is_dir():
        raise NotADirectoryError(str(path))
    inside = Inside()
    findings: list[Finding] = []
    model: ModelFile | None = None
    try:
        model = read_model_file(path)
        findings.extend(_model_file(model))
    except MLmodelError as error:
        findings.append(Finding("MLmodel", "refused", error.code, str(error)))
    named, bad_paths = _named(model, path)
    findings.extend(bad_paths)
    count = size = 0
    for relative, full, mode in _walk(path):
        count += 1
        if count > MAX_FILES:
            findings.append(Finding("", "refused", "files.too_many", f"There are more than {MAX_FILES} files."))
            break
        length = os.lstat(full).st_size
        size += length
        findings.extend(_file(relative, full, mode, length, inside, named=named.get(relative)))
    missing = sorted(name for name in named if not (path / name).exists())
    findings.extend(
        Finding(name, "refused", "file.missing", "MLmodel names this file; it is not there.") for name in missing
    )
    return ScanReport(
        findings=tuple(sorted(set(findings))),
        flavors=tuple(sorted(model.flavors)) if model else (),
        loader_module=model.loader_module if model else "",
        requirements=_requirements(path),
        globals=tuple(sorted(inside.names)),
        files=count,
        bytes=size,
    )


def _walk(path: Path) -> Iterator[tuple[str, Path, int]]:
    """Files in a fixed order; symbolic links are not followed."""
    for folder, names, files in os.walk(path, followlinks=False):
        names.sort()
        links = [name for name in names if (Path(folder) / name).is_symlink()]
        for name in sorted([*files, *links]):
            full = Path(folder) / name
            yield full.relative_to(path).as_posix(), full, os.lstat(full).st_mode


def _file(
    relative: str, full: Path, mode: int, length: int, inside: Inside, *, named: Loaded | None
) -> Iterator[Finding]:
    if not stat.S_ISREG(mode):
        yield Finding(relative, "refused", "file.special", "Links and special files are not allowed in a model.")
    elif length > MAX_FILE:
        yield Finding(relative, "refused", "file.too_large", f"The file is larger than {MAX_FILE} bytes.")
    elif relative.endswith(_CODE_SUFFIXES):
        yield Finding(relative, "refused", "file.code", "The model carries its own code, which would run on loading.")
    else:
        yield from look(relative, full.read_bytes(), inside, named=named)


def _model_file(model: ModelFile) -> Iterator[Finding]:
    for flavor in sorted(set(model.flavors) - FLAVORS):
        yield Finding("MLmodel", "refused", "mlmodel.flavor", f"The flavour “{flavor}” is not on the allow-list.")
    loader = model.loader_module
    if loader and loader not in LOADER_MODULES:
        yield Finding("MLmodel", "refused", "mlmodel.loader", f"The loader module “{loader}” is not on the allow-list.")
    for flavor, config in sorted(model.flavors.items()):
        if config.get("code"):
            yield Finding("MLmodel", "refused", "mlmodel.code", f"The flavour “{flavor}” brings its own code.")
    if model.flavors.get("sklearn", {}).get("skops_trusted_types"):
        said = "MLmodel brings its own list of trusted types. It is ignored: only the gate's own list counts."
        yield Finding("MLmodel", "info", "mlmodel.trusted_types", said)


def _named(model: ModelFile | None, directory: Path) -> tuple[dict[str, Loaded], list[Finding]]:
    """The files that MLmodel names, normalised as a loader would find them, and how each is loaded."""
    named: dict[str, Loaded] = {}
    findings: list[Finding] = []
    for flavor, config in model.flavors.items() if model else ():
        if model is None or (flavor == "python_function" and not _has_file(config)):
            continue
        try:
            path = PurePosixPath(model.data_path(flavor)).as_posix()
        except MLmodelError as error:
            findings.append(Finding("MLmodel", "refused", error.code, str(error)))
            continue
        if flavor == "python_function" and (path in named or (directory / path).is_dir()):
            continue
        named[path] = _loaded(flavor, config, model)
    return named, findings


def _has_file(config: Mapping[str, Any]) -> bool:
    return any(config.get(name) for name in ("pickled_model", "data", "model_path"))


def _loaded(flavor: str, config: Mapping[str, Any], model: ModelFile) -> Loaded:
    if flavor == "python_function" and "sklearn" in model.flavors:
        config = model.flavors["sklearn"]
    sklearn = flavor == "sklearn" or (flavor == "python_function" and model.loader_module == "mlflow.sklearn")
    if not sklearn:
        return "native"
    return "skops" if config.get("serialization_format") == "skops" else "pickle"


def _requirements(path: Path) -> tuple[str, ...]:
    """The lines of ``requirements.txt``, for the report; nothing is installed from them."""
    file = path / "requirements.txt"
    if file.is_symlink() or not file.is_file() or file.stat().st_size > 1024 * 1024:
        return ()
    lines = (line.partition("#")[0].strip() for line in file.read_text("utf-8", errors="replace").splitlines())
    return tuple(line for line in lines if line)
