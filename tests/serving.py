"""HTTP servers in processes of their own: started, waited for, and ended with everything they started."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx

from tests.waiting import until

ROOT: Final = Path(__file__).resolve().parents[1]


@contextmanager
def serving(
    command: Sequence[str],
    url: str,
    *,
    environment: Mapping[str, str],
    log: Path,
    cwd: Path = ROOT,
    end: signal.Signals = signal.SIGTERM,
) -> Iterator[int]:
    """Run ``command`` from when ``url`` answers until the end, and give its process id.

    A server that ends before it answers fails the test with the last of its log.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=dict(environment), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )

    def answers() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"{log.name}: it ended with {process.returncode}:\n{log.read_text()[-3000:]}")
        try:
            return httpx.get(url, timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False

    try:
        until(answers, what=f"an answer of {url}", seconds=120)
        yield process.pid
    finally:
        process.send_signal(end)
        process.wait(60)
        with suppress(ProcessLookupError):  # what it started and left
            os.killpg(process.pid, signal.SIGKILL)
