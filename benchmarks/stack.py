"""A throw-away PostgreSQL with two servers on it: Countersign's web processes and a plain ``mlflow server``."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from pathlib import Path

import psycopg

from benchmarks.processes import cpu_seconds
from config.runtime import roles
from config.runtime.account import database_account
from config.runtime.ports import LOOPBACK, free_port
from config.runtime.postgres import Cluster, temporary_parent
from config.runtime.secretfiles import SecretFiles
from config.runtime.valkey import Broker
from config.waiting import until

ROOT = Path(__file__).resolve().parents[1]
WORKERS = 2
PEER = "peer"
_PROBE = "/api/2.0/mlflow/registered-models/search?max_results=1"
_START_SECONDS = 120.0
_POLL_SECONDS = 0.01


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Server:
    """A running HTTP server: where it listens, which process heads its tree, and what works for it beside it."""

    name: str
    host: str
    port: int
    pid: int
    database: int
    """The head of PostgreSQL's processes: what it spends while this server alone has work is spent for it."""
    headers: dict[str, str] = field(default_factory=dict)
    beside: tuple[int, ...] = ()
    settle: Callable[[], None] = _nothing
    """Returns when everything that the answered requests caused is done."""
    started: float = 0.0
    """Seconds from the start of its process to its first answer to a call of the registry."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The database cluster and the directory of a benchmark."""

    cluster: Cluster
    directory: Path

    @property
    def postmaster(self) -> int:
        """Process that heads PostgreSQL."""
        assert self.cluster.process is not None
        return self.cluster.process.pid

    def owner(self, database: str = roles.DATABASE) -> "psycopg.Connection[tuple[object, ...]]":
        """A connection as the owner of the tables; every statement is a transaction of its own."""
        return psycopg.connect(self.cluster.url(roles.OWNER, database), autocommit=True)


def prepare_django(cluster: Cluster, parent: Path) -> None:
    """Set this process's environment, migrate as owner and load Django, so that benchmarks can use the services."""
    os.environ.update(
        cluster.urls(),
        DATA_DIR=str(parent / "data"),
        SECRET_KEY=secrets.token_urlsafe(48),
        TRACKING_SECRET=secrets.token_urlsafe(24),
        DATABASE_ROLE="owner",
        DJANGO_SETTINGS_MODULE="config.settings.prod",
        LOG_FORMAT="json",
    )
    os.environ.pop("TRACKING_DATABASE_URL", None)
    for command in (["ensure_keys"], ["setup_database"], ["collectstatic", "--noinput", "--verbosity", "0"]):
        subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    import django

    django.setup()


@contextmanager
def database() -> Iterator[Machine]:
    """A cluster with durable settings (fsync on: both servers pay for it), removed at the end; Django is loaded."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    parent = temporary_parent(database_account())
    cluster = Cluster(parent / "postgres", SecretFiles(parent / "secrets"), durable=True)
    try:
        cluster.initialise()
        cluster.start(parent / "postgres.log")
        cluster.set_up_roles()
        prepare_django(cluster, parent)
        yield Machine(cluster, parent)
    finally:
        cluster.stop()
        shutil.rmtree(parent)


@contextmanager
def process(
    machine: Machine, name: str, command: list[str], env: dict[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process whose output goes to a file of the benchmark; ended with the block."""
    with _log(machine, name).open("ab") as log:
        started = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(30)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextmanager
def countersign(machine: Machine, token: str, *, workers: int = WORKERS) -> Iterator[Server]:
    """Our web processes as the supervisor starts them, as the runtime role."""
    port = free_port()
    env = {**os.environ, "DATABASE_ROLE": "app", "PORT": str(port), "HOST": LOOPBACK, "WEB_WORKERS": str(workers)}
    headers = {"Authorization": f"Bearer {token}"}
    command = [sys.executable, "-m", "gunicorn", "--config", "python:config.runtime.gunicorn_web"]
    with _server(machine, "countersign", command, port=port, env=env, headers=headers) as server:
        yield server


@contextmanager
def mlflow(machine: Machine, *, workers: int = WORKERS) -> Iterator[Server]:
    """``mlflow server`` with uvicorn, its default, on a database of its own in the same cluster.

    Telemetry and the job runner are off: what it would spend on them is no part of the registry.
    """
    with machine.cluster.connect() as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [PEER]).fetchone():
            connection.execute(f"CREATE DATABASE {PEER} OWNER {roles.OWNER}")
    port = free_port()
    uri = machine.cluster.url(roles.OWNER, PEER, driver="psycopg")
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--host", LOOPBACK),
        *("--port", str(port), "--workers", str(workers)),
        *("--artifacts-destination", str(machine.directory / PEER)),
    ]
    env = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    name = f"mlflow server, {workers} worker{'s' * (workers > 1)}"
    with _server(machine, name, command, port=port, env=env, headers={}) as server:
        yield server


@contextmanager
def sequencer(machine: Machine) -> Iterator[int]:
    """Our sequencer with its followers, and the broker that they ring; the sequencer's pid. Before the web processes."""
    broker = Broker(machine.directory / "broker", SecretFiles(machine.directory / "secrets"))
    broker.configure()
    os.environ["BROKER_URL"] = broker.url
    env = {**os.environ, "DATABASE_ROLE": "sequencer"}
    with (
        process(machine, "broker", broker.command(), dict(os.environ)),
        process(machine, "sequencer", [sys.executable, "manage.py", "sequence"], env) as started,
    ):
        _until(broker.is_ready, "the broker")
        settled(machine)
        yield started.pid


def settled(machine: Machine) -> None:
    """Return when every change is in the ledger and every follower has read it."""
    with machine.owner() as connection:

        def is_settled() -> bool:
            row = connection.execute(
                """
                SELECT NOT EXISTS (SELECT 1 FROM audit_inbox)
                   AND NOT EXISTS (SELECT 1 FROM audit_cursor
                                   WHERE next_index <= (SELECT max("index") FROM audit_entry))
                """
            ).fetchone()
            return row is not None and bool(row[0])

        _until(is_settled, "the sequencer", every=0.05, patience=600)


def with_sequencer(machine: Machine, server: Server, pid: int) -> Server:
    """Our server with what works beside it, which is waited for and counted."""
    return replace(server, beside=(pid,), settle=lambda: settled(machine))


def start_up_cpu(server: Server) -> float:
    """CPU seconds of the server's tree once it has come to rest after its start."""
    spent = [0.0]

    def rests() -> bool:
        spent.append(cpu_seconds([server.pid])[server.pid])
        return len(spent) > 2 and spent[-1] - spent[-2] <= 0.02

    if not until(rests, seconds=_START_SECONDS, every=1.0):
        raise RuntimeError(f"{server.name} did not come to rest in {_START_SECONDS:.0f} seconds")
    return spent[-1]


@contextmanager
def _server(
    machine: Machine, name: str, command: list[str], *, port: int, env: dict[str, str], headers: dict[str, str]
) -> Iterator[Server]:
    began = time.monotonic()
    with process(machine, name, command, env) as started:

        def answers() -> bool:
            if started.poll() is not None:
                told = _log(machine, name).read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{name} ended with code {started.returncode} while starting:\n{told}")
            return _status(port, headers) == 200

        _until(answers, name, every=_POLL_SECONDS)
        yield Server(name, LOOPBACK, port, started.pid, machine.postmaster, headers, started=time.monotonic() - began)


def _log(machine: Machine, name: str) -> Path:
    return machine.directory / f"{name.replace(',', '').replace(' ', '-')}.log"


def _status(port: int, headers: dict[str, str]) -> int:
    connection = HTTPConnection(LOOPBACK, port, timeout=10)
    try:
        connection.request("GET", _PROBE, headers=headers)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def _until(done: Callable[[], bool], what: str, *, every: float = 0.1, patience: float = _START_SECONDS) -> None:
    if not until(done, seconds=patience, every=every):
        raise RuntimeError(f"{what} was not ready in {patience:.0f} seconds")
