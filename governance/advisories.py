"""The operator's list of known vulnerabilities: files in the Open Source Vulnerability format, read where they lie, offline.

``ADVISORIES_DIR`` names a directory of ``*.json`` and ``*.zip`` (as https://osv.dev publishes them for PyPI), or one such file.
Format: https://ossf.github.io/osv-schema/. Only the ecosystem PyPI is read; withdrawn advisories are left out.
"""

# ruff: noqa: ANN401 - these values come from outside and are checked here
from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

LARGEST: Final = 4 * 2**20
"""No single advisory is larger; what is, is not read, and said."""
MOST: Final = 500_000


def stamp(place: Path | None) -> str:
    """What tells one state of the list from another without reading it; "" without one that can be read."""
    if place is None:
        return ""
    try:
        facts = sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in _files(place))
    except OSError:
        return ""
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest() if facts else ""


def known(place: Path | None, packages: Collection[str]) -> dict[str, Any] | None:
    """The advisories on these packages (names as PEP 503 normalises them); None without a list.

    ``read`` is how many there were in all, ``newest`` when the last was changed, ``digest`` what was read, ``unread`` the files
    that are none. A list without a single advisory on PyPI is none.
    """
    mark = stamp(place)
    if place is None or not mark:
        return None
    by_package, read, newest, unread = _indexed(place, mark)
    if not read:
        return None
    wanted = {name: list(by_package[name]) for name in sorted(set(packages)) if name in by_package}
    return {"read": read, "newest": newest, "digest": mark, "unread": list(unread), "packages": wanted}


@lru_cache(maxsize=1)
def _indexed(place: Path, mark: str) -> tuple[Mapping[str, tuple[Any, ...]], int, str, tuple[str, ...]]:
    """All advisories by package; one state of the list is kept."""
    made: dict[str, list[Any]] = {}
    unread: list[str] = []
    read, newest = 0, ""
    for name, content in _documents(place, unread):
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            unread.append(name)
            continue
        for one in document if isinstance(document, list) else [document]:
            try:
                entries = dict(_entries(one))
            except (TypeError, AttributeError):
                unread.append(name)
                continue
            if not entries:
                continue
            read += 1
            newest = max(newest, str(one.get("modified", ""))[:20])
            for package, entry in entries.items():
                made.setdefault(package, []).append(entry)
            if read > MOST:
                raise ValueError(f"there are more than {MOST} advisories in {place}")
    return (
        {name: tuple(sorted(found, key=lambda e: e["id"])) for name, found in made.items()},
        read,
        newest,
        tuple(unread[:20]),
    )


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        return []
    return sorted(path for path in place.rglob("*") if path.suffix in {".json", ".zip"} and path.is_file())


def _documents(place: Path, unread: list[str]) -> Iterator[tuple[str, bytes]]:
    for path in _files(place):
        if path.suffix != ".zip":
            yield path.name, path.read_bytes()
            continue
        try:
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    if not member.filename.endswith(".json"):
                        continue
                    if member.file_size > LARGEST:
                        unread.append(f"{path.name}!{member.filename}")
                        continue
                    yield f"{path.name}!{member.filename}", archive.read(member)
        except (zipfile.BadZipFile, OSError, RuntimeError):  # the last: encrypted, or packed in an unknown way
            unread.append(path.name)


def _entries(one: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """What an advisory says of each package of PyPI: plain values, of the forms that the check reads."""
    if not isinstance(one, dict) or not isinstance(one.get("id"), str) or one.get("withdrawn"):
        return
    details = one.get("database_specific")
    severity = details.get("severity") if isinstance(details, dict) else None
    merged: dict[str, dict[str, Any]] = {}
    for affected in one.get("affected") or ():
        package = affected.get("package") if isinstance(affected, dict) else None
        if not isinstance(package, dict) or package.get("ecosystem") != "PyPI":
            continue
        name = re.sub(r"[-_.]+", "-", str(package.get("name", ""))).lower()
        entry = merged.setdefault(name, {
            "id": one["id"][:100],
            "aliases": [str(alias)[:100] for alias in one.get("aliases") or ()][:10],
            "summary": str(one.get("summary") or one.get("details") or "").strip().partition("\n")[0][:300],
            "severity": str(severity or "")[:20],
            "versions": [], "ranges": [],
        })  # fmt: skip
        entry["versions"] += [str(version) for version in affected.get("versions") or ()]
        for ranged in affected.get("ranges") or ():
            if isinstance(ranged, dict) and ranged.get("type") in ("ECOSYSTEM", "SEMVER"):
                events = [event for event in ranged.get("events") or () if isinstance(event, dict)]
                entry["ranges"].append([{str(k): str(v) for k, v in event.items()} for event in events])
    yield from merged.items()
