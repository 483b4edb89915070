"""How much a run has written, and its removal: both hold for whatever tree of directories a model can make.

The standard library walks and removes trees by recursion, and by paths that have a greatest length; a model may nest a
hundred thousand directories. So both go without either.
"""

from __future__ import annotations

import os
import secrets
import stat
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from governance.sandbox.job import Limits

ENTRY_BYTES = 4096
"""What a file or directory counts for besides its content: an entry and an inode cost room too."""
_PATIENCE = 10
_LONGEST = 3000
_OWN = ("RssAnon:", "RssShmem:", "VmSwap:")


@dataclass(slots=True)
class Watch:
    """Whether a run is over its deadline or its room. Looks less often when looking takes long."""

    limits: Limits
    scratch: Path
    pid: int
    started: float
    noise: int = 0
    _next: float = field(default=0.0, init=False)

    def over(self) -> str:
        """Why the run must end now, or nothing."""
        now = time.monotonic()
        if now - self.started > self.limits.wall_seconds:
            return "timeout"
        if self.noise > self.limits.noise_bytes:
            return "noise"
        if resident(self.pid) > self.limits.memory_bytes:
            return "memory"
        if now < self._next:
            return ""
        full = size(self.scratch, self.limits.scratch_bytes) > self.limits.scratch_bytes
        self._next = now + _PATIENCE * (time.monotonic() - now)
        return "output_too_large" if full else ""


def resident(pid: int) -> int:
    """Bytes of a process's own memory that are in use: private and shared, without files. 0 when it is gone."""
    with suppress(OSError):
        about = Path(f"/proc/{pid}/status").read_text()
        return sum(int(line.split()[1]) for line in about.splitlines() if line.startswith(_OWN)) * 1024
    return 0


def size(folder: Path, limit: int) -> int:
    """Bytes below ``folder``, directories and entries included; counting ends above ``limit``."""
    total = 0
    waiting = [str(folder)]
    while waiting and total <= limit:
        path = waiting.pop()
        if len(path) > _LONGEST:  # nested deeper than anything needs
            return limit + 1
        with suppress(OSError), os.scandir(path) as entries:  # it was removed, or may not be looked into
            for entry in entries:
                total += ENTRY_BYTES
                with suppress(OSError):
                    about = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(about.st_mode):
                        waiting.append(entry.path)
                    else:
                        total += about.st_size
                if total > limit:
                    break
    return total


def remove(folder: Path) -> None:
    """Remove ``folder`` and all below it; what cannot be removed is left. No process may be writing there."""
    with suppress(FileNotFoundError):
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            _empty(top)
        finally:
            os.close(top)
        with suppress(OSError):
            folder.rmdir()


def _empty(top: int) -> None:
    """Take every directory found up to the top before it is emptied, so that no path ever has more than one name."""
    number, word = 0, secrets.token_hex(8)  # a name that the model cannot have taken
    waiting = os.listdir(top)
    while waiting:
        name = waiting.pop()
        with suppress(OSError):
            os.unlink(name, dir_fd=top)
            continue
        with suppress(OSError):
            os.chmod(name, 0o700, dir_fd=top)  # a directory: anything else could be unlinked
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
            try:
                for child in os.listdir(inner):  # noqa: PTH208
                    with suppress(OSError):
                        os.unlink(child, dir_fd=inner)
                        continue
                    number += 1
                    with suppress(OSError):
                        os.chmod(child, 0o700, dir_fd=inner)
                        os.rename(child, f".{word}-{number}", src_dir_fd=inner, dst_dir_fd=top)
                        waiting.append(f".{word}-{number}")
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=top)
