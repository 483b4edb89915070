"""A plain ``mlflow server`` as an organisation has it, and a door before it that asks for credentials as theirs does."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from config.runtime.ports import free_port
from tests.waiting import until


@contextmanager
def mlflow_server(place: Path) -> Iterator[str]:
    """Run ``mlflow server`` with its own database and artifact folder, and give its address."""
    port = free_port()
    log = place / "mlflow.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(
                    sys.executable,
                    "-m",
                    "mlflow",
                    "server",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    str(port),
                    "--workers",
                    "1",
                ),
                *("--backend-store-uri", f"sqlite:///{place}/mlflow.db"),
                *("--serve-artifacts", "--artifacts-destination", str(place / "artifacts")),
            ],
            cwd=place,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(place),
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "DO_NOT_TRACK": "true",
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            return httpx.get(f"{url}/health", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False

    try:
        until(answers, what="mlflow server", seconds=120)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


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
