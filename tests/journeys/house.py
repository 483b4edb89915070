"""One embedded installation under test: started, asked and ended as a person does it, by ``python -m config.runtime``."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psycopg

from config.runtime.ports import LOOPBACK, free_port
from config.runtime.roles import DATABASE, SUPERUSER, secret_name
from tests.runtime.processes import alive, descendants
from tests.waiting import until

ROOT: Final = Path(__file__).resolve().parents[2]
PASSED_ON: Final = ("PATH", "HOME", "LANG", "CI", "TMPDIR")
START_SECONDS: Final = 300.0


@dataclass
class House:
    """One DATA_DIR, one PORT, and what was started on them."""

    place: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()
    python: str = sys.executable
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def data_dir(self) -> Path:
        """Where its state is."""
        return self.place / "state"

    def environment(self) -> dict[str, str]:
        """What a shell would give it: no setting of the tests."""
        kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return {**kept, "DATA_DIR": str(self.data_dir), "PORT": str(self.port), **self.settings}

    def command(self, *arguments: str) -> list[str]:
        """The words of one command of the runtime."""
        return [*self.prefix, self.python, "-m", "config.runtime", *arguments]

    def say(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run one command to its end; both outputs in ``stdout``."""
        return subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def start(self, *arguments: str) -> None:
        """Start it and return when it says that it runs."""
        terminal = self.place / "terminal"
        with terminal.open("wb") as output:
            self.process = subprocess.Popen(
                self.command(*arguments),
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        process = self.process

        def runs() -> bool:
            assert process.poll() is None, terminal.read_text()[-5000:]
            return "(stop it with Ctrl-C" in terminal.read_text()

        until(runs, what="the installation to run", seconds=START_SECONDS)

    def stop(self) -> None:
        """End it in order, and see that nothing of it is left."""
        if self.process is None or self.process.poll() is not None:
            return
        below = descendants(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(180)
        assert [pid for pid in below if alive(pid)] == []

    def pid(self, name: str) -> int:
        """The process of one service, as the supervisor publishes it; waits while it is being started."""

        def ready() -> int | None:
            rows = re.findall(r"^  (\w+) +ready +pid (\d+)", self.say("status").stdout, re.MULTILINE)
            return {service: int(pid) for service, pid in rows}.get(name)

        return until(ready, what=f"{name} to be ready", seconds=120)

    def manage(self, *arguments: str, role: str = "app") -> "subprocess.CompletedProcess[str]":
        """Run a management command of the installation as its operator does: with the environment of its processes."""
        environment = {**self._variables("worker"), **(self._variables("sequencer") if role == "sequencer" else {})}
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def _variables(self, name: str) -> dict[str, str]:
        raw = Path("/proc", str(self.pid(name)), "environ").read_bytes().decode()
        return dict(part.split("=", 1) for part in raw.split("\0") if "=" in part)

    def superuser(self) -> "psycopg.Connection[tuple[object, ...]]":
        """A connection that no right stops; it commits when its block ends well."""
        port = urlsplit(self._variables("worker")["DATABASE_URL"]).port
        return psycopg.connect(
            host=LOOPBACK, port=port, user=SUPERUSER, password=self.secret(secret_name(SUPERUSER)), dbname=DATABASE
        )

    def secret(self, name: str) -> str:
        """One of the generated secrets."""
        return (self.data_dir / "secrets" / name).read_text().strip()

    def passwords(self) -> dict[str, str]:
        """The password of each account of the demonstration."""
        found: dict[str, str] = json.loads(self.secret("demo-accounts.json"))
        return found
