"""Witnesses as real processes."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from audit.witnessing.cosignatures import Verifier, parse_vkey
from tests.audit.witnessing.logs import MemoryLog
from tests.serving import ROOT

COMMAND = (sys.executable, "-m", "config.cli")


@dataclass
class WitnessProcess:
    """A witness with files of its own, that can be started, killed and asked."""

    place: Path
    verifier: Verifier
    logs: Path
    environment: dict[str, str]
    port: int = 0
    process: "subprocess.Popen[str] | None" = None
    program: tuple[str, ...] = (*COMMAND, "witness")
    said: list[str] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.place / "state.json"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def arguments(self) -> list[str]:
        files = ["--key", str(self.place / "witness.key"), "--state", str(self.state)]
        return [*self.program, *files, "--log-key", str(self.logs), "--listen", f"127.0.0.1:{self.port}"]

    def start(self) -> "WitnessProcess":
        """Start it, on the port it had before, and wait until it listens."""
        self.process = subprocess.Popen(
            self.arguments(),
            cwd=ROOT,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if found := re.search(r"listens on 127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                return self
        raise AssertionError("the witness did not start: " + "".join(self.said))

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it and wait for its end."""
        assert self.process is not None
        assert self.process.stdout is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.said += self.process.stdout.readlines()
        self.process.stdout.close()
        code = self.process.wait(20)
        self.process = None
        return code

    def ask(self, body: bytes) -> httpx.Response:
        return httpx.post(f"{self.url}/add-checkpoint", content=body, trust_env=False, timeout=20)


MakeWitness = Callable[..., WitnessProcess]


@pytest.fixture
def make_witness(tmp_path: Path) -> Iterator[MakeWitness]:
    """Make witnesses, by name; each runs until the test ends."""
    made: list[WitnessProcess] = []

    def make(name: str, *logs: Verifier, start: bool = True, algorithm: str = "ed25519") -> WitnessProcess:
        place = tmp_path / "witnesses" / name
        place.mkdir(parents=True, mode=0o700)
        environment = {"PATH": os.defpath, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [*COMMAND, "witness-keygen", "--name", f"example.com/{name}", "--key", str(place / "witness.key"),
             "--state", str(place / "state.json"), "--algorithm", algorithm],
            cwd=ROOT, env=environment, text=True, capture_output=True, check=True,
        )  # fmt: skip
        (place / "logs").write_text("".join(f"{log}\n" for log in logs))
        one = WitnessProcess(place, parse_vkey(done.stdout), place / "logs", environment)
        made.append(one)
        return one.start() if start else one

    yield make
    for one in made:
        if one.process is not None:
            one.end(signal.SIGKILL)


@pytest.fixture
def log() -> MemoryLog:
    """A log of seven entries."""
    made = MemoryLog()
    made.grow(7)
    return made
