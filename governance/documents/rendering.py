"""Packs to PDF/A-3a and PDF/UA-1 in a process of their own (``press``). For workers and commands: web processes ask for a job."""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from governance.documents.display import in_fours, shown
from governance.documents.shape import File, pack_bytes

HERE: Final = Path(__file__).parent
TEMPLATES: Final = HERE / "templates"
PRESS: Final = HERE / "press.py"
PACK: Final = "pack.json"
SECONDS: Final = 300
_FONTS: Final = {
    "fontpkg_ibm_plex_sans": ("files/IBMPlexSans[wdth,wght].ttf", "files/IBMPlexSans-Italic[wdth,wght].ttf"),
    "matplotlib": ("mpl-data/fonts/ttf/DejaVuSans.ttf", "mpl-data/fonts/ttf/DejaVuSans-Bold.ttf"),
}
"""Font files by package, beside those that typst carries: a sans for the work, and one with many scripts to fall back on."""


class NotRendered(RuntimeError):
    """The press did not make the document. The message is for the log: it may hold words of the document."""


def render(
    name: str, data: Mapping[str, Any], *, at: datetime, files: Sequence[File] = (), seconds: float = SECONDS
) -> bytes:
    """The PDF of a pack: PDF/A-3a and PDF/UA-1, with the pack and ``files`` attached. The same arguments give the same bytes.

    ``name`` is the report's; ``data`` a pack (``shape.Pack.data``); ``at`` the document's time stamp: that of the
    checkpoint. Must not be called in a web process. Raises ``NotRendered``, and ``ValueError`` for another report's pack.
    """
    if data["report"] != name:
        raise ValueError(f"a pack of {data['report']!r} is no pack of {name!r}")
    with tempfile.TemporaryDirectory(prefix="countersign-press-") as made:
        directory = Path(made)
        _prepare(directory, data, files, {"format": "pdf", "timestamp": int(at.timestamp())})
        _press(directory, seconds)
        return (directory / "out.pdf").read_bytes()


def render_pages(data: Mapping[str, Any], *, ppi: int = 80, seconds: float = SECONDS) -> list[bytes]:
    """The pages as PNG pictures, to look at."""
    with tempfile.TemporaryDirectory(prefix="countersign-press-") as made:
        directory = Path(made)
        _prepare(directory, data, (), {"format": "png", "ppi": ppi})
        _press(directory, seconds)
        found = sorted(directory.glob("out-*.png"), key=lambda path: int(path.stem.removeprefix("out-")))
        return [path.read_bytes() for path in found]


def _prepare(directory: Path, data: Mapping[str, Any], files: Sequence[File], order: Mapping[str, Any]) -> None:
    content = pack_bytes(data)
    attached = [{"name": PACK, "media_type": "application/json", "about": "The data of this report", "path": PACK}]
    (directory / "files").mkdir()
    for place, file in enumerate(files):
        path = f"files/{place}"
        (directory / path).write_bytes(file.content)
        attached.append({"name": file.name, "media_type": file.media_type, "about": file.about, "path": path})
    digest = hashlib.sha256(content).hexdigest()
    made = shown(data) | {"pack_digest": digest, "pack_digest_fours": in_fours(digest), "attached": attached}
    (directory / PACK).write_bytes(content)
    (directory / "shown.json").write_text(json.dumps(made, ensure_ascii=True))
    (directory / "order.json").write_text(json.dumps(order))
    for template in TEMPLATES.glob("*.typ"):
        shutil.copyfile(template, directory / template.name)
    _fonts(directory / "fonts")


def _fonts(directory: Path) -> None:
    directory.mkdir()
    found = [path for package, names in _FONTS.items() for path in _of_package(package, names)]
    extra: Path | None = settings.REPORT_FONTS
    found += (
        sorted(path for path in extra.iterdir() if path.suffix.lower() in {".ttf", ".otf", ".ttc"}) if extra else []
    )
    for place, path in enumerate(found):
        (directory / f"{place:03d}{path.suffix.lower()}").symlink_to(path)


def _of_package(package: str, names: Sequence[str]) -> list[Path]:
    """Files of an installed package, found without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return []
    root = Path(next(iter(spec.submodule_search_locations)))
    return [path for name in names if (path := root / name).is_file()]


def _press(directory: Path, seconds: float) -> None:
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(PRESS), str(directory)],
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=seconds,
            cwd=directory,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise NotRendered(f"The document was not set within {seconds:.0f} seconds.") from late
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()[-2000:]
        raise NotRendered(f"The press ended with {done.returncode}: {said}")
