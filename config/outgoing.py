"""Asking somebody outside over HTTP: within one time limit, reading little, following nothing.

The limit is on the clock, from the look-up of the name to the last byte read, so that a server that sends one byte a
second holds nobody. No redirect is followed and no proxy of the environment is used. Where the address comes from, and
whether it may be asked at all, is for the caller to know: these are the addresses of the operator's configuration;
addresses that people give in the product go through ``registry.webhook_http``, which uses the same sockets.
"""

import io
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any, BinaryIO, Final, cast
from urllib.parse import urlsplit

AGENT: Final = "Countersign/1"
_BUFFER: Final = 4096
_PORTS: Final = {"http": 80, "https": 443}


class Unreachable(Exception):
    """No answer came, or none that can be read. The message says why, for people."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    type: str
    body: bytes


def ask(
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float = 10.0,
    most: int = 65536,
) -> Answer:
    """GET ``url``, or POST ``body`` to it. Raises ``Unreachable``, also for an answer longer than ``most`` bytes."""
    parts = urlsplit(url)
    host, scheme = parts.hostname or "", parts.scheme
    if scheme not in _PORTS or not host:
        raise Unreachable(f"{scheme or 'it'} is no address of http or https")
    ends = time.monotonic() + seconds
    connection: Timed | None = None
    try:
        connection = Timed(_connect(host, parts.port or _PORTS[scheme], scheme, ends), ends)
        connection.sendall(_request(parts.netloc, parts.path or "/", parts.query, body, headers or {}))
        return _answer(connection, "GET" if body is None else "POST", most)
    except TimeoutError as error:
        raise Unreachable(f"no answer within {seconds:g} seconds") from error
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(f"its certificate is not accepted: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise Unreachable(f"no TLS connection: {error.reason or error}") from error
    except OSError as error:
        raise Unreachable(f"no connection: {error.strerror or error}") from error
    except (HTTPException, ValueError) as error:
        raise Unreachable(f"it does not speak HTTP: {type(error).__name__}") from error
    finally:
        if connection is not None:
            connection.close()


def _connect(host: str, port: int, scheme: str, ends: float) -> socket.socket:
    last: OSError = ConnectionError("no address")
    for address in _addresses(host, port, ends):
        try:
            plain = socket.create_connection(address, timeout=left(ends))
        except OSError as error:
            last = error
            continue
        if scheme == "http":
            return plain
        try:
            plain.settimeout(left(ends))
            return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise
    raise last


def _addresses(host: str, port: int, ends: float) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    problem: list[Exception] = []

    def look_up() -> None:
        try:
            found.extend((str(one[4][0]), port) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            problem.append(error)

    # The system's resolver knows no time limit, so it is waited for from outside; a late answer is dropped.
    asking = threading.Thread(target=look_up, name="look-up", daemon=True)
    asking.start()
    asking.join(left(ends))
    if problem or asking.is_alive():
        raise Unreachable(f"the name {host} is not known: {problem[0] if problem else 'no answer in time'}")
    return list(dict.fromkeys(found))


def _request(netloc: str, path: str, query: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
    target = f"{path}?{query}" if query else path
    lines = [f"{'GET' if body is None else 'POST'} {target} HTTP/1.1", f"Host: {netloc.rpartition('@')[2]}"]
    lines += [f"User-Agent: {AGENT}", "Accept: */*", "Connection: close"]
    lines += [f"Content-Length: {len(body)}"] if body is not None else []
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (body or b"")


def _answer(connection: "Timed", method: str, most: int) -> Answer:
    response = HTTPResponse(cast("socket.socket", connection), method=method)
    try:
        response.begin()
        body = response.read(most + 1)
        if len(body) > most:
            raise Unreachable(f"its answer is longer than {most} bytes")
        return Answer(response.status, (response.headers.get_content_type() or ""), body)
    finally:
        response.close()


def left(ends: float) -> float:
    """The seconds until ``ends`` on the monotonic clock. Raises ``TimeoutError`` when there are none."""
    rest = ends - time.monotonic()
    if rest <= 0:
        raise TimeoutError
    return rest


class Timed:
    """A connected socket, of which each wait ends when the whole must."""

    def __init__(self, connected: socket.socket, ends: float) -> None:
        self._socket = connected
        self._ends = ends

    def sendall(self, content: bytes) -> None:
        """Send everything. Raises ``TimeoutError``."""
        rest = memoryview(content)
        while rest:
            self._socket.settimeout(left(self._ends))
            rest = rest[self._socket.send(rest) :]

    def makefile(self, _mode: str) -> BinaryIO:
        """What ``http.client`` reads from."""
        return cast("BinaryIO", io.BufferedReader(_Reader(self._socket, self._ends), _BUFFER))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


class _Reader(io.RawIOBase):
    def __init__(self, connected: socket.socket, ends: float) -> None:
        self._socket = connected
        self._ends = ends

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        self._socket.settimeout(left(self._ends))
        return self._socket.recv_into(buffer)
