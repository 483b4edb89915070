"""The demonstration's REST client: what anybody would write against the OpenAPI document."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx

from config.waiting import until
from governance.demo.browser import DemoFailed

CHUNK: Final = 256 * 1024
_POLL_SECONDS: Final = 1.0


class Rest:
    """Calls below ``/api/v1`` with a bearer token; what is refused ends the demonstration with the server's sentence."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx.Client(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=60)

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    def call(self, method: str, path: str, *, accept: tuple[int, ...] = (), **kwargs: Any) -> Any:  # noqa: ANN401 - JSON
        """One call; its JSON. A status in ``accept`` gives ``None`` instead of ending the demonstration."""
        response = self._client.request(method, path, **kwargs)
        if response.status_code in accept:
            return None
        if response.is_error:
            problem = response.json() if "json" in response.headers.get("content-type", "") else {}
            raise DemoFailed(
                f"{method} {path} answered {response.status_code}: {problem.get('detail', response.text[:200])}"
            )
        return response.json() if response.content else None

    def all(self, path: str, **query: str | int) -> list[dict[str, Any]]:
        """The first page of a list, as large as pages are."""
        rows: list[dict[str, Any]] = self.call("GET", path, params=query)["results"]
        return rows

    def upload_whole(self, path: str, name: str, content: bytes) -> None:
        """One file in one multipart request, with its SHA-256 declared."""
        data = {"path": name, "sha256": hashlib.sha256(content).hexdigest()}
        self.call("POST", path, data=data, files={"file": (name, content)})

    def upload_in_chunks(self, path: str, name: str, file: Path) -> None:
        """One file in chunks by offset, as a large one is sent."""
        content = file.read_bytes()
        declared = {"path": name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        upload = self.call("POST", path, json=declared)["id"]
        for offset in range(0, len(content), CHUNK):
            self.call(
                "PUT",
                f"/uploads/{upload}",
                content=content[offset : offset + CHUNK],
                headers={"Content-Type": "application/octet-stream", "Upload-Offset": str(offset)},
            )
        self.call("POST", f"/uploads/{upload}/complete")

    def until(self, path: str, done: Callable[[dict[str, Any]], bool], *, seconds: float, what: str) -> dict[str, Any]:
        """Read ``path`` until ``done`` says so. Raises ``DemoFailed`` after ``seconds``, saying what was waited for."""

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.call("GET", path)
            return found if done(found) else None

        if (found := until(look, seconds=seconds, every=_POLL_SECONDS)) is None:
            raise DemoFailed(f"{what} took longer than {seconds:.0f} seconds; see the logs of worker and sequencer")
        return found
