"""One digest over many files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def digest_of(files: Iterable[tuple[str, str]]) -> str:
    r"""SHA-256 over a line ``<sha256> <path>\n`` per file, sorted by path. The order they are given in does not matter."""
    return hashlib.sha256("".join(f"{sha256} {path}\n" for path, sha256 in sorted(files)).encode()).hexdigest()
