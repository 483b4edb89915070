"""Writes the log into a directory, for a web server, a bucket or a disk to hand out.

Files are only added, each whole or not at all, and the checkpoint comes last: whoever reads it finds what it speaks of. A
directory that holds a longer log than ours, or another one, is left as it is.
"""

import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from audit import keys, notes, proofs, selectors
from audit.merkle import EMPTY_ROOT
from audit.models import Checkpoint
from audit.tiles.layout import CHECKPOINT, HIGHEST_LEVEL, WIDTH, Tile, TooLong, of_size
from audit.tiles.source import Missing, read
from audit.witnessing import selectors as witnessing
from audit.witnessing.configured import Misconfigured

MODE: Final = 0o644


class NotPublished(RuntimeError):
    """The directory was left as it is. The message says why."""


@dataclass(slots=True)
class Published:
    """What was done. ``left_out`` names the bundles that cannot be written, and why."""

    size: int
    before: int
    files: int = 0
    left_out: list[str] = field(default_factory=list)


def publish(directory: Path, *, progress: Callable[[int], None] = lambda _: None) -> Published:
    """Bring the directory to the latest checkpoint that is cosigned as the policy asks; return what was done.

    Raises ``NotPublished``, ``OSError`` and ``audit.keys.KeyProblem``.
    """
    checkpoint = _checkpoint()
    before = _published(directory, checkpoint)
    done = Published(checkpoint.size, before)
    for tile in of_size(checkpoint.size, after=before):
        try:
            content = read(tile, checkpoint.size)
        except (Missing, TooLong) as problem:
            if tile.level is not None:
                raise NotPublished(str(problem)) from problem
            done.left_out.append(f"tile/{tile.path}: {problem}")
            continue
        _write(directory / "tile" / tile.path, content)
        done.files += 1
        if done.files % 1000 == 0:
            progress(done.files)
    if done.files:
        os.sync()  # once, instead of after each of thousands: nothing refers to these files yet
    _write(directory / CHECKPOINT, witnessing.cosigned_note(checkpoint.size).encode(), synced=True)
    _forget_partial(directory, before, checkpoint.size)
    return done


def _checkpoint() -> Checkpoint:
    try:
        size = witnessing.cosigned_size()
    except Misconfigured as error:
        raise NotPublished(f"Which cosignatures are needed is unknown: {error}") from error
    found = selectors.checkpoint(size) if size is not None else None
    if found is None:
        waits = selectors.head() is not None
        raise NotPublished(
            "No checkpoint is cosigned as the policy asks." if waits else "The log has no checkpoint yet."
        )
    return found


def _published(directory: Path, ours: Checkpoint) -> int:
    """Return the size that the directory holds. Raises ``NotPublished`` unless our log goes on from there."""
    directory.mkdir(parents=True, exist_ok=True)
    try:
        note = (directory / CHECKPOINT).read_bytes()
    except FileNotFoundError:
        return 0
    key = keys.ledger_public_key()
    try:
        said = notes.verify_checkpoint(note, keys.origin(key), key)
    except notes.BadNote as bad:
        raise NotPublished(f"{directory / CHECKPOINT} is not a checkpoint of this log: {bad}") from bad
    if said.size > ours.size:
        raise NotPublished(
            f"{directory} holds {said.size} entries, this log has {ours.size}: it was rolled back or cut"
        )
    if (proofs.root(said.size) if said.size else EMPTY_ROOT) != said.root:
        raise NotPublished(f"{directory} holds another history: its root of {said.size} entries is not ours")
    return said.size


def _write(path: Path, content: bytes, *, synced: bool = False) -> None:
    """Put a file in place, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "wb") as file:
            file.write(content)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _forget_partial(directory: Path, before: int, size: int) -> None:
    """Remove the partial tiles of the publication before whose full tile is there now, as the specification allows."""
    level: int | None
    for level in (None, *range(HIGHEST_LEVEL + 1)):
        rise = 8 * (level or 0)
        index = (before >> rise) // WIDTH
        if before and index < (size >> rise) // WIDTH:
            shutil.rmtree(directory / "tile" / f"{Tile(level, index).path}.p", ignore_errors=True)
