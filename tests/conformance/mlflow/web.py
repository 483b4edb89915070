"""Real web processes on the test's database, as the supervisor starts them, and many clients at once."""

import http.client
import json
import os
import secrets
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.db import connection

from config.runtime.ports import LOOPBACK, free_port
from tests.serving import serving

API: Final = "/api/2.0/mlflow"
CLIENTS: Final = 64


@dataclass(frozen=True, slots=True)
class Call:
    """One request: method, path below the protocol's prefix, body."""

    method: str
    path: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and the id under which the ledger knows the request."""

    call: Call
    request_id: str
    status: int
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def error(self) -> str:
        return str(self.body.get("error_code", ""))


@dataclass(frozen=True, slots=True)
class Web:
    """Running web processes."""

    port: int
    pid: int = 0

    def send(self, token: str, calls: Sequence[Call], *, clients: int = CLIENTS) -> list[Answer]:
        """Send the calls from so many clients at once, each over a connection of its own; answers in the same order."""
        answers: list[Answer | None] = [None] * len(calls)
        storm = secrets.token_hex(4)
        begin = threading.Barrier(clients)
        problems: list[BaseException] = []

        def ask(client: int) -> None:
            with closing(http.client.HTTPConnection(LOOPBACK, self.port, timeout=120)) as session:
                session.connect()
                begin.wait(60)
                for place in range(client, len(calls), clients):
                    answers[place] = _ask(session, token, calls[place], f"{storm}-{place}")

        def work(client: int) -> None:
            try:
                ask(client)
            except BaseException as problem:  # noqa: BLE001 - told by the test's own thread
                problems.append(problem)
                begin.abort()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if problems:
            raise problems[0]
        return [answer for answer in answers if answer is not None]


def _ask(session: http.client.HTTPConnection, token: str, call: Call, request_id: str) -> Answer:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "X-Request-Id": request_id}
    session.request(call.method, f"{API}/{call.path}", json.dumps(call.body), headers)
    response = session.getresponse()
    text = response.read()
    told = json.loads(text) if response.headers.get_content_type() == "application/json" else {"text": str(text[:500])}
    return Answer(call, request_id, response.status, told)


@contextmanager
def web_processes(data_dir: Path, more: Mapping[str, str] | None = None) -> Iterator[Web]:
    """Two processes of eight threads on the database of this test run, signed in as the runtime role."""
    port = free_port()
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(data_dir),
        "HOST": LOOPBACK,
        "PORT": str(port),
        "DATA_DIR": str(data_dir),
        "SECRET_KEY": secrets.token_urlsafe(48),
        "TRACKING_SECRET": secrets.token_urlsafe(24),
        "DATABASE_URL": database,
        "DATABASE_ROLE": "app",
        "DJANGO_SETTINGS_MODULE": "config.settings.prod",
        **(more or {}),
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "python:config.runtime.gunicorn_web"]
    where = f"http://{LOOPBACK}:{port}/version"
    with serving(command, where, environment=environment, log=data_dir / "web.log") as pid:
        yield Web(port, pid)
