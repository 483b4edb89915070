"""Puts the pieces together: one DATA_DIR, its database and broker, and the services of ``services.py`` over them."""

import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

from config.runtime import probes, roles
from config.runtime.children import spawn
from config.runtime.errors import RuntimeProblem
from config.runtime.journal import Journal
from config.runtime.ports import LOOPBACK, free_port, refuse_taken_port
from config.runtime.postgres import STOP_SIGNAL, Cluster
from config.runtime.secretfiles import SecretFiles
from config.runtime.services import (
    EXISTING_SERVER,
    PREPARE,
    PREPARE_FIXED,
    PREPARE_VARIABLES,
    SERVICES,
    STOP_ORDER,
    WITNESSES,
    Probe,
    Service,
    environment,
    services,
)
from config.runtime.state import StateDirectory
from config.runtime.supervisor import Interrupted, Supervisor, Unit
from config.runtime.valkey import Broker

ROOT: Final = Path(__file__).resolve().parents[2]
_PREVIOUS_INSTANCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the person who starts an installation decides, by environment variables."""

    data_dir: Path
    host: str
    port: int
    public_url: str

    @classmethod
    def read(cls, given: Mapping[str, str]) -> "Options":
        """Read DATA_DIR, HOST, PORT and PUBLIC_URL. Raises ``RuntimeProblem`` naming the bad one."""
        host = given.get("HOST") or LOOPBACK
        port = _port(given, "PORT", 8000)
        shown = f"[{host}]" if ":" in host else {"0.0.0.0": LOOPBACK}.get(host, host)  # noqa: S104 - no bind here
        public_url = (given.get("PUBLIC_URL") or f"http://{shown}:{port}").rstrip("/")
        if urlsplit(public_url).scheme not in {"http", "https"} or not urlsplit(public_url).hostname:
            raise RuntimeProblem(f"PUBLIC_URL={public_url} must be an address like https://models.example.org")
        return cls(Path(given.get("DATA_DIR") or "var").resolve(), host, port, public_url)


def _port(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name) or str(default)
    if not text.isdigit() or int(text) > 65535:
        raise RuntimeProblem(f"{name}={text} must be a port number between 1 and 65535.")
    return int(text)


def source_word(indexes: str) -> str:
    """What every process may know of the worker's package indexes: that they are these. A new password is no new place."""
    bare = re.sub(r"//[^/@,]*@", "//", indexes)
    return hashlib.sha256(bare.encode()).hexdigest()[:16] if bare else ""


class Installation:
    """An embedded installation that can be run, and whose processes get exactly what services.py says."""

    def __init__(self, options: Options, surroundings: Mapping[str, str]) -> None:
        self.options = options
        self.state = StateDirectory(options.data_dir)
        self._surroundings = surroundings
        self.secrets = SecretFiles(options.data_dir / "secrets")

    def run(self, *, demo: Sequence[str] | None = None) -> int:
        """Start everything and keep it running until Ctrl-C or SIGTERM; with ``demo``, run the demonstration in it.

        Returns the exit code. With ``--once`` in ``demo`` everything stops after it and its code is returned.
        Whatever happens, everything started here is ended before this returns.
        Raises ``RuntimeProblem`` when something cannot start.
        """
        self.state.create()
        with self.state.locked():
            refuse_taken_port(self.options.host, self.options.port, variable="PORT")
            journal = Journal(self.state.path / "logs")
            supervisor = Supervisor(journal, self._publish)
            supervisor.listen_to_signals()
            code = 0
            try:
                values = self._start(supervisor)
                if demo is not None:
                    code = self._demonstrate(supervisor, values, demo)
                if demo is None or "--once" not in demo:
                    journal.say(f"Countersign runs at {self.options.public_url} (stop it with Ctrl-C or `make down`)")
                    first = self.state.path / "secrets" / "admin-password"
                    if demo is None and first.exists():
                        journal.say(
                            f"Sign in as admin; the password is in {first}. Make accounts for others under /admin/."
                        )
                    supervisor.run()
            except Interrupted:
                code = 130 if demo is not None else 0
            finally:
                supervisor.shut_down(STOP_ORDER)
                supervisor.close()
                journal.say("everything has stopped")
                journal.close()
            return code

    def _start(self, supervisor: Supervisor) -> dict[str, str]:
        journal = supervisor.journal
        journal.say(f"state is kept in {self.state.path}")
        port = _port(self._surroundings, "PG_PORT", 0) or None
        cluster = Cluster(self.state.path / "postgres", self.secrets, port=port)
        if cluster.directory != self.state.path / "postgres":
            journal.say(f"the database is kept in {cluster.directory}, because its user cannot enter {self.state.path}")
        _await_previous_instance(cluster, supervisor)
        if cluster.initialise():
            journal.say("created a new database cluster")
        supervisor.start(self._database(cluster))
        cluster.set_up_roles()
        broker = Broker(
            self.state.path / "broker", self.secrets, port=_port(self._surroundings, "BROKER_PORT", 0) or None
        )
        broker.configure()
        supervisor.start(self._broker(broker))
        values = self.values(cluster, broker)
        self._prepare(supervisor, values)
        if values.get(EXISTING_SERVER):
            journal.say(f"runs and artifacts are kept by the MLflow server at {values[EXISTING_SERVER]}")
        for service in services(values):
            supervisor.start(self._unit(service, values, cluster, broker, journal))
        return values

    def values(self, cluster: Cluster, broker: Broker) -> dict[str, str]:
        """Return every variable any process may get; services.py says who gets which."""
        tracking_port = _port(self._surroundings, "TRACKING_PORT", 0) or free_port()
        known = PREPARE_VARIABLES.union(*(service.variables for service in SERVICES))
        passed_on = {name: self._surroundings[name] for name in known if name in self._surroundings}
        passed_on.setdefault("SANDBOX_SOURCE", source_word(passed_on.get("SANDBOX_INDEXES", "")))
        return {
            **passed_on,
            "DJANGO_SETTINGS_MODULE": "config.settings.prod",
            **cluster.urls(),
            "DATA_DIR": str(self.state.path),
            "HOST": self.options.host,
            "PORT": str(self.options.port),
            "PUBLIC_URL": self.options.public_url,
            "SECRET_KEY": self.secrets.get("secret-key"),
            "BROKER_URL": broker.url,
            "TRACKING_SECRET": self.secrets.get("tracking-secret"),
            **self._signers(),
            "TRACKING_URL": f"http://{LOOPBACK}:{tracking_port}",
            "WITNESS_URLS": ",".join(f"http://{LOOPBACK}:{port}" for port in self._witness_ports()),
        }

    def _witness_ports(self) -> list[int]:
        """One for each witness that comes along: those of WITNESS_PORTS, or free ones."""
        given = [part.strip() for part in self._surroundings.get("WITNESS_PORTS", "").split(",") if part.strip()]
        if not given:
            return [free_port() for _ in WITNESSES]
        if len(given) != len(WITNESSES) or not all(part.isdigit() and 0 < int(part) < 65536 for part in given):
            raise RuntimeProblem(f"WITNESS_PORTS must be {len(WITNESSES)} port numbers with a comma between them.")
        return [int(part) for part in given]

    def _signers(self) -> dict[str, str]:
        """Where the keys of permits' two signers are: apart from each other and from KEYS_DIR, unless one says otherwise."""
        kept = self.state.path / "secrets"
        made = {
            "PERMIT_ISSUER_KEY": kept / "permit-issuer" / "key.pem",
            "PERMIT_COUNTERSIGNER_KEY": kept / "permit-countersigner" / "key.pem",
        }
        return {name: self._surroundings.get(name) or str(path) for name, path in made.items()}

    def _database(self, cluster: Cluster) -> Unit:
        def launch(output: IO[bytes] | int) -> "subprocess.Popen[bytes]":
            cluster.clear_leftovers()
            return cluster.spawn(output)

        # SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one.
        return Unit("database", launch, cluster.answers, stop=STOP_SIGNAL, patience=30.0, orphan_grace=60.0)

    def _broker(self, broker: Broker) -> Unit:
        env = environment(frozenset(), {}, {}, self._surroundings)
        return Unit("broker", lambda output: spawn(broker.command(), env=env, output=output), broker.is_ready)

    def _prepare(self, supervisor: Supervisor, values: Mapping[str, str]) -> None:
        env = environment(PREPARE_VARIABLES, PREPARE_FIXED, values, self._surroundings)
        for command in PREPARE:
            started = time.monotonic()
            code = supervisor.run_to_end("migrate", partial(_python, command, env))
            if code != 0:
                told = supervisor.journal.last_words("migrate")
                raise RuntimeProblem(f"`{' '.join(command)}` failed with code {code}: {told}")
            supervisor.journal.say(f"{command[2]}: done in {time.monotonic() - started:.1f} s")

    def _unit(
        self, service: Service, values: Mapping[str, str], cluster: Cluster, broker: Broker, journal: Journal
    ) -> Unit:
        own = dict(values)
        if service.name == "tracking":  # its own address; the web processes know it as TRACKING_URL
            address = urlsplit(values["TRACKING_URL"])
            own |= {"HOST": str(address.hostname), "PORT": str(address.port)}
        kind, _, name = service.name.partition("-")
        if kind == "witness":
            address = urlsplit(values["WITNESS_URLS"].split(",")[WITNESSES.index(name)])
            own |= {"HOST": str(address.hostname), "PORT": str(address.port)}
            own |= {"WITNESS_DIR": str(self.state.path / "witnesses" / name)}
        env = environment(service.variables, service.fixed, own, self._surroundings)

        def launch(output: IO[bytes] | int) -> "subprocess.Popen[bytes]":
            return _python(service.command, env, output, service)

        def announced() -> bool:
            return any(service.says in line for line in journal.recent(service.name))

        match service.probe:
            case Probe.HTTP:
                # The host of PUBLIC_URL is the one name that ALLOWED_HOSTS must hold.
                host = {"Host": urlsplit(values["PUBLIC_URL"]).netloc}
                ready = probes.http(f"{_base(own)}{service.health}", host)
            case Probe.CONSUMES:
                ready = probes.consumes(broker, service.name)
            case Probe.SESSION:
                ready = probes.session(cluster, roles.SEQUENCER)
            case _:
                ready = announced

        return Unit(service.name, launch, ready, stop=service.stop, patience=service.patience)

    def _demonstrate(self, supervisor: Supervisor, values: Mapping[str, str], arguments: Sequence[str]) -> int:
        web = next(service for service in SERVICES if service.name == "web")
        env = environment(web.variables, web.fixed, values, self._surroundings)
        command = ("python", "manage.py", "demo", *arguments)
        code = supervisor.run_to_end("demo", partial(_python, command, env), tending=True)
        if code != 0:
            supervisor.journal.say(f"the demonstration ended with code {code}")
        return code

    def _publish(self, units: list[dict[str, object]]) -> None:
        self.state.publish({"pid": os.getpid(), "url": self.options.public_url, "processes": units})


def _python(
    command: Sequence[str], env: Mapping[str, str], output: IO[bytes] | int, service: Service | None = None
) -> "subprocess.Popen[bytes]":
    """Start a command of services.py with this interpreter, in the root of the project."""
    program = [sys.executable, *command[1:]]
    if service is None:
        return spawn(program, env=env, output=output, cwd=ROOT)
    return spawn(program, env=env, output=output, cwd=ROOT, orphan_signal=service.orphan)


def _base(values: Mapping[str, str]) -> str:
    """Return the address at which this machine itself reaches what listens on HOST and PORT of ``values``."""
    host = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(values["HOST"], values["HOST"])  # noqa: S104 - no bind here
    return f"http://[{host}]:{values['PORT']}" if ":" in host else f"http://{host}:{values['PORT']}"


def _await_previous_instance(cluster: Cluster, supervisor: Supervisor) -> None:
    """Wait for the database of a supervisor that was killed; it is told to end when its supervisor dies.

    Raises ``RuntimeProblem`` naming its pid when it is still there after half a minute.
    """
    give_up = time.monotonic() + _PREVIOUS_INSTANCE_SECONDS
    told = False
    while True:
        try:
            cluster.clear_leftovers()
        except RuntimeProblem:
            if time.monotonic() > give_up:
                raise
            if not told:
                supervisor.journal.say("waiting for the database of a previous instance to end")
                told = True
            supervisor.pause()
        else:
            return
