"""Large artifacts pass our door and the tracking process in pieces, and an upload that breaks off leaves nothing.

``STREAMED_BYTES=1073741824`` does it with a gigabyte; the numbers are printed with ``-s``.
"""

import hashlib
import http.client
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from config.runtime.ports import LOOPBACK
from tests.conformance.mlflow.conftest import Person
from tests.conformance.mlflow.existing import mlflow_server
from tests.conformance.mlflow.tracking import SECRET, tracking_process
from tests.conformance.mlflow.web import web_processes
from tests.runtime.processes import descendants
from tests.waiting import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

MIB: Final = 2**20
SIZE: Final = int(os.environ.get("STREAMED_BYTES", 200 * MIB))
PIECE: Final = MIB
MOST: Final = 24 * MIB
"""What a process may grow by, at its peak, while bytes pass. A copy in memory would be ``SIZE``."""
FILES: Final = "/api/2.0/mlflow-artifacts/artifacts"


@dataclass(frozen=True)
class Place:
    """A web process and a tracking process of one thread each: what is asked after something is answered after it."""

    port: int
    workers: dict[str, list[int]]
    token: str
    artifacts: Path

    def headers(self, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", **more}

    def files(self, path: str) -> list[str]:
        with closing(http.client.HTTPConnection(LOOPBACK, self.port, timeout=60)) as session:
            session.request("GET", f"{FILES}?path={path}", headers=self.headers())
            answer = session.getresponse()
            told = json.loads(answer.read())
            assert answer.status == 200, told
            return [file["path"] for file in told.get("files", [])]


@pytest.fixture
def place(ada: Person, tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "tracking").mkdir()
    (tmp_path / "web").mkdir()
    with tracking_process(tmp_path / "tracking", "mlflow_streaming", {"TRACKING_THREADS": "1"}) as tracking_url:
        more = {"TRACKING_URL": tracking_url, "TRACKING_SECRET": SECRET, "WEB_WORKERS": "1", "WEB_THREADS": "1"}
        with web_processes(tmp_path / "web", more) as web:
            ours = descendants(os.getpid())
            workers = {
                name: [pid for pid in ours if f"gunicorn_{name}" in command(pid)] for name in ("web", "tracking")
            }
            assert all(workers.values())
            yield Place(web.port, workers, ada.token, tmp_path / "tracking" / "tracking-artifacts")


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")


def content() -> Iterator[bytes]:
    """``SIZE`` bytes that do not repeat."""
    for number in range(SIZE // PIECE):
        yield hashlib.sha256(str(number).encode()).digest() * (PIECE // 32)


def peak(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5): reset the peak resident set size to the present one


def upload(place: Place, path: str, *, chunked: bool, pieces: Iterator[bytes], length: int) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(LOOPBACK, place.port, timeout=600)) as session:
        headers = place.headers() if chunked else place.headers(**{"Content-Length": str(length)})
        session.request("PUT", f"{FILES}/{path}", body=pieces, headers=headers, encode_chunked=chunked)
        answer = session.getresponse()
        return answer.status, answer.read()


def download(place: Place, path: str) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with closing(http.client.HTTPConnection(LOOPBACK, place.port, timeout=600)) as session:
        session.request("GET", f"{FILES}/{path}", headers=place.headers())
        answer = session.getresponse()
        assert answer.status == 200
        while piece := answer.read(PIECE):
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()


@pytest.mark.timeout(1800)
def test_a_large_artifact_goes_up_and_down_without_growth(place: Place) -> None:
    warm = b"x" * MIB
    assert upload(place, "0/warm", chunked=False, pieces=iter([warm]), length=MIB)[0] == 200
    assert download(place, "0/warm")[0] == MIB
    expected = hashlib.sha256()
    for piece in content():
        expected.update(piece)
    before = {}
    for pids in place.workers.values():
        for pid in pids:
            forget_peak(pid)
            before[pid] = peak(pid)
    took = {}
    for chunked in (False, True):
        started = time.monotonic()
        said = upload(place, f"0/large-{chunked}", chunked=chunked, pieces=content(), length=SIZE)
        assert said[0] == 200, said
        took[f"up, chunked={chunked}"] = time.monotonic() - started
    started = time.monotonic()
    assert download(place, "0/large-False") == (SIZE, expected.hexdigest())
    took["down"] = time.monotonic() - started
    assert download(place, "0/large-True")[1] == expected.hexdigest()
    grown = {name: max(peak(pid) - before[pid] for pid in pids) for name, pids in place.workers.items()}
    figures = [f"{name}: {seconds:.1f} s, {SIZE / MIB / seconds:.0f} MiB/s" for name, seconds in took.items()]
    figures += [f"{name} grew by {size / MIB:.1f} MiB at its peak, of {SIZE / MIB:.0f}" for name, size in grown.items()]
    print("\n".join(figures))  # noqa: T201 - the numbers, with -s
    assert all(size < MOST for size in grown.values()), grown


@pytest.fixture
def existing(ada: Person, tmp_path: Path) -> Iterator[Place]:
    """A web process of one thread, before a plain MLflow server."""
    (tmp_path / "web").mkdir()
    with mlflow_server(tmp_path) as url:
        more = {"MLFLOW_TRACKING_URI": url, "WEB_WORKERS": "1", "WEB_THREADS": "1"}
        with web_processes(tmp_path / "web", more) as web:
            yield Place(web.port, {}, ada.token, tmp_path / "artifacts")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("before", ["place", "existing"])
def test_an_upload_that_breaks_off_leaves_nothing(request: pytest.FixtureRequest, before: str, chunked: bool) -> None:
    place: Place = request.getfixturevalue(before)
    assert upload(place, "0/model/kept", chunked=chunked, pieces=iter([b"whole"]), length=5)[0] == 200
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {50 * MIB}"
    piece = b"x" * MIB
    for path in ("0/model/broken", "0/model/kept"):
        with socket.create_connection((LOOPBACK, place.port)) as connection:
            connection.sendall(
                f"PUT {FILES}/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {place.token}\r\n"
                f"{framing}\r\n\r\n".encode()
            )
            for _ in range(5):
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
    assert place.files("0/model") == ["kept"]
    assert download(place, "0/model/kept") == (5, hashlib.sha256(b"whole").hexdigest())

    def tidy() -> bool:
        return [path.name for path in place.artifacts.rglob("*") if path.is_file()] == ["kept"]

    until(tidy, what="what was begun to be removed", seconds=20)
