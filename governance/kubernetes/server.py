"""The validating admission webhook: ``POST /validate`` over TLS, and what a kubelet asks of a process.

An answer is sent for what could be judged. Whatever else happens (no JSON, a full disk, a bug) is an HTTP error, and with
``failurePolicy: Fail`` the cluster then refuses.
"""

import json
import logging
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from governance.kubernetes.journal import Journal
from governance.kubernetes.permits import Permits
from governance.kubernetes.review import API_VERSION, NotAReview, read
from governance.kubernetes.rules import Answer, Settings, decide

logger = logging.getLogger(__name__)
LARGEST: Final = 8 * 1024 * 1024
"""Bytes of a question: two objects of etcd's 1.5 MiB each, and what surrounds them."""
_SECONDS: Final = 10.0
_LONGEST_MESSAGE: Final = 4000


@dataclass(frozen=True, slots=True)
class Gate:
    """Everything an answer takes."""

    permits: Permits
    journal: Journal
    settings: Settings

    def answer(self, content: bytes) -> dict[str, Any]:
        """Answer an AdmissionReview. Raises ``NotAReview``, and ``OSError`` when a broken glass cannot be written down."""
        ask = read(content)
        answer = decide(ask, judge=self.permits.judge, granted=self.journal.granted, settings=self.settings)
        if answer.broken is not None:
            self.journal.write(answer.broken)
        said = "lets in" if answer.allowed else "refuses"
        logger.info("%s %s %s for %s %s", ask.operation, said, ask.title, ask.user, answer.message)
        return _review(ask.uid, answer)


@dataclass(slots=True)
class Server:
    """Answers on ``address`` until it is closed. Without certificate and key it speaks plain HTTP, for tests alone."""

    gate: Gate
    address: tuple[str, int]
    certificate: Path | None = None
    key: Path | None = None
    _http: ThreadingHTTPServer = field(init=False)
    _context: ssl.SSLContext | None = field(init=False, default=None)
    _loaded: tuple[int, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        """Bind. Raises ``OSError``, also for a certificate that cannot be used."""
        if self.certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.minimum_version = ssl.TLSVersion.TLSv1_2
            self.renew()
        handler = type("Handler", (_Handler,), {"gate": self.gate})
        self._http = ThreadingHTTPServer(self.address, handler)
        self._http.daemon_threads = True
        if self._context is not None:
            # The handshake happens in the thread of the connection: a silent client must not hold up the others.
            self._http.socket = self._context.wrap_socket(
                self._http.socket, server_side=True, do_handshake_on_connect=False
            )

    @property
    def port(self) -> int:
        """Where it listens, also if 0 was asked for."""
        return int(self._http.server_address[1])

    def renew(self) -> None:
        """Take up a certificate that was renewed, for connections from now on."""
        if self._context is None or self.certificate is None or self.key is None:
            return
        marks = (self.certificate.stat().st_mtime_ns, self.key.stat().st_mtime_ns)
        if marks != self._loaded:
            self._context.load_cert_chain(self.certificate, self.key)
            self._loaded = marks

    def run(self) -> None:
        """Serve until ``close``."""
        self._http.serve_forever()

    def close(self) -> None:
        """End ``run``."""
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    gate: Gate
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._send(200, {"alive": True})
        elif self.path == "/readyz":
            problem = self.gate.permits.problem()
            self._send(503 if problem else 200, {"ready": not problem, "problem": problem})
        else:
            self._send(404, {"error": "ask POST /validate, GET /healthz or GET /readyz"})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path.partition("?")[0] != "/validate":
            self._fail(404, "ask POST /validate")
        elif not length.isdigit() or int(length) > LARGEST:
            self._fail(413, f"give a Content-Length of at most {LARGEST}")
        else:
            self._validate(self.rfile.read(int(length)))

    def _validate(self, content: bytes) -> None:
        try:
            review = self.gate.answer(content)
        except NotAReview as error:
            self._fail(400, f"this is no AdmissionReview: {error}")
        except Exception:  # whatever it is, the cluster must hear an error and refuse
            logger.exception("A question could not be answered")
            self._fail(500, "it could not be judged; the gate's log says why")
        else:
            self._send(200, review)

    def _fail(self, status: int, problem: str) -> None:
        self.close_connection = True
        self._send(status, {"error": problem})

    def _send(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        logger.debug(format, *args)


def every(seconds: float, do: Callable[[], object], stopped: threading.Event) -> None:
    """Do something again and again until ``stopped``; what goes wrong is told, and tried again."""
    while not stopped.is_set():
        try:
            do()
        except Exception:  # it is a loop that must outlive whatever the network does
            logger.exception("%s failed; it is tried again in %g seconds", getattr(do, "__name__", do), seconds)
        stopped.wait(seconds)


def _review(uid: str, answer: Answer) -> dict[str, Any]:
    response: dict[str, Any] = {"uid": uid, "allowed": answer.allowed}
    if answer.warnings:
        response["warnings"] = list(answer.warnings)
    if answer.audit:
        response["auditAnnotations"] = {name.partition("/")[2]: value for name, value in answer.audit.items() if value}
    if not answer.allowed:
        response["status"] = {"code": 403, "reason": "Forbidden", "message": answer.message[:_LONGEST_MESSAGE]}
    return {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}
