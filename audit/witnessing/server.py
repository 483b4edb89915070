"""The shipped witness over HTTP, and its commands. Standard library and ``cryptography`` only: no Django, no database.

countersign witness-keygen --name example.com/witness --key witness.key --state state.json
countersign witness --key witness.key --state state.json --log-key <vkey or file> --listen 127.0.0.1:7070
"""

import argparse
import logging
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from audit.witnessing import files, protocol
from audit.witnessing.cosignatures import LOG_ED25519, BadKey, Verifier, parse_vkey
from audit.witnessing.files import FileProblem
from audit.witnessing.witness import TEXT, Answer, Witness, make_state

logger = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 64
IDLE_SECONDS: Final = 30
LONGEST_CONNECTION: Final = 120
_LATEST: Final = re.compile(r"/([0-9a-f]{64})/checkpoint")


class Handler(BaseHTTPRequestHandler):
    """One connection, kept alive between requests."""

    protocol_version = "HTTP/1.1"
    server_version = "countersign-witness"
    sys_version = ""
    timeout = IDLE_SECONDS
    wbufsize = -1  # head and body leave together
    disable_nagle_algorithm = True
    server: "Server"

    def do_GET(self) -> None:
        """A monitor's question, or whether we are there."""
        found = _LATEST.fullmatch(self.path)
        if found:
            self._answer(self.server.witness.latest(found[1]))
        elif self.path in {"/", "/health"}:
            self._answer(Answer(HTTPStatus.OK, f"{self.server.witness.cosigner.verifier}\n".encode()))
        else:
            self._answer(_plain(HTTPStatus.NOT_FOUND, "nothing is here"))

    def do_POST(self) -> None:
        """A log's."""
        if self.path != "/add-checkpoint":
            self._answer(_plain(HTTPStatus.NOT_FOUND, "nothing is here but add-checkpoint"), closing=True)
            return
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self._answer(_plain(HTTPStatus.LENGTH_REQUIRED, "say Content-Length"), closing=True)
        elif int(length[:12]) > protocol.LONGEST_REQUEST:
            why = f"more than {protocol.LONGEST_REQUEST} bytes"
            self._answer(_plain(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why), closing=True)
        else:
            body = self.rfile.read(int(length))
            if len(body) < int(length):
                self.close_connection = True
                return
            self._answer(self.server.witness.add_checkpoint(body))

    def _answer(self, answer: Answer, *, closing: bool = False) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.type)
        self.send_header("Content-Length", str(len(answer.body)))
        if closing:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(answer.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's
        """One line a request, with nothing in it that could forge another."""
        logger.info("%s %s", self.address_string(), (format % args).encode("ascii", "backslashreplace").decode())


class Server(ThreadingHTTPServer):
    """A thread for each connection, and a limit to them."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], witness: Witness) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.witness = witness
        self._open: dict[socket.socket, float] = {}
        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's
        """Take a place, or hang up: whoever is cut off asks again."""
        if len(self._open) >= MOST_AT_ONCE:
            self.shutdown_request(request)
            return
        self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's
        """Serve, then give the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.pop(request, None)

    def service_actions(self) -> None:
        """Several times a second: end the connections that were open long enough, however slowly they are used."""
        oldest = time.monotonic() - LONGEST_CONNECTION
        for request, since in list(self._open.items()):
            if since < oldest:
                with suppress(OSError):  # it has just ended by itself
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's
        """Somebody hung up, or it is a mistake of ours: say which."""
        error = sys.exc_info()[1]
        if isinstance(error, ConnectionError | TimeoutError):
            return
        logger.error("A request failed", exc_info=error)


def _plain(status: HTTPStatus, why: str) -> Answer:
    return Answer(status, f"{why}\n".encode(), TEXT)


def read_logs(given: Iterable[str]) -> list[Verifier]:
    """Read log keys: each a verifier key or a file of them, one a line. Raises ``FileProblem``."""
    logs: dict[str, Verifier] = {}
    for one in given:
        for line in _lines(one):
            try:
                verifier = parse_vkey(line)
            except BadKey as bad:
                raise FileProblem(f"--log-key {one[:80]}: {bad}") from bad
            if verifier.kind != LOG_ED25519:
                raise FileProblem(
                    f"--log-key {verifier.name}: a log signs with Ed25519 (type 01), not {verifier.kind:02x}"
                )
            if logs.setdefault(verifier.name, verifier) != verifier:
                raise FileProblem(f"--log-key: two keys for the one log {verifier.name}")
    if not logs:
        raise FileProblem("name at least one log with --log-key: a witness signs for logs it knows only")
    return list(logs.values())


def _lines(given: str) -> list[str]:
    path = Path(given)
    if "+" in given and not path.exists():
        return [given]
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileProblem(f"--log-key: cannot read {given}: {error}") from error
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def run(arguments: list[str]) -> int:
    """``countersign witness``: serve until SIGTERM. Exit code 1: it cannot, and says why."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
    try:
        witness = Witness.open(given.key, given.state, read_logs(given.log_key))
        server = Server(_address(given.listen), witness)
    except (FileProblem, OSError) as problem:
        print(f"countersign witness: {problem}", file=sys.stderr)  # noqa: T201 - a command
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    host, port = server.server_address[:2]
    logger.info(
        "Witness %s listens on %s:%s for %s", witness.cosigner.verifier, str(host), port, ", ".join(witness.logs)
    )
    with server:
        server.serve_forever(poll_interval=0.1)
    witness.close()
    return 0


def keygen(arguments: list[str]) -> int:
    """``countersign witness-keygen``: a key and an empty memory. Exit code 1: one of them is there already."""
    parser = argparse.ArgumentParser(prog="countersign witness-keygen", description=keygen.__doc__)
    parser.add_argument("--name", required=True, help="name of the witness, such as example.com/witness")
    parser.add_argument("--key", required=True, type=Path, help="file for the private key; the public one is beside it")
    parser.add_argument("--state", required=True, type=Path, help="file for what the witness remembers")
    parser.add_argument("--algorithm", choices=sorted(files.ALGORITHMS), default="ed25519")
    given = parser.parse_args(arguments)
    try:
        if given.state.exists():
            raise FileProblem(f"{given.state} exists: the memory of a witness is never replaced")
        cosigner = files.make_key(given.key, given.name, given.algorithm)
        given.state.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_state(given.state)
    except (FileProblem, OSError) as problem:
        print(f"countersign witness-keygen: {problem}", file=sys.stderr)  # noqa: T201 - a command
        return 1
    print(cosigner.verifier)  # noqa: T201 - a command
    return 0


def _parser() -> argparse.ArgumentParser:
    """Options; WITNESS_DIR, HOST and PORT of the environment stand in for those left out."""
    parser = argparse.ArgumentParser(prog="countersign witness", description="Cosign the heads of logs we know.")
    place = os.environ.get("WITNESS_DIR")
    files_of_ours: dict[str, Path | None] = {
        name: Path(place) / file if place else None for name, file in (("key", "witness.key"), ("state", "state.json"))
    }
    for name, default in files_of_ours.items():
        parser.add_argument(f"--{name}", type=Path, required=default is None, default=default, help=f"its {name} file")
    parser.add_argument(
        "--log-key", action="append", required=place is None, default=None,
        help="verifier key of a log to sign for, or a file of them, one a line; may be given again",
    )  # fmt: skip
    listen = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '7070')}"
    parser.add_argument("--listen", default=listen, help=f"address and port, {listen} if left out")
    if place:
        parser.set_defaults(log_key=[str(Path(place) / "logs")])
    return parser


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise FileProblem(f"--listen {listen}: say ADDRESS:PORT, such as 127.0.0.1:7070 or [::1]:7070")
    return host.strip("[]"), int(port)


def main(arguments: Sequence[str]) -> int:
    """For tests that start it without the command line of the house."""
    with suppress(KeyboardInterrupt):
        return run(list(arguments))
    return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
