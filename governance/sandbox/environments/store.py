"""Built environments on disk, found by the digest of their lock: made once, whole or not at all, removed when old.

    root/locks/<digest of what was asked>.txt     what it resolved to
    root/<digest of that lock>/site               the packages;  …/environment.json is written last
    root/.building-*                              half of something; whoever finds one that nobody holds removes it

Locks are ``flock`` on directories and files, which the kernel drops with their holder, however that ends.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.waiting import until
from governance.sandbox.environments import build
from governance.sandbox.environments.recorded import Pin
from governance.sandbox.environments.settings import Environments
from governance.sandbox.failed import EnvironmentFailed

Beat = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Ready:
    """A whole environment. ``digest``: sha256 of its lock."""

    site: Path
    digest: str
    python: str
    python_version: str
    packages: int


@contextmanager
def built(pins: Sequence[Pin], *, python: str, allowed: Environments, beat: Beat) -> Iterator[Ready]:
    """The environment of these requirements, from disk or built now; not evicted inside the ``with``.

    Raises ``EnvironmentFailed``, and what ``beat`` raises. Two callers with the same lock build once.
    """
    (allowed.root / "locks").mkdir(parents=True, exist_ok=True)
    span = build.Span(allowed, beat, time.monotonic() + allowed.build_seconds)
    interpreter, version = build.interpreter(python)
    asked = build.asked(pins, version, allowed)
    name = hashlib.sha256(asked.encode()).hexdigest()
    with _alone(allowed.root / "locks" / f".{name}.guard", span):
        lock = _lock(name, pins, interpreter, span)
    digest = hashlib.sha256(lock.encode()).hexdigest()
    with _alone(allowed.root / f".{digest}.guard", span):
        held = _hold(allowed.root, digest)
        if held is None:
            _make(digest, lock, interpreter, version, span)
            held = _hold(allowed.root, digest)
    if held is None:
        raise EnvironmentFailed("The built environment was removed at once: the limit for all of them is too small.")
    descriptor, about = held
    try:
        yield Ready(allowed.root / digest / "site", digest, interpreter, version, int(about["packages"]))
    finally:
        os.close(descriptor)


@contextmanager
def built_again(digest: str, *, python: str, allowed: Environments, beat: Beat) -> Iterator[Ready]:
    """The environment of exactly this lock, from disk or built again from the lock that is remembered.

    Raises ``EnvironmentFailed`` with what is missing for that, and what ``beat`` raises.
    """
    (allowed.root / "locks").mkdir(parents=True, exist_ok=True)
    span = build.Span(allowed, beat, time.monotonic() + allowed.build_seconds)
    with _alone(allowed.root / f".{digest}.guard", span):
        held = _hold(allowed.root, digest)
        if held is None:
            _make_again(digest, python, span)
            held = _hold(allowed.root, digest)
    if held is None:
        raise EnvironmentFailed("The built environment was removed at once: the limit for all of them is too small.")
    descriptor, about = held
    try:
        interpreter, version = build.interpreter(str(about["python"]))
        yield Ready(allowed.root / digest / "site", digest, interpreter, version, int(about["packages"]))
    finally:
        os.close(descriptor)


def _make_again(digest: str, python: str, span: build.Span) -> None:
    gone = f"The environment of the first run (lock sha256 {digest[:12]}…) is not kept here any more"
    locks = (path.read_text() for path in (span.allowed.root / "locks").glob("*.txt"))
    lock = next((text for text in locks if hashlib.sha256(text.encode()).hexdigest() == digest), None)
    if lock is None:
        raise EnvironmentFailed(f"{gone}, nor is its lock, so it cannot be built again.")
    if not span.allowed.indexes:
        raise EnvironmentFailed(f"{gone}, and SANDBOX_INDEXES names no place to build it again from.")
    interpreter, version = build.interpreter(python)
    try:
        _make(digest, lock, interpreter, version, span)
    except EnvironmentFailed as error:
        raise EnvironmentFailed(f"{gone}, and building it again failed. {error}") from error


def _lock(name: str, pins: Sequence[Pin], interpreter: str, span: build.Span) -> str:
    """What the requirements resolve to, remembered: the same question has the same answer here until it is removed."""
    path = span.allowed.root / "locks" / f"{name}.txt"
    with suppress(FileNotFoundError):
        os.utime(path)
        return path.read_text()
    with _building(span.allowed.root) as folder:
        lock = build.resolve(pins, interpreter, folder, span)
        part = folder / "lock"
        part.write_text(lock)
        part.replace(path)
    return lock


def _make(digest: str, lock: str, interpreter: str, version: str, span: build.Span) -> None:
    allowed = span.allowed
    with _building(allowed.root) as folder:
        build.install(lock, interpreter, folder, span, place=allowed.root / digest / "site")
        whole = folder / "whole"
        whole.mkdir(mode=0o755)
        (folder / "site").rename(whole / "site")
        about = {
            "packages": build.packages(lock), "python": version, "bytes": build.size(whole), "lock": lock,
        }  # fmt: skip
        (whole / "environment.json").write_text(json.dumps(about))
        with _guard(allowed.root):
            whole.rename(allowed.root / digest)
    evict(allowed.root, allowed.cache_bytes, but=digest)


def _hold(root: Path, digest: str) -> tuple[int, dict[str, Any]] | None:
    """A shared lock on a whole environment (the caller closes it), and what is said about it; None if there is none."""
    with _guard(root):
        try:
            descriptor = os.open(root / digest, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return None
        fcntl.flock(descriptor, fcntl.LOCK_SH)  # never waits: whoever locks it exclusively holds the guard
        path = root / digest / "environment.json"
        os.utime(path)
        return descriptor, json.loads(path.read_text())


def evict(root: Path, limit: int, *, but: str = "") -> list[str]:
    """Remove what was not used for longest until all fit into ``limit``; never what is in use. Returns the digests."""
    gone = []
    with _guard(root):
        known = sorted(root.glob("*/environment.json"), key=lambda path: path.stat().st_mtime)
        sizes = {path: int(json.loads(path.read_text())["bytes"]) for path in known}
        for path in known:
            if sum(sizes.values()) <= limit:
                break
            if path.parent.name == but or not _free(path.parent):
                continue
            path.unlink()  # first what makes it whole
            path.parent.rename(root / f".building-{path.parent.name}")
            shutil.rmtree(root / f".building-{path.parent.name}", ignore_errors=True)
            del sizes[path]
            gone.append(path.parent.name)
    return gone


@contextmanager
def _building(root: Path) -> Iterator[Path]:
    """A directory of our own, removed at the end; those whose makers died are removed at the start."""
    with _guard(root):
        for left in root.glob(".building-*"):
            if _free(left):
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=".building-", dir=root))
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _free(folder: Path) -> bool:
    """Whether nobody holds it. Call it under the guard, which everybody who begins to hold one takes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@contextmanager
def _guard(root: Path) -> Iterator[None]:
    """For moments only: nobody begins to hold, or removes, while another looks."""
    descriptor = os.open(root / ".guard", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int, span: build.Span) -> bool:
    """Take the lock if it is free; else say that the waiting one lives."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        span.beat()
        return False
    return True


@contextmanager
def _alone(path: Path, span: build.Span) -> Iterator[None]:
    """One at a time for as long as a build takes. Raises ``EnvironmentFailed`` when the time is over first."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not until(lambda: _locked(descriptor, span), seconds=span.deadline - time.monotonic()):
            raise EnvironmentFailed("Another build of the same environment did not end in time.")
        yield
    finally:
        os.close(descriptor)
