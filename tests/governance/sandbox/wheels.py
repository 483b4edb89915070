"""A package index on this machine: small wheels written by hand, and our own libraries packed again as wheels."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.tags import sys_tags


def wheel(folder: Path, name: str, version: str, files: Mapping[str, str], requires: Iterable[str] = ()) -> str:
    """Write a wheel of plain Python files; returns its sha256. Format: PEP 427."""
    info = f"{name}-{version}.dist-info"
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    members = {
        **files,
        f"{info}/METADATA": about + "".join(f"Requires-Dist: {one}\n" for one in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [f"{path},{_hash(text.encode())},{len(text)}\n" for path, text in members.items()]
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in {**members, f"{info}/RECORD": "".join(lines)}.items():
            archive.writestr(member, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def packed_again(folder: Path, names: Iterable[str]) -> None:
    """Wheels of what is installed here, and of all it needs: the run-time libraries without any network."""
    waiting, done = list(names), set()
    while waiting:
        name = waiting.pop()
        if name in done:
            continue
        done.add(name)
        found = importlib.metadata.distribution(name)
        needed = [Requirement(text) for text in found.requires or []]
        waiting += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
        _pack(folder, found)


def _pack(folder: Path, found: importlib.metadata.Distribution) -> None:
    tag = str(next(iter(sys_tags())))
    stem = f"{found.metadata['Name'].replace('-', '_')}-{found.version}"
    lines, kept = [], []
    for file in found.files or ():
        path = Path(str(file.locate()))
        if file.parts[0] == ".." or file.suffix == ".pyc" or file.name in {"RECORD", "WHEEL", "INSTALLER", "REQUESTED"}:
            continue
        if "tests" in file.parts or file.suffix in {".a", ".h", ".pyx", ".pyi"} or not path.is_file():
            continue
        kept.append((str(file), path))
        lines.append(f"{file},,\n")
    info = next(name for name, _ in kept if name.endswith(".dist-info/METADATA")).rpartition("/")[0]
    with zipfile.ZipFile(folder / f"{stem}-{tag}.whl", "w") as archive:
        for name, path in kept:
            archive.write(path, name)
        archive.writestr(
            f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: false\nTag: {tag}\n"
        )
        archive.writestr(f"{info}/RECORD", "".join(lines))


def _hash(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
