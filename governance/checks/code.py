r"""Which code a result came from: distribution, version and a digest of the installed sources. Loads no library.

The digest is the SHA-256 over one line per file, ``<sha256> <path>\n``, sorted by path: what ``sha256sum`` prints for
them, with one space. For Countersign's own checks the files are the Python sources of ``PLACES``, the scoring of models,
the reading of data sets and what gives checks their inputs included; for a plug-in they are all files that its ``RECORD`` lists.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from governance.checks import catalogue
from governance.checks.digesting import digest_of

ROOT: Final = Path(__file__).resolve().parents[2]
PLACES: Final = ("governance/checks", "governance/engine", "governance/sandbox", "registry/formats")
OWN: Final = "countersign"
SCORING: Final = "predict.scores@1"


@dataclass(frozen=True, slots=True)
class Code:
    """The code of one check."""

    distribution: str
    version: str
    digest: str

    def as_dict(self) -> dict[str, str]:
        """For records; every value is text."""
        return {"distribution": self.distribution, "version": self.version, "digest": self.digest}


def code_of(use: str) -> Code:
    """The code that runs for ``key`` or ``key@version``. Raises ``CheckError`` if there is no such check."""
    plugin = None if use == SCORING else catalogue.plugin_of(use)
    return own() if plugin is None else Code(plugin.distribution, plugin.version, plugin.digest)


@cache
def own() -> Code:
    """Countersign's own. Read once per process: the code that runs is the code that was there when it started."""
    found = (path for place in PLACES for path in (ROOT / place).rglob("*.py"))
    listed = ((path.relative_to(ROOT).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()) for path in found)
    return Code(OWN, _version(), digest_of(listed))


def _version() -> str:
    """Of the installed distribution, or of the source tree's own statement."""
    try:
        return version(OWN)
    except PackageNotFoundError:
        lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
        return next(line.split('"')[1] for line in lines if line.startswith("version = "))
