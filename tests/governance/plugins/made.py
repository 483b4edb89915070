"""Distributions made by hand, as an installer leaves them: files, METADATA, entry points, RECORD."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

MANIFEST = """
from governance.checks.contract import FigureSpec, Manifest

ONE = Manifest(
    key="{key}", version={version}, category="performance", title="A check", task="any", needs=("card",),
    definition="Nothing.", figures=(FigureSpec("number", "Number", "lower"),), code="{module}:Class",
)
"""


def install(
    place: Path,
    name: str,
    files: Mapping[str, str],
    *,
    entry: str = "",
    version: str = "1.0",
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Lay the distribution out below ``place``; return the directory of its metadata."""
    module = name.replace("-", "_")
    about = f"{module}-{version}.dist-info"
    texts = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/entry_points.txt": f"[countersign.checks]\nall = {entry or f'{module}:ONE'}\n",
        **{f"{about}/{key}": text for key, text in (metadata or {}).items()},
    }
    lines = []
    for path, text in texts.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text)
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(text.encode())}\n")
    (place / about / "RECORD").write_text("".join([*lines, f"{about}/RECORD,,\n"]))
    return place / about


def one(name: str, key: str, *, version: int = 1, more: str = "") -> dict[str, str]:
    """The only file of a distribution with one check."""
    module = name.replace("-", "_")
    return {f"{module}.py": MANIFEST.format(key=key, version=version, module=module) + more}
