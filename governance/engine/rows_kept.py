"""How long copies of rows are kept, and how much of the disk they take. Workers only.

A room is the directory with the copies of one sealed file. Removing one takes no rows from anybody: what is mapped stays
readable, and what is wanted again is decoded again.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from django.conf import settings

from governance.checks import CheckError
from registry.storage import remove_directory

KEPT_FOR: Final = 24 * 3600.0
_LOCK: Final = "lock"
_MIB: Final = 2**20


def base() -> Path:
    """Where the rooms are."""
    return Path(settings.DATA_DIR) / "scratch" / "rows"


@contextmanager
def locked(room: Path) -> Iterator[Path]:
    """One process at a time fills or removes a room, which is made if need be. The lock ends with its holder."""
    handle = _locked(room)
    while handle is None:  # it was removed while this process waited
        handle = _locked(room)
    with handle:
        try:
            yield room
        except BaseException:
            for part in room.glob("*.part"):
                part.unlink(missing_ok=True)
            raise


def _locked(room: Path) -> IO[str] | None:
    room.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = (room / _LOCK).open("w")
    except FileNotFoundError:
        return None
    fcntl.flock(handle, fcntl.LOCK_EX)
    if _is_there(room, handle):
        return handle
    handle.close()
    return None


def forget() -> None:
    """Remove copies that nothing has used for a day, what killed workers left, and the oldest above ``ROW_COPIES_MB``."""
    for left in base().parent.glob("check-*"):
        with suppress(FileNotFoundError):  # another worker of this host does the same
            if time.time() - left.stat().st_mtime > KEPT_FOR:
                remove_directory(left)
    sizes = {room: _size(room) for room in _oldest_first()}
    total = sum(sizes.values())
    for room, size in sizes.items():
        with suppress(FileNotFoundError):
            old = time.time() - room.stat().st_mtime > KEPT_FOR
            if (old or total > settings.ROW_COPIES_MB * _MIB) and _removed(room):
                total -= size


def room_for(size: int, *, keep: Path) -> None:
    """Whether the disk has so many bytes beside ``ROW_COPIES_FREE_MB``, if need be without older copies than ``keep``.

    Raises ``CheckError``.
    """
    wanted = size + settings.ROW_COPIES_FREE_MB * _MIB
    if shutil.disk_usage(keep).free >= wanted:
        return
    for room in _oldest_first():
        if room != keep and _removed(room) and shutil.disk_usage(keep).free >= wanted:
            return
    free = shutil.disk_usage(keep).free
    if free < wanted:
        sentence = (
            f"The copies of the rows do not fit: {free // _MIB:,} MiB are free on the disk of DATA_DIR, of which "
            f"{settings.ROW_COPIES_FREE_MB:,} (ROW_COPIES_FREE_MB) are left alone. Make room, and ask again."
        )
        raise CheckError("rows.no_room", sentence)


def _oldest_first() -> list[Path]:
    found = []
    for room in base().iterdir() if base().is_dir() else ():
        with suppress(FileNotFoundError):
            found.append((room.stat().st_mtime, room))
    return [room for _, room in sorted(found)]


def _size(room: Path) -> int:
    total = 0
    for file in room.iterdir() if room.is_dir() else ():
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def _removed(room: Path) -> bool:
    """Remove a room unless somebody fills it now."""
    with suppress(FileNotFoundError), (room / _LOCK).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if _is_there(room, handle):
            remove_directory(room)
            return True
    return False


def _is_there(room: Path, handle: IO[str]) -> bool:
    """Whether the lock that is held is that of the room as it is now."""
    with suppress(FileNotFoundError):
        return (room / _LOCK).stat().st_ino == os.fstat(handle.fileno()).st_ino
    return False
