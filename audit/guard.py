"""A memory outside the database of the last checkpoint we signed.

Whoever rolls the database back, cuts its tail or rewrites it still meets this file: the sequencer refuses to sign a
second history over the first. Keep DATA_DIR on another disk, and in another backup, than the database.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from audit.merkle import Frontier, Lookup


class Refused(RuntimeError):
    """The log is not a continuation of what was signed before. Nothing may be signed until a person has looked."""


@dataclass(frozen=True, slots=True)
class Head:
    """A size and its root."""

    size: int
    root: bytes


@dataclass(slots=True)
class Guard:
    """The guard file. ``adopt`` accepts a log of some size when there is no file yet: a person's decision."""

    path: Path
    adopt: bool = False
    _checked: Head | None = field(default=None, init=False)

    @classmethod
    def default(cls, *, adopt: bool = False) -> "Guard":
        """Return the guard of this installation, DATA_DIR/guard.json."""
        return cls(Path(settings.DATA_DIR) / "guard.json", adopt)

    def read(self) -> Head | None:
        """Return what was signed last, or None if there is no file. Raises ``Refused`` for a damaged file."""
        try:
            content = json.loads(self.path.read_text())
            return Head(int(content["size"]), bytes.fromhex(content["root"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(f"the guard file {self.path} is damaged ({error}): restore it") from error

    def check(self, head: Head, lookup: Lookup) -> None:
        """Raise ``Refused`` unless the stored log ``head`` continues what was signed last.

        ``lookup`` gives subtree hashes of the stored log, for the root it had at the guard's size.
        """
        last = self.read()
        if last is not None and last == self._checked and head.size >= last.size:
            return
        if last is None:
            if head.size and not self.adopt:
                raise Refused(
                    f"the log has {head.size} entries but there is no guard file {self.path}: restore it, or, if this"
                    " is a new host, run `manage.py audit_verify` and then `manage.py sequence --adopt`"
                )
        elif head.size < last.size:
            raise Refused(
                f"the log has {head.size} entries, but {last.size} were signed before ({self.path}): it was rolled"
                " back, cut or is another database; find the missing entries before anything is signed again"
            )
        elif Frontier.load(last.size, lookup).root() != last.root:
            raise Refused(
                f"the first {last.size} entries are not those that were signed before ({self.path}): the log was"
                " rewritten; `manage.py audit_verify` says where"
            )
        self._checked = last

    def write(self, head: Head) -> None:
        """Remember ``head``, whole or not at all, on disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f"{self.path.name}.new")
        with draft.open("w") as file:
            json.dump({"size": head.size, "root": head.root.hex()}, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        self._checked = head
