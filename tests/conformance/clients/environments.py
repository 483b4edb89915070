"""Environments with an MLflow release of their own, made once from a hash-locked file and kept outside the repository."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.journeys.house import ROOT

LOCKS: Final = ROOT / "requirements" / "clients"
_UNREACHABLE: Final = (
    "error sending request",
    "dns error",
    "tcp connect error",
    "failed to fetch",
    "could not connect",
    "network connectivity is disabled",
    "timed out",
)


class CannotInstall(Exception):
    """The packages cannot be fetched: no network, or no such index."""


def interpreter(lock: str) -> Path:
    """The python of the environment that ``requirements/clients/<lock>.txt`` describes; made if it is not there yet.

    Kept below ``$XDG_CACHE_HOME/countersign-tests`` by the digest of the file and of the interpreter. Raises
    ``CannotInstall`` when packages cannot be fetched; anything else that goes wrong is a ``RuntimeError``.
    """
    requirements = LOCKS / f"{lock}.txt"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "countersign-tests"
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / f"{lock}-{digest}"
    python = place / "bin" / "python"
    with (cache / f"{place.name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # processes of pytest-xdist, and other runs, wait for whoever makes it
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            _uv("venv", "--quiet", "--python", sys.executable, str(place))
            _uv(
                *("pip", "install", "--quiet", "--python", str(python), "--require-hashes", "--only-binary", ":all:"),
                *("--requirement", str(requirements)),
            )
            (place / "complete").touch()
    return python


def _uv(*arguments: str) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "uv", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if told.returncode == 0:
        return
    if any(words in told.stderr.lower() for words in _UNREACHABLE):
        raise CannotInstall(told.stderr.strip()[-300:])
    raise RuntimeError(f"uv {' '.join(arguments)}: {told.stderr[-3000:]}")
