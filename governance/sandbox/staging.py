"""A private run directory: copies of model and data that the child may read, and one folder it may write."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from governance.sandbox.job import SandboxJob
from governance.sandbox.room import remove

_FIRST_UID, _UIDS = 61184, 4000  # the range that systemd keeps for users that come and go
_PREFIX = "countersign-run-"
_MOMENT = 60.0
_CODE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything of one run lies.

    ``uid`` None: the child keeps our user.
    """

    model_dir: Path | None
    data: Path | None
    files: Mapping[str, Path]
    scratch: Path
    uid: int | None
    code: tuple[Path, ...]


@contextmanager
def staged(job: SandboxJob) -> Iterator[Stage]:
    """Copy model and data into a fresh directory and remove it afterwards.

    Guarantee: the child never holds a path to the sealed bytes, and what is scanned is what is loaded.
    Raises ``OSError`` if files cannot be copied.
    """
    root = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
    held = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(held, fcntl.LOCK_EX)
    _tidy(root.parent)
    try:
        uid = _FIRST_UID + secrets.randbelow(_UIDS) if own_users() else None
        root.chmod(0o711)
        data = None
        if job.data is not None:
            data = _plain_copy(job.data, root / f"data{'.arrow' if _is_arrow(job.data) else '.parquet'}")
        model_dir = None
        if job.model_dir is not None:
            model_dir = root / "model"
            shutil.copytree(job.model_dir, model_dir, symlinks=True, copy_function=_copy)
            for folder, _, _ in os.walk(model_dir):
                Path(folder).chmod(0o755)
        files = {}
        if job.files:
            (root / "files").mkdir(mode=0o755)
            files = {name: _plain_copy(path, root / "files" / name) for name, path in job.files.items()}
        scratch = root / "scratch"
        scratch.mkdir(mode=0o700)
        if uid is not None:
            os.chown(scratch, uid, uid)
        code = (_CODE / "governance" / "sandbox", _CODE / "registry" / "formats" / "scan")
        yield Stage(model_dir, data, files, scratch, uid, code)
    finally:
        remove(root)
        os.close(held)


def _tidy(folder: Path) -> None:
    """Remove what killed workers left: nobody holds it, and it is no moment old."""
    for path in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # somebody else removed it, or it is not ours to open
            if time.time() - path.lstat().st_mtime < _MOMENT:
                continue
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(path)
            finally:
                os.close(descriptor)


def _plain_copy(source: Path, target: Path) -> Path:
    shutil.copyfile(source, target)
    target.chmod(0o444)
    return target


def _copy(source: str, target: str) -> str:
    if stat.S_ISREG(os.lstat(source).st_mode):
        shutil.copyfile(source, target)
        Path(target).chmod(0o444)
    else:  # links are kept as links by the caller; of anything else a pipe that nobody may open, for the scan to refuse
        os.mkfifo(target, 0)
    return target


def _is_arrow(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(6) == b"ARROW1"


def own_users() -> bool:
    """Whether each run can have a user of its own: only root may become another."""
    return os.getuid() == 0


def open_to_all(*more: Path) -> bool:
    """Whether any user can reach the environment, our code and ``more``.

    If not, a child with a user of its own keeps the one capability to pass directories; Landlock still bounds what it
    can read.
    """
    needed = (Path(sys.prefix), Path(sys.base_prefix), _CODE / "governance", Path(tempfile.gettempdir()), *more)
    return all(_passable(path.resolve()) for path in needed)


def _passable(path: Path) -> bool:
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))
