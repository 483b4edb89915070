"""A plain ``mlflow server``, and a door before it that asks for credentials as an organisation's does."""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from config.runtime.ports import LOOPBACK, free_port
from tests.serving import serving


@contextmanager
def mlflow_server(place: Path, *, store: str = "", more: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run ``mlflow server`` as its documentation says, and give its address.

    Its artifacts are in a folder of ``place``, and so is its database, unless ``store`` says another; ``more`` is added to
    its environment.
    """
    url = f"http://{LOOPBACK}:{(port := free_port())}"
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", store or f"sqlite:///{place / 'mlflow.db'}"),
        *("--artifacts-destination", str(place / "artifacts")),
    ]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        **(more or {}),
    }
    log = place / "mlflow.log"
    with serving(command, f"{url}/health", environment=environment, log=log, cwd=place, end=signal.SIGKILL):
        yield url


@contextmanager
def asking_for(authorization: str, server: str, seen: list[dict[str, str]]) -> Iterator[str]:
    """A door before ``server`` that lets through who sends exactly this, and notes the headers it gets."""

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append({name.lower(): value for name, value in self.headers.items()})
            if self.headers.get("Authorization") != authorization:
                self._say(401, {"WWW-Authenticate": "Basic"}, b"You are not authenticated. See the documentation.")
                return
            kept = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}}
            answer = httpx.request(
                self.command, server + self.path, headers=kept, content=body, timeout=60, trust_env=False
            )
            self._say(answer.status_code, {"Content-Type": answer.headers.get("content-type", "")}, answer.content)

        def _say(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass  # noqa: N815 - named so by http.server

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    door = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    door.daemon_threads = True
    thread = threading.Thread(target=door.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{door.server_address[1]}"
    finally:
        door.shutdown()
        door.server_close()
        thread.join()
