"""The directory that holds all state of an installation: who runs on it, and what is known about that instance."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from config.runtime.errors import RuntimeProblem

_LOCK = "lock"
_STATUS = "status.json"


class StateDirectory:
    """``DATA_DIR``. At most one supervisor works on it at a time, whatever happens to earlier ones."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._held: IO[str] | None = None

    def create(self) -> None:
        """Make the directory if it is missing. Raises ``RuntimeProblem`` when we cannot write there."""
        # As root, PostgreSQL runs as another user, who must be able to pass through to its own directory.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        try:
            if not self.path.exists():
                self.path.mkdir(parents=True)
                self.path.chmod(mode)
            (self.path / "logs").mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise RuntimeProblem(
                f"Cannot keep state in DATA_DIR={self.path}: {error.strerror}. Name another one with DATA_DIR."
            ) from error
        owner = self.path.stat().st_uid
        if owner != os.geteuid():
            raise RuntimeProblem(
                f"DATA_DIR={self.path} belongs to user {owner} and you are user {os.geteuid()}. "
                "Run as that user, or name another directory with DATA_DIR."
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for this process, and no longer than this process lives (flock(2)).

        Raises ``RuntimeProblem`` naming the pid of the instance that holds it.
        """
        with open(self.path / _LOCK, "a+", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RuntimeProblem(
                    f"Countersign is already running on {self.path} (pid {_pid_in(file) or 'unknown'}). "
                    "Stop it with `make down`, or name another directory with DATA_DIR."
                ) from None
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)

    def running_pid(self) -> int | None:
        """Return the pid of the instance that holds the directory, ``None`` when there is none."""
        try:
            file = open(self.path / _LOCK, "r+", encoding="ascii")  # noqa: SIM115 - closed by the with below
        except FileNotFoundError:
            return None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _pid_in(file)
            return None

    def publish(self, status: Mapping[str, object]) -> None:
        """Replace what :meth:`status` returns."""
        draft = self.path / f".{_STATUS}"
        draft.write_text(json.dumps(status, indent=1))
        draft.replace(self.path / _STATUS)

    def status(self) -> dict[str, object]:
        """Return what the last instance said about itself; empty when it said nothing."""
        try:
            read = json.loads((self.path / _STATUS).read_text())
        except FileNotFoundError:
            return {}
        return dict(read)


def _pid_in(file: IO[str]) -> int | None:
    file.seek(0)
    told = file.read().strip()
    return int(told) if told.isdigit() else None
