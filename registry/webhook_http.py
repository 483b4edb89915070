"""Sending one request to a stranger: to an address that was examined, within one time limit, reading little.

No redirect is followed, no proxy of the environment is used, nothing of the answer is trusted. The limit is on the clock,
from the look-up of the name to the last byte read: a receiver that sends one byte a second does not hold a worker.
"""

import base64
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any, Final, cast

from config.outgoing import Timed, left
from registry.webhook_address import Address, Target, why_not_any

MOST_READ: Final = 4096
AGENT: Final = "Countersign-Webhooks/1"
Resolve = Callable[[str, int], Sequence[Any]]


class Undeliverable(Exception):
    """No answer came. ``down``: nobody there at all, so what waits behind need not be tried now."""

    def __init__(self, reason: str, *, down: bool = True) -> None:
        super().__init__(reason)
        self.down = down


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said: the status, the beginning of the body, and when it wants to be asked again."""

    status: int
    body: str
    retry_after: int | None


def look_up(host: str, port: int) -> Sequence[Any]:
    """The addresses of a host, as the system knows them."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def post(
    target: Target, *, body: bytes, headers: Mapping[str, str], seconds: float, resolve: Resolve = look_up
) -> Answer:
    """POST ``body`` to ``target``. Raises ``Undeliverable`` with a reason for people."""
    ends = time.monotonic() + seconds
    addresses = _addresses(target, resolve, ends)
    connection: Timed | None = None
    try:
        connection = Timed(_connect(target, addresses, ends), ends)
        connection.sendall(_request(target, body, headers))
        return _answer(connection)
    except TimeoutError as error:
        raise Undeliverable(f"No answer within {seconds:g} seconds.") from error
    except ssl.SSLCertVerificationError as error:
        raise Undeliverable(f"Its certificate is not accepted: {error.verify_message}.") from error
    except ssl.SSLError as error:
        raise Undeliverable(f"No TLS connection: {error.reason or error}.") from error
    except OSError as error:  # also http.client's RemoteDisconnected, which is both
        raise Undeliverable(f"No connection: {error.strerror or error}.") from error
    except HTTPException as error:
        raise Undeliverable(f"It does not speak HTTP: {type(error).__name__}.", down=False) from error
    finally:
        if connection is not None:
            connection.close()


def _addresses(target: Target, resolve: Resolve, ends: float) -> list[Address]:
    """Look the host up once, and examine every address found."""
    found: list[Any] = []
    problem: list[Exception] = []

    def ask() -> None:
        try:
            found.extend(resolve(target.host, target.port))
        except (OSError, UnicodeError) as error:
            problem.append(error)

    # The system's resolver knows no time limit, so it is waited for from outside; a late answer is dropped.
    asking = threading.Thread(target=ask, name="webhook-look-up", daemon=True)
    asking.start()
    asking.join(max(ends - time.monotonic(), 0))
    if asking.is_alive():
        raise Undeliverable(f"The name {target.host} was not found in time.")
    if problem or not found:
        why = getattr(problem[0], "strerror", None) if problem else None
        raise Undeliverable(f"The name {target.host} is not known: {why or 'no address'}.")
    try:
        addresses = list(dict.fromkeys(ipaddress.ip_address(one[4][0].partition("%")[0]) for one in found))
    except ValueError as error:
        raise Undeliverable(f"The name {target.host} has an address that is none.") from error
    if why_not := why_not_any(addresses, target.scheme):
        raise Undeliverable(f"Not sent: the address {why_not}.")
    return addresses


def _connect(target: Target, addresses: Sequence[Address], ends: float) -> socket.socket:
    """Connect to the first address that takes it: to the number, never again to the name."""
    last: OSError = ConnectionError("no address")
    for address in addresses:
        try:
            plain = socket.create_connection((str(address), target.port), timeout=left(ends))
        except OSError as error:
            last = error
            continue
        if target.scheme == "http":
            return plain
        try:
            plain.settimeout(left(ends))
            return ssl.create_default_context().wrap_socket(plain, server_hostname=target.host)
        except BaseException:
            plain.close()
            raise
    raise last


def _request(target: Target, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"Host: {target.authority}",
        f"User-Agent: {AGENT}",
        f"Content-Length: {len(body)}",
        "Accept: */*",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if target.userinfo:
        lines.append(f"Authorization: Basic {base64.b64encode(target.userinfo.encode()).decode()}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _answer(connection: Timed) -> Answer:
    response = HTTPResponse(cast("socket.socket", connection), method="POST")
    try:
        response.begin()
        wait = response.headers.get("Retry-After", "").strip()
        read = _beginning(response)
        return Answer(
            status=response.status,
            body=read.decode("utf-8", "replace").replace("\x00", "\ufffd"),
            retry_after=int(wait) if wait.isascii() and wait.isdigit() and len(wait) < 7 else None,
        )
    finally:
        response.close()


def _beginning(response: HTTPResponse) -> bytes:
    """The first bytes of the body. Once there is a status, a body that breaks off changes nothing."""
    read = b""
    try:
        while len(read) < MOST_READ and (more := response.read1(MOST_READ - len(read))):
            read += more
    except (OSError, HTTPException):
        pass
    return read
