"""A REST client for tests: bearer token or session, JSON in, answers checked for their shape."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpResponseBase
from django.test import Client

from config.problems import CONTENT_TYPE

ROOT = "/api/v1"


@dataclass
class Api:
    """Calls below ``/api/v1`` as one person. ``token`` empty: the client's own session, or nobody."""

    token: str = ""
    client: Client = field(default_factory=Client)

    def send(
        self, method: str, path: str, body: bytes | None = None, *, kind: str = "application/json", **headers: str
    ) -> Any:
        """Send raw bytes. Every refusal must be a problem document, whatever was sent."""
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        address = path if path.startswith("/api/") else f"{ROOT}/{path}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.client.generic(method, address, body or b"", content_type=kind, headers=named)
        check_answer(response)
        return response

    def call(self, method: str, path: str, data: object = None, **headers: str) -> Any:
        """Send JSON."""
        return self.send(method, path, b"" if data is None else json.dumps(data).encode(), **headers)

    def get(self, path: str, **headers: str) -> Any:
        """GET."""
        return self.call("GET", path, **headers)

    def post(self, path: str, data: object = None, **headers: str) -> Any:
        """POST."""
        return self.call("POST", path, data, **headers)


def check_answer(response: HttpResponseBase) -> None:
    """Refusals are problem documents that name status and code; nothing is ever a 500."""
    assert response.status_code < 500, response
    if response.status_code >= 400 and response["Content-Type"] != "":
        assert response["Content-Type"] == CONTENT_TYPE, response
        content = getattr(response, "content", b"")
        if content:
            body = json.loads(content)
            assert body["status"] == response.status_code
            assert body["code"]
            assert body["detail"]


def fields_at_fault(response: Any) -> set[str]:
    """The fields that a problem document names."""
    return {error["field"] for error in response.json().get("errors", [])}


def sha256(content: bytes) -> str:
    """What a client declares."""
    return hashlib.sha256(content).hexdigest()
