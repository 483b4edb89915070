"""A receiver on the loopback that keeps what it gets and answers as it is told, however badly."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.waiting import until


@dataclass
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: str

    @property
    def document(self) -> dict[str, Any]:
        """The body, parsed."""
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


Answering = Callable[[BaseHTTPRequestHandler], None]


def status(code: int, body: bytes = b"ok", **headers: str) -> Answering:
    """Answer so."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def hang(until: threading.Event) -> Answering:
    """Take the request and say nothing."""
    return lambda _handler: (until.wait(30), None)[1]


def trickle(until: threading.Event) -> Answering:
    """Begin an answer that never ends: a header line, byte by byte."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not until.wait(0.05):
            try:
                handler.wfile.write(b"z")
            except OSError:
                return

    return answer


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Ten megabytes of body."""
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(160):
            handler.wfile.write(b"x" * 65536)
    except OSError:
        pass


def garbage(handler: BaseHTTPRequestHandler) -> None:
    """Not HTTP."""
    handler.wfile.write(b"220 mail.example.org ESMTP\r\n")


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Close without a word."""
    handler.connection.shutdown(socket.SHUT_RDWR)


@dataclass
class Receiver:
    """``answers`` are used up one by one; after the last, 200."""

    port: int
    scheme: str = "http"
    received: list[Received] = field(default_factory=list)
    answers: list[Answering] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """An address of it."""
        return f"{self.scheme}://127.0.0.1:{self.port}/hooks/one?key=a%20b"

    @property
    def documents(self) -> list[dict[str, Any]]:
        """What came, parsed."""
        return [one.document for one in self.received]

    def wait_for(self, count: int, seconds: float = 20) -> list[Received]:
        """What came, once it is that much."""
        until(lambda: len(self.received) >= count, what=f"{count} requests", seconds=seconds)
        return self.received


@contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Listen on a free port of the loopback, until the end."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            receiver.received.append(Received(self.path, dict(self.headers.items()), body))
            answer = receiver.answers.pop(0) if receiver.answers else status(200)
            answer(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, *_: object) -> None:
            """A client that hangs up is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver = Receiver(server.server_address[1], "https" if context else "http")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="receiver")
    thread.start()
    try:
        yield receiver
    finally:
        receiver.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
