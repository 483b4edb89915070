"""The witness we ship, without its HTTP: a key, a memory of the largest head it signed per log, and one question.

It never signs a smaller head, another root for the same size, or a head that the last one is no beginning of, whatever
happens: what it remembers is on disk before the signature leaves this module. Pure of Django.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import IO, Final

from audit import notes
from audit.merkle import EMPTY_ROOT, BadProof, verify_consistency
from audit.notes import BadNote, CheckpointText
from audit.witnessing import files, protocol
from audit.witnessing.cosignatures import Cosigner, Verifier, verify_log
from audit.witnessing.files import FileProblem

logger = logging.getLogger(__name__)

TEXT: Final = "text/plain; charset=utf-8"
BACKWARDS: Final = 60
"""Seconds by which the clock may have gone back since the last cosignature."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer, whatever carries it."""

    status: HTTPStatus
    body: bytes
    type: str = TEXT


@dataclass(frozen=True, slots=True)
class Seen:
    """The latest head that was cosigned of one log, as of ``at``, with the note that says so."""

    size: int
    root: bytes
    at: int
    note: str


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, why: str, *, telling: bool = False) -> None:
        super().__init__(why)
        self.status, self.why, self.telling = status, why, telling


@dataclass(slots=True)
class Witness:
    """One per state file: ``open`` sees to it. Its methods may be called from many threads."""

    cosigner: Cosigner
    state: Path
    logs: dict[str, Verifier]
    clock: Callable[[], float] = time.time
    _seen: dict[str, Seen] = field(default_factory=dict)
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _held: IO[str] | None = None

    @classmethod
    def open(
        cls, key: Path, state: Path, logs: Iterable[Verifier], clock: Callable[[], float] = time.time
    ) -> "Witness":
        """Read key and memory and hold the memory for this process. Raises ``FileProblem``.

        A missing state file is no empty memory: a witness that forgets would sign any history next.
        """
        known = {log.name: log for log in logs}
        witness = cls(files.read_key(key), state, known, clock)
        witness._held = files.hold(state)
        witness._seen = _read(state)
        return witness

    def close(self) -> None:
        """Let another process have the memory."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer an ``add-checkpoint`` request."""
        try:
            asked = protocol.parse_request(body)
            checkpoint = self._checkpoint(asked.note)
            if asked.old > checkpoint.size:
                raise _Refused(HTTPStatus.BAD_REQUEST, f"old {asked.old} is larger than the checkpoint")
            with self._turn:
                return self._cosign(asked, checkpoint)
        except (protocol.Malformed, BadNote) as bad:
            return _said(HTTPStatus.BAD_REQUEST, str(bad))
        except _Refused as refused:
            if refused.telling:
                logger.error("REFUSED to cosign: %s. What was asked: %r", refused.why, body[:4000])  # noqa: TRY400 - a refusal is no fault
            return _said(refused.status, refused.why)

    def latest(self, origin_hash: str) -> Answer:
        """Answer a monitor: the latest checkpoint we cosigned of the log with this hash."""
        for origin in self.logs:
            seen = self._seen.get(origin)
            if seen and protocol.origin_hash(origin) == origin_hash:
                return Answer(HTTPStatus.OK, seen.note.encode())
        return _said(HTTPStatus.NOT_FOUND, "no checkpoint of such a log was cosigned here")

    def _checkpoint(self, note: str) -> CheckpointText:
        """The head that a log we know signed. Raises ``BadNote`` for a malformed one, ``_Refused`` for the others."""
        checkpoint = notes.parse_checkpoint(notes.parse(note).text)
        log = self.logs.get(checkpoint.origin)
        if log is None:
            raise _Refused(HTTPStatus.NOT_FOUND, f"the log {checkpoint.origin[:200]} is not known here")
        try:
            return verify_log(note, log)
        except BadNote as bad:
            raise _Refused(HTTPStatus.FORBIDDEN, str(bad)) from bad

    def _cosign(self, asked: protocol.AddCheckpoint, checkpoint: CheckpointText) -> Answer:
        """Compare with the memory, remember, sign. One at a time. Raises ``_Refused``."""
        seen = self._seen.get(checkpoint.origin, Seen(0, EMPTY_ROOT, 0, ""))
        if asked.old != seen.size:
            return Answer(HTTPStatus.CONFLICT, f"{seen.size}\n".encode(), protocol.SIZE_TYPE)
        if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
            raise _Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "an empty tree has another root", telling=True)
        try:
            verify_consistency(seen.size, checkpoint.size, asked.proof, seen.root, checkpoint.root)
        except BadProof as bad:
            why = f"{checkpoint.origin} at {checkpoint.size} is not shown to continue what was cosigned at {seen.size}: {bad}"
            raise _Refused(HTTPStatus.UNPROCESSABLE_ENTITY, why, telling=True) from bad
        now = int(self.clock())
        if now < seen.at - BACKWARDS:
            raise _Refused(
                HTTPStatus.SERVICE_UNAVAILABLE, "the clock here is behind the last cosignature", telling=True
            )
        at = max(now, seen.at)
        text = str(notes.parse(asked.note).text)
        line = self.cosigner.cosign(text, at)
        signed_by_log = _only_of(asked.note, self.logs[checkpoint.origin])
        self._remember(checkpoint.origin, Seen(checkpoint.size, checkpoint.root, at, signed_by_log + line))
        return Answer(HTTPStatus.OK, line.encode())

    def _remember(self, origin: str, seen: Seen) -> None:
        """Put the memory on disk. Raises ``_Refused``; then nothing was signed that leaves."""
        everything = self._seen | {origin: seen}
        try:
            files.swap(files.draft(self.state, _written(everything)), self.state)
        except OSError as error:
            why = f"cannot write {self.state}: {error.strerror}"
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, why, telling=True) from error
        # The new file is in place: this process must not fall behind it, even if its name is not yet durable.
        self._seen = everything
        try:
            files.sync_directory(self.state.parent)
        except OSError as error:
            why = f"cannot synchronise {self.state.parent}: {error.strerror}"
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, why, telling=True) from error


def _said(status: HTTPStatus, why: str) -> Answer:
    return Answer(status, f"{why}\n".encode("utf-8", "replace"))


def _only_of(note: str, log: Verifier) -> str:
    """The note with the log's own lines only: cosignatures of others are theirs to give out."""
    parsed = notes.parse(note)
    lines = note[len(parsed.text) + 1 : -1].split("\n")
    ours = [line for line, one in zip(lines, parsed.signatures, strict=True) if log.made(one)]
    return f"{parsed.text}\n" + "".join(f"{line}\n" for line in ours)


def make_state(path: Path) -> None:
    """Make the memory of a new witness. Raises ``FileProblem`` rather than replace one."""
    try:
        files.create(path, _written({}), 0o600)
    except FileExistsError:
        raise FileProblem(f"{path} exists: the memory of a witness is never replaced") from None


def _written(seen: dict[str, Seen]) -> bytes:
    rows = {
        origin: {"size": one.size, "root": one.root.hex(), "at": one.at, "note": one.note}
        for origin, one in sorted(seen.items())
    }
    return (json.dumps({"format": 1, "logs": rows}, indent=1, ensure_ascii=False) + "\n").encode()


def _read(path: Path) -> dict[str, Seen]:
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != 1:
            raise ValueError("of another format")
        return {
            str(origin): Seen(int(row["size"]), bytes.fromhex(row["root"]), int(row["at"]), str(row["note"]))
            for origin, row in content["logs"].items()
        }
    except FileNotFoundError:
        raise FileProblem(
            f"there is no state file {path}. Restore it. If it is lost, retire this witness and its key: without its memory"
            " it would sign any history. (`countersign witness-keygen` makes a new key with an empty state.)"
        ) from None
    except OSError as error:
        raise FileProblem(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileProblem(f"the state file {path} is damaged ({error}): restore it, or retire this witness") from error
