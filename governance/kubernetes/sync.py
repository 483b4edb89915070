"""Bringing permits from the registry into a gate's directory, and its events to the registry.

Nothing that arrives is believed: permits are verified when they are asked for. So an attacker between here and there can
hold permits back, which closes the gate, and bring none about.
"""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from governance.kubernetes.journal import Event
from governance.kubernetes.permits import FOLDER, ROOTS, STATUS, SUFFIX, put

_SECONDS: Final = 10.0
_LARGEST: Final = 64 * 1024 * 1024
_MOST_PAGES: Final = 10_000


class Unreachable(RuntimeError):
    """The registry does not answer, or not as it should. The message says which address and what it said."""


class _NoRedirect(HTTPRedirectHandler):
    """The token goes to the address that the operator named, and nowhere else."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Registry:
    """A Countersign installation. ``token`` is that of a service account; ``authority`` a file of certificates."""

    url: str
    token: str
    authority: Path | None = None

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for an address that a token should not travel to."""
        parts = urlsplit(self.url)
        if parts.scheme != "https" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
            raise ValueError(f"{self.url} is not https, and the token would travel in clear")

    def pull(self, directory: Path) -> int:
        """Bring status list, trust roots and every active permit into ``directory``; return how many permits there are.

        Those that are active no more are removed after the new ones are there. Raises ``Unreachable``; what was there
        before then stays, until the status list is stale.
        """
        status, roots = self._get("permits/status-list"), self._get("trust-root/chain")
        present = set()
        for permit in self._active():
            path = directory / FOLDER / f"{permit}{SUFFIX}"
            present.add(path)
            if not path.exists():
                put(path, self._get(f"permits/{permit}/file"))
        put(directory / ROOTS, roots)
        put(directory / STATUS, status)
        for path in (directory / FOLDER).glob(f"*{SUFFIX}"):
            if path not in present:
                path.unlink()
        return len(present)

    def tell(self, event: Event) -> None:
        """Have a broken glass written into the ledger. Telling it again is no error. Raises ``Unreachable``."""
        self._ask(f"{self.url}/api/v1/gate/broken-glass", event)

    def _active(self) -> list[str]:
        found: list[str] = []
        address = f"{self.url}/api/v1/permits?state=active&page_size=100"
        for _ in range(_MOST_PAGES):
            page = self._json(address)
            found += [_identity(row["id"]) for row in page["results"]]
            if not page["next"]:
                return found
            # The address behind a proxy may have another name: only its question counts.
            address = f"{self.url}/api/v1/permits?{urlsplit(page['next']).query}"
        raise Unreachable(f"{self.url} lists permits without end")

    def _json(self, address: str) -> dict[str, Any]:
        try:
            made: dict[str, Any] = json.loads(self._ask(address))
            if not isinstance(made["results"], list):
                raise Unreachable(f"{address}: its results are no list")
        except (ValueError, KeyError, TypeError) as error:
            raise Unreachable(f"{address} answers with something else than a list: {error}") from error
        return made

    def _get(self, path: str) -> bytes:
        return self._ask(f"{self.url}/api/v1/{path}")

    def _ask(self, address: str, document: Mapping[str, Any] | None = None) -> bytes:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        content = None
        if document is not None:
            content, headers["Content-Type"] = json.dumps(document).encode(), "application/json"
        context = ssl.create_default_context(cafile=self.authority)
        opener = build_opener(ProxyHandler(), HTTPSHandler(context=context), _NoRedirect())
        try:
            with opener.open(Request(address, content, headers), timeout=_SECONDS) as answer:  # noqa: S310 - checked above
                body: bytes = answer.read(_LARGEST + 1)
        except HTTPError as error:
            told = error.read(300).decode(errors="replace")
            raise Unreachable(f"{address} answers {error.code}: {told}") from error
        except (URLError, OSError) as error:
            raise Unreachable(f"{address} does not answer: {error}") from error
        if len(body) > _LARGEST:
            raise Unreachable(f"{address} answers with more than {_LARGEST} bytes")
        return body


def _identity(given: object) -> str:
    """A permit's id, which becomes a file name here."""
    text = str(given)
    if not text or not all(character in "0123456789abcdef-" for character in text):
        raise Unreachable(f"{text[:80]!r} is no id of a permit")
    return text
