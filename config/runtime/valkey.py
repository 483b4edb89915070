"""The embedded broker: one Valkey server on the loopback, with a password, that never forgets an accepted task."""

import os
from pathlib import Path
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from config.runtime.binaries import valkey_server
from config.runtime.ports import LOOPBACK, free_port
from config.runtime.secretfiles import SecretFiles

_SECRET: Final = "broker-password"  # noqa: S105 - the name of its file


class Broker:
    """A Valkey server over one directory. ``appendfsync always``: what it acknowledged is on the disk."""

    def __init__(self, directory: Path, secrets: SecretFiles, *, port: int | None = None) -> None:
        self.directory = directory.resolve()
        self.port = port or free_port()
        self._password = secrets.get(_SECRET)
        self._program = valkey_server()

    @property
    def url(self) -> str:
        """Celery's BROKER_URL. The generated password needs no quoting: it is URL-safe."""
        return f"redis://:{self._password}@{LOOPBACK}:{self.port}/0"

    def configure(self) -> None:
        """Write the server's configuration; the password stands in this file (0600), not in an argument list."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = [
            f"bind {LOOPBACK}",
            f"port {self.port}",
            "protected-mode yes",
            f"requirepass {self._password}",
            f'dir "{self.directory}"',
            "appendonly yes",
            "appendfsync always",
            'save ""',
            "maxmemory-policy noeviction",
            "daemonize no",
            "loglevel warning",
        ]
        path = self.directory / "valkey.conf"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def command(self) -> list[str]:
        """Return the command line that runs the server in the foreground, once configured."""
        return [str(self._program), str(self.directory / "valkey.conf")]

    def client(self) -> "Redis":
        """Return a client that gives up after two seconds rather than hang."""
        return Redis(host=LOOPBACK, port=self.port, password=self._password, socket_timeout=2, socket_connect_timeout=2)

    def is_ready(self) -> bool:
        """Say whether the server has loaded its log and answers."""
        try:
            with self.client() as client:
                return bool(client.ping())
        except RedisError:
            return False
