"""What the operator allows: where packages come from, and how much room and time a build has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit


@dataclass(frozen=True, slots=True)
class Environments:
    """Where packages may come from, and what a build may take.

    ``indexes``: addresses of package indexes (the first wins for every package it has) or absolute directories of
    wheels. ``root`` keeps the built environments. ``build_seconds``, ``max_bytes``: what one build may take;
    ``cache_bytes``: what all may take together, before those not used for longest are removed. ``lock``: the digest of the
    one lock to run with, whatever the model records: that of an earlier run which is repeated.
    """

    indexes: tuple[str, ...]
    root: Path
    build_seconds: float = 600.0
    max_bytes: int = 6 * 1024**3
    cache_bytes: int = 20 * 1024**3
    lock: str = ""

    def arguments(self) -> list[str]:
        """How uv is told. Addresses with passwords go by ``environment``, which other users cannot read."""
        folders = [one for one in self.indexes if "://" not in one]
        found = [part for folder in folders for part in ("--find-links", folder)]
        return [*found, *([] if self._addresses() else ["--no-index"])]

    def environment(self) -> dict[str, str]:
        """The addresses: the first is the default index, so the public one is never asked unless it is named."""
        addresses = self._addresses()
        if not addresses:
            return {}
        # uv asks UV_INDEX first and UV_DEFAULT_INDEX last, and stops at the first index that knows a name.
        return {"UV_INDEX": " ".join(addresses[:-1]), "UV_DEFAULT_INDEX": addresses[-1]}

    def _addresses(self) -> list[str]:
        return [one for one in self.indexes if "://" in one]

    def without_secrets(self, text: str) -> str:
        """``text`` with the names and passwords of the addresses taken out."""
        for address in self._addresses():
            parts = urlsplit(address)
            if "@" in parts.netloc:
                bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
                secret = parts.netloc.rpartition("@")[0]
                text = text.replace(address, bare).replace(secret, "…")
                text = text.replace(parts.password, "…") if parts.password else text
        return text
