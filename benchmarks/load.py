"""Load that costs little itself: prebuilt bytes over kept-alive sockets, one thread, one ``epoll`` loop.

The client shares the machine with what it measures. A request costs it some twenty microseconds, where
``http.client`` in threads takes several hundred and a fight for the interpreter lock. Any answer but 200 is a failure.
"""

import gc
import json
import select
import socket
import statistics
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from benchmarks.processes import cpu_seconds
from benchmarks.stack import Server

_HEAD_END: Final = b"\r\n\r\n"
_LAST_CHUNK: Final = b"\r\n0\r\n\r\n"
_PATIENCE: Final = 300.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: requests, their rate, percentiles in milliseconds, CPU milliseconds per request by tree."""

    requests: int
    rate: float
    p50: float
    p99: float
    cpu: float
    beside: float
    database: float

    @property
    def total(self) -> float:
        """CPU of the server and of what runs beside it."""
        return self.cpu + self.beside


def encode(server: Server, method: str, path: str, fields: dict[str, Any] | None = None) -> bytes:
    """A request as bytes: ``fields`` go into the query of a GET and into the JSON body of anything else."""
    head = {"Host": f"{server.host}:{server.port}", "Accept": "*/*", **server.headers}
    body = b""
    if fields and method == "GET":
        path += "?" + urlencode(fields)
    elif fields is not None:
        body = json.dumps(fields).encode()
        head |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
    return "\r\n".join(lines).encode() + _HEAD_END + body


class _Connection:
    """One kept-alive connection and the requests that go over it, one after the other."""

    def __init__(self, server: Server, requests: Sequence[bytes]) -> None:
        self._server = server
        self._requests: Iterator[bytes] = iter(requests)
        self.socket = self._connect()
        self._request = b""
        self._answer = bytearray()
        self._expected = 0  # bytes of the whole answer; 0: the head is not here yet, -1: it comes in chunks
        self._began = 0.0
        self._closing = False

    def _connect(self) -> socket.socket:
        made = socket.create_connection((self._server.host, self._server.port), timeout=_PATIENCE)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The kernel's own timeout: with Python's, every call would be two.
        made.settimeout(None)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(_PATIENCE), 0))
        return made

    def send(self) -> bool:
        """Send the next request; say whether there was one."""
        request = next(self._requests, None)
        if request is None:
            return False
        self._request = request
        self._answer.clear()
        self._expected = 0
        self._began = time.perf_counter()
        if self._closing:
            self.socket.close()
            self.socket, self._closing = self._connect(), False
        self.socket.sendall(request)
        return True

    def receive(self) -> float | None:
        """Take what has come. Milliseconds since the request was sent, once the answer is whole.

        Raises:
            RuntimeError: the answer is not 200, or the server hung up.

        """
        data = self.socket.recv(1 << 20)
        self._answer += data
        if not data:
            raise RuntimeError(f"{self._server.name} hung up on {self._named()}")
        if self._expected == 0 and (end := self._answer.find(_HEAD_END)) >= 0:
            self._expected = self._size(bytes(self._answer[:end]).lower(), end + len(_HEAD_END))
        whole = self._answer.endswith(_LAST_CHUNK) if self._expected < 0 else len(self._answer) >= self._expected > 0
        if not whole:
            return None
        took = (time.perf_counter() - self._began) * 1000
        if self._answer[9:12] != b"200":
            raise RuntimeError(f"{self._server.name}: {self._named()} answered {bytes(self._answer[9:800])!r}")
        return took

    def body(self) -> bytes:
        """The body of the answer that is whole."""
        return bytes(self._answer).partition(_HEAD_END)[2]

    def _size(self, head: bytes, start: int) -> int:
        self._closing = b"\r\nconnection: close" in head
        if b"\r\ntransfer-encoding: chunked" in head:
            return -1
        return start + int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0] or 0)

    def _named(self) -> str:
        return self._request.partition(b" HTTP/")[0].decode()


def ask(server: Server, request: bytes) -> dict[str, Any]:
    """The JSON answer to one request over a connection of its own. Raises ``RuntimeError`` unless it is a 200."""
    return ask_timed(server, request)[0]


def ask_timed(server: Server, request: bytes) -> tuple[dict[str, Any], float]:
    """As ``ask``, with the seconds until the answer was whole, before it was read."""
    connection = _Connection(server, [request])
    try:
        connection.send()
        while (took := connection.receive()) is None:
            pass
        answer: dict[str, Any] = json.loads(connection.body())
    finally:
        connection.socket.close()
    return answer, took / 1000


def run(server: Server, scripts: Sequence[Sequence[bytes]], *, seconds: float = 60.0) -> Measured:
    """Send each script over a connection of its own, all at once; after ``seconds`` no more is sent.

    What the server's companions still have to do when the last answer is in counts as theirs.

    Raises:
        RuntimeError: the server answered with anything but 200.

    """
    connections = [_Connection(server, script) for script in scripts]
    trees = (server.pid, *server.beside, server.database)
    gc.collect()
    gc.disable()
    try:
        before = cpu_seconds(trees)
        began = time.perf_counter()
        times = _drive(connections, began + seconds)
        elapsed = time.perf_counter() - began
        server.settle()
        after = cpu_seconds(trees)
    finally:
        gc.enable()
        for connection in connections:
            connection.socket.close()
    spent = {pid: (after[pid] - before[pid]) * 1000 / len(times) for pid in trees}
    times.sort()
    return Measured(
        requests=len(times),
        rate=len(times) / elapsed,
        p50=statistics.median(times),
        p99=times[int(len(times) * 0.99)],
        cpu=spent[server.pid],
        beside=sum(spent[pid] for pid in server.beside),
        database=spent[server.database],
    )


def _drive(connections: Sequence[_Connection], until: float) -> list[float]:
    times: list[float] = []
    active = {connection.socket.fileno(): connection for connection in connections if connection.send()}
    with select.epoll() as poll:
        for number in active:
            poll.register(number, select.EPOLLIN)
        while active:
            ready = poll.poll(_PATIENCE)
            if not ready:
                raise RuntimeError(f"no answer in {_PATIENCE:.0f} seconds")
            for number, _ in ready:
                connection = active[number]
                took = connection.receive()
                if took is None:
                    continue
                times.append(took)
                poll.unregister(number)
                del active[number]
                if time.perf_counter() < until and connection.send():
                    active[connection.socket.fileno()] = connection
                    poll.register(connection.socket, select.EPOLLIN)
    return times
