"""Secrets generated once per installation, one file each, readable by their owner only."""

import os
import secrets
from pathlib import Path

from config.runtime.errors import RuntimeProblem


class SecretFiles:
    """A directory of secrets. The same name gives the same value for as long as the file exists."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def get(self, name: str) -> str:
        """Return the secret called ``name``, generated (256 bits, URL-safe) when there is none yet.

        The file is complete or absent, whatever happens meanwhile. Raises ``RuntimeProblem`` when it is empty.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.directory / name
        if not path.exists():
            draft = self.directory / f".{name}.{os.getpid()}"
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(32))
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
        value = path.read_text(encoding="ascii").strip()
        if not value:
            raise RuntimeProblem(f"{path} is empty. Restore it from your backup.")
        return value
