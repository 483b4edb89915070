"""Who broke the glass: one line each, on disk before anything is let in, told to the registry until it has heard.

An event that the registry has not heard yet is kept here; the registry writes it into its ledger once, by the uid.
"""

import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from governance.kubernetes.rules import BrokenGlass

HOUR: Final = 3_600_000_000
Event = dict[str, Any]


@dataclass(slots=True)
class Journal:
    """``broken-glass.jsonl`` in a directory, and ``heard.json`` with how many of them the registry knows.

    ``now`` in microseconds. A grant ends ``hours`` after the glass was broken: what runs then goes on, but nothing that
    is not permitted starts any more.
    """

    directory: Path
    now: Callable[[], int]
    hours: int = 24
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def path(self) -> Path:
        """Where the events are."""
        return self.directory / "broken-glass.jsonl"

    def write(self, broken: BrokenGlass) -> None:
        """Keep an event; it is on disk when this returns. Raises ``OSError``: then nobody may be let in."""
        # It begins on a line of its own even after one that a crash cut short.
        line = f"\n{json.dumps({**asdict(broken), 'at': self.now()}, ensure_ascii=False, separators=(',', ':'))}\n"
        with self._lock:
            self.directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, line.encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def granted(self, namespace: str, digests: tuple[str, ...]) -> str:
        """Who broke the glass for these digests in this namespace, and not too long ago."""
        since = self.now() - self.hours * HOUR
        for event in reversed(self.events()):
            if event["at"] > since and event["namespace"] == namespace and tuple(event["digests"]) == digests:
                return str(event["user"])
        return ""

    def events(self) -> list[Event]:
        """All events, oldest first. A line that a crash cut short was never answered for, and does not count."""
        try:
            lines = self.path.read_text().split("\n")
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def unheard(self) -> list[Event]:
        """Events that the registry has not confirmed."""
        return self.events()[self._heard() :]

    def tell(self, send: Callable[[Event], None]) -> int:
        """Send what is unheard, oldest first, and return how many it heard. What ``send`` raises ends it, and is raised."""
        told = 0
        for event in self.unheard():
            send(event)
            told += 1
            draft = self.directory / ".heard.json.new"
            draft.write_text(json.dumps({"heard": self._heard() + 1}))
            draft.replace(self.directory / "heard.json")
        return told

    def _heard(self) -> int:
        try:
            return int(json.loads((self.directory / "heard.json").read_text())["heard"])
        except FileNotFoundError:
            return 0
