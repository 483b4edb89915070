"""Drives one PostgreSQL cluster: creates it, starts it, waits for it, stops it, sets up its roles and databases.

TCP on the loopback only, SCRAM passwords for everybody, data checksums. Facts about ``postmaster.pid`` and the
signals are those of https://www.postgresql.org/docs/18/server-shutdown.html and ``src/backend/postmaster``.
"""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg

from config.runtime import roles
from config.runtime.account import Account, database_account
from config.runtime.binaries import SHARED_STATE, postgres_directory, postgres_version
from config.runtime.children import spawn
from config.runtime.errors import RuntimeProblem
from config.runtime.ports import LOOPBACK, free_port
from config.runtime.secretfiles import SecretFiles
from config.waiting import until

STOP_SIGNAL = signal.SIGINT  # "fast": roll back what is open, write a checkpoint, end
READY_AFTER_SECONDS = 60.0
_PIDFILE = "postmaster.pid"
_POLL_SECONDS = 0.05
_THROW_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


class Cluster:
    """One data directory and the server over it.

    ``durable=False`` gives up surviving a crash of the machine for speed, for clusters of tests.
    """

    def __init__(self, directory: Path, secrets: SecretFiles, *, port: int | None = None, durable: bool = True) -> None:
        self.account: Account | None = database_account()
        self.programs = postgres_directory(self.account)
        self.directory = _within_reach(directory.resolve(), self.account)
        self.port = port or free_port()
        self.secrets = secrets
        self.process: subprocess.Popen[bytes] | None = None
        self._chosen_port = port
        self._durable = durable

    def initialise(self) -> bool:
        """Create the cluster unless there is one; say whether it was created now.

        Raises ``RuntimeProblem`` when initdb fails or when the cluster is of another major version.
        """
        marker = self.directory / "PG_VERSION"
        ours = postgres_version(self.programs)
        if marker.exists():
            if (theirs := marker.read_text().strip()) != str(ours):
                raise RuntimeProblem(
                    f"The database in {self.directory} is of PostgreSQL {theirs}, the programs are of {ours}. "
                    "See docs/operators/upgrade.md: dump with the old programs (PG_BIN), restore with the new."
                )
            return False
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.account is not None:
            self.account.own(self.directory)
        self._initdb(ours)
        return True

    def _initdb(self, version: int) -> None:
        builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if version >= 17 else []
        # The password reaches initdb by a pipe: it stands in no argument list and in no file of its user.
        reading, writing = os.pipe()
        try:
            os.write(writing, f"{self.secrets.get(roles.secret_name(roles.SUPERUSER))}\n".encode())
            os.close(writing)
            if self.account is not None:
                os.fchown(reading, self.account.uid, self.account.gid)
            done = subprocess.run(
                [
                    self.programs / "initdb",
                    f"--pgdata={self.directory}",
                    f"--username={roles.SUPERUSER}",
                    f"--pwfile=/dev/fd/{reading}",
                    "--auth=scram-sha-256",
                    "--data-checksums",
                    "--encoding=UTF8",
                    "--locale=C",
                    *builtin,
                    *([] if self._durable else ["--no-sync"]),
                ],
                check=False,
                capture_output=True,
                text=True,
                pass_fds=[reading],
                env=self.environment(),
                cwd="/",
                user=None if self.account is None else self.account.uid,
                group=None if self.account is None else self.account.gid,
                extra_groups=None if self.account is None else [],
            )
        finally:
            os.close(reading)
        if done.returncode != 0:
            raise RuntimeProblem(f"initdb could not create {self.directory}:\n{done.stderr or done.stdout}")

    def command(self) -> list[str]:
        """Return the command line that runs the server in the foreground."""
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "password_encryption": "scram-sha-256",
            "max_connections": "200",
            "log_checkpoints": "off",
            "log_line_prefix": "[%p] %q%u@%d ",
            **({} if self._durable else _THROW_AWAY),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self.programs / "postgres"), "-D", str(self.directory), *options]

    def environment(self) -> dict[str, str]:
        """Return all the environment that the server and initdb get."""
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "PGTZ": "UTC"}

    def start(self, log: Path) -> None:
        """Start the server and return when it answers; nothing is left running when this raises.

        A port lost to a race is replaced by another one, unless it was asked for.
        Raises ``RuntimeProblem`` with the last lines of ``log``.
        """
        for _attempt in range(3):
            self.clear_leftovers()
            with open(log, "ab") as output:
                self.process = self.spawn(output)
            try:
                self.wait_until_ready()
            except RuntimeProblem as problem:
                self.stop()
                told = log.read_text(errors="replace")[-2000:]
                if "could not bind" not in told or self._chosen_port is not None:
                    raise RuntimeProblem(f"{problem}\n{told}") from None
                self.port = free_port()
            except BaseException:
                self.stop()
                raise
            else:
                return
        raise RuntimeProblem("PostgreSQL found no free port on the loopback in three attempts.")

    def spawn(self, output: IO[bytes] | int) -> "subprocess.Popen[bytes]":
        """Start the server process, tied to this process's life, and return at once."""
        return spawn(
            self.command(),
            env=self.environment(),
            output=output,
            orphan_signal=STOP_SIGNAL,
            account=self.account,
            cwd=Path("/"),
        )

    def answers(self) -> bool:
        """Say whether the server has finished recovery and accepts a connection."""
        # The eighth line of postmaster.pid is the status that pg_ctl waits for (src/include/utils/pidfile.h); trying
        # to connect before it says so only fills the log.
        lines = self._pidfile()
        if len(lines) < 8 or lines[7].strip() != "ready":
            return False
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def wait_until_ready(self) -> None:
        """Return when the server answers; raises ``RuntimeProblem`` when it ends or takes too long."""

        def answers() -> bool:
            if self.process is not None and (code := self.process.poll()) is not None:
                raise RuntimeProblem(f"PostgreSQL ended with code {code} while starting.")
            return self.answers()

        if not until(answers, seconds=READY_AFTER_SECONDS, every=_POLL_SECONDS):
            raise RuntimeProblem(f"PostgreSQL was not ready in {READY_AFTER_SECONDS:.0f} seconds.")

    def stop(self, timeout: float = 60.0) -> None:
        """End the server started by :meth:`start`, immediately when a fast shutdown takes longer than ``timeout``."""
        if self.process is None:
            return
        for how, patience in ((STOP_SIGNAL, timeout), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
            if self.process.poll() is None:
                self.process.send_signal(how)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
            break
        self.process = None

    def clear_leftovers(self) -> None:
        """Remove the ``postmaster.pid`` of a server that is no more.

        Raises ``RuntimeProblem`` naming its pid when a server over this directory is still running.
        """
        lines = self._pidfile()
        if not lines or not lines[0].isdigit():
            return  # never started, stopped in order, or cut off while writing: the server itself judges the last
        pid = int(lines[0])
        if _runs_over(pid, self.directory):
            raise RuntimeProblem(
                f"A PostgreSQL server (pid {pid}) still runs over {self.directory}. Stop it with: kill -INT {pid}"
            )
        (self.directory / _PIDFILE).unlink(missing_ok=True)

    def _pidfile(self) -> list[str]:
        try:
            return (self.directory / _PIDFILE).read_text().split("\n")
        except FileNotFoundError:
            return []

    def connect(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        """Connect as the superuser; only the set-up of roles and databases needs this."""
        return psycopg.connect(self.url(roles.SUPERUSER, database), autocommit=True, connect_timeout=5)

    def url(self, role: str, database: str = roles.DATABASE, *, driver: str = "", options: str = "") -> str:
        """Return the URL by which ``role`` connects; ``driver`` is SQLAlchemy's, ``options`` go to the session."""
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        password = quote(self.secrets.get(roles.secret_name(role)), safe="")
        query = f"?options={quote(options, safe='')}" if options else ""
        return f"{scheme}://{role}:{password}@{LOOPBACK}:{self.port}/{database}{query}"

    def urls(self) -> Mapping[str, str]:
        """Return the URL of each role, under the name of the setting that carries it."""
        return {
            "DATABASE_URL": self.url(roles.APP),
            "DATABASE_OWNER_URL": self.url(roles.OWNER),
            "DATABASE_SEQUENCER_URL": self.url(roles.SEQUENCER),
            "DATABASE_CATALOGUE_URL": self.url(roles.CATALOGUE),
            "TRACKING_DATABASE_URL": self.url(roles.TRACKING, driver="psycopg", options="-csearch_path=mlflow"),
        }

    def set_up_roles(self) -> None:
        """Bring the roles, the database and the schema ``mlflow`` into being, and set every password anew."""
        passwords = {role: self.secrets.get(roles.secret_name(role)) for role in roles.ALL}
        with self.connect() as server:
            roles.create(server, passwords)
        with self.connect(roles.DATABASE) as database:
            roles.arrange_schemas(database)


def cluster_directory(directory: Path) -> Path:
    """Return where the cluster that was asked for in ``directory`` really lies."""
    return _within_reach(directory.resolve(), database_account())


def _within_reach(directory: Path, account: Account | None) -> Path:
    """Return ``directory``, or its stand-in below ``/var/lib/countersign`` when ``account`` cannot get there."""
    above = directory.parent
    above.mkdir(parents=True, exist_ok=True)
    if account is None or account.can_enter(above):
        return directory
    return SHARED_STATE / "clusters" / quote(str(directory).strip("/"), safe="").replace("%2F", "-")


def _runs_over(pid: int, directory: Path) -> bool:
    """Say whether process ``pid`` is a server whose working directory is ``directory`` (a server changes into it)."""
    proc = Path("/proc", str(pid))
    if not Path("/proc/self").exists():  # not Linux: believe the pid, as pg_ctl does
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    try:
        return proc.joinpath("cwd").samefile(directory)
    except (FileNotFoundError, ProcessLookupError):
        return False
    except PermissionError:
        return proc.exists()


def temporary_parent(account: Account | None) -> Path:
    """Create and return a new temporary directory in which ``account`` may have a cluster."""
    parent = Path(tempfile.mkdtemp(prefix="countersign-"))
    if account is not None:
        parent.chmod(0o711)
    return parent
