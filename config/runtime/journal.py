"""What the processes print: ``name | line`` on the terminal, and one file for each below ``DATA_DIR/logs``."""

import os
import selectors
import sys
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_KEEP_BYTES = 20 * 2**20
_CHUNK = 65536
_COLOURS = ("36", "32", "35", "33", "34", "96", "92", "95")


@dataclass(slots=True)
class _Stream:
    name: str
    pipe: IO[bytes]
    file: IO[bytes]
    rest: bytes = b""
    seen: deque[str] = field(default_factory=lambda: deque(maxlen=200))


class Journal:
    """Collects the output of children, without threads: it moves on while somebody calls :meth:`read`."""

    def __init__(self, directory: Path, *, terminal: IO[str] | None = None) -> None:
        self.directory = directory
        self._terminal: IO[str] = terminal or sys.stdout
        self._encoding = getattr(self._terminal, "encoding", None) or "utf-8"
        self._colour = self._terminal.isatty() and "NO_COLOR" not in os.environ
        self._selector = selectors.DefaultSelector()
        self._streams: dict[str, _Stream] = {}

    def say(self, line: str, *, name: str = "runtime") -> None:
        """Print one line of ``name`` and keep it in its file."""
        self._print(name, line)
        with self._file(name) as file:
            file.write(line.encode() + b"\n")

    def follow(self, name: str, pipe: IO[bytes]) -> None:
        """From now on take what comes from ``pipe`` as printed by ``name``."""
        if name in self._streams:
            self._drop(self._streams[name])
        stream = _Stream(name, pipe, self._file(name))
        os.set_blocking(pipe.fileno(), False)
        self._streams[name] = stream
        self._selector.register(pipe, selectors.EVENT_READ, stream)

    def recent(self, name: str) -> list[str]:
        """Return the last 200 lines of the current run of ``name``."""
        known = self._streams.get(name)
        return [] if known is None else list(known.seen)

    def last_words(self, name: str) -> str:
        """Return the last line that ``name`` printed, and where the others are."""
        line = next((line.strip() for line in reversed(self.recent(name)) if line.strip()), "it printed nothing")
        return f"{line} (all of it: {self.directory / name}.log)"

    def read(self, seconds: float) -> None:
        """Wait at most ``seconds`` for output, and write what has come."""
        for key, _ready in self._selector.select(seconds):
            self._take(key.data)

    def catch_up(self, name: str) -> None:
        """Write all that the ended child ``name`` has left in its pipe."""
        stream = self._streams.get(name)
        while stream is not None and not stream.pipe.closed and self._take(stream):
            pass

    def close(self) -> None:
        """Write what is left and close every file."""
        for name, stream in self._streams.items():
            self.catch_up(name)
            self._drop(stream)
        self._selector.close()

    def _take(self, stream: _Stream) -> bool:
        """Move one chunk; say whether there was one."""
        try:
            chunk = os.read(stream.pipe.fileno(), _CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            self._drop(stream)
            return False
        stream.file.write(chunk)
        *lines, stream.rest = (stream.rest + chunk).split(b"\n")
        for raw in lines:
            self._line(stream, raw)
        return True

    def _drop(self, stream: _Stream) -> None:
        if stream.pipe.closed:
            return
        if stream.rest:
            self._line(stream, stream.rest)
        self._selector.unregister(stream.pipe)
        stream.pipe.close()
        stream.file.close()

    def _line(self, stream: _Stream, raw: bytes) -> None:
        line = raw.decode(errors="replace").rstrip("\r")
        stream.seen.append(line)
        self._print(stream.name, line)

    def _print(self, name: str, line: str) -> None:
        head = f"{name:<9} |"
        if self._colour:
            head = f"\x1b[{_COLOURS[sum(name.encode()) % len(_COLOURS)]}m{head}\x1b[0m"
        try:
            print(head, line.encode(self._encoding, "replace").decode(self._encoding), file=self._terminal, flush=True)
        except OSError:
            return  # the terminal is gone, and the file has the line; ending in order matters more

    def _file(self, name: str) -> IO[bytes]:
        path = self.directory / f"{name}.log"
        if path.exists() and path.stat().st_size > _KEEP_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0)
