"""Following the child through its pipes, and ending it for certain at the deadline."""

from __future__ import annotations

import json
import os
import selectors
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.sandbox.job import Limits, Progress
from governance.sandbox.room import Watch
from governance.sandbox.staging import Stage, open_to_all
from governance.sandbox.starting import Child, started_child

if TYPE_CHECKING:
    from governance.sandbox.environments import Chosen

_LINE = 64 * 1024
_TICK = 0.05


@dataclass(slots=True)
class Ended:
    """How the child ended, and what it said on its channel before."""

    status: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    stopped: str = ""
    stderr: bytes = b""
    layers: Mapping[str, str] = field(default_factory=dict)
    forbidden: str = ""
    loaded: bool = False
    garbage: int = 0
    warm: bool = False


def follow(job: dict[str, Any], stage: Stage, chosen: Chosen, *, limits: Limits, progress: Progress) -> Ended:
    """Start the child with ``job`` on its standard input and stay with it to its end.

    Guarantee: when this returns or raises, the child and its process group are dead and reaped.
    """
    sites = [chosen.site] if chosen.site else []
    job = {
        **job,
        "sites": [str(path) for path in sites],
        "readable": [*job["readable"], *map(str, sites)],
        "traverse": stage.uid is not None and not open_to_all(*sites, *([Path(chosen.python)] if sites else [])),
    }
    ended = Ended()
    with started_child(job, scratch=stage.scratch, python=chosen.python, warm=bool(job["warm"])) as child:
        ended.warm = child.warm
        started = time.monotonic()
        try:
            _listen(child, ended, limits=limits, scratch=stage.scratch, progress=progress, started=started)
        finally:
            used = child.end()
            ended.status, ended.cpu_seconds, ended.peak_bytes = used.status, used.cpu_seconds, used.peak_bytes
            ended.seconds = time.monotonic() - started
    return ended


def _listen(child: Child, ended: Ended, *, limits: Limits, scratch: Path, progress: Progress, started: float) -> None:
    """Until the child has exited: read both pipes, mind the deadline and the size of the scratch directory."""
    held = b""
    watch = Watch(limits, scratch, child.pid, started)
    with selectors.DefaultSelector() as selector:
        for descriptor in (child.channel, child.stderr, child.exited):
            selector.register(descriptor, selectors.EVENT_READ)
        gone = False
        while not gone:
            ready = {key.fd for key, _ in selector.select(_TICK)}
            gone = child.exited in ready
            if child.stderr in ready:
                data = os.read(child.stderr, _LINE)
                watch.noise += len(data)
                ended.stderr = (ended.stderr + data)[-limits.stderr_bytes :]
                if not data:
                    selector.unregister(child.stderr)
            if child.channel in ready:
                data = os.read(child.channel, _LINE)
                watch.noise += len(data)
                held = _heard(held + data, ended, progress)
                if not data:
                    selector.unregister(child.channel)
            if not gone and (why := watch.over()):
                ended.stopped = why
                return
    _drain(child.channel, held, ended, progress)


def _drain(receive: int, held: bytes, ended: Ended, progress: Progress) -> None:
    """What was written in the last moment. The pipe may still be held open by someone, so never block."""
    os.set_blocking(receive, False)
    try:
        while data := os.read(receive, _LINE):
            held = _heard(held + data, ended, progress)
    except BlockingIOError:
        return


def _heard(data: bytes, ended: Ended, progress: Progress) -> bytes:
    """Handle the complete lines; returns the rest. A line that is not ours is counted and dropped."""
    *lines, rest = data.split(b"\n")
    for line in lines:
        message = _message(line)
        if message is None:
            ended.garbage += 1
        elif "layers" in message:
            ended.layers = ended.layers or message["layers"]
        elif "loaded" in message:
            ended.loaded = True
        elif "forbidden" in message:
            ended.forbidden = message["forbidden"]
        else:
            progress(message["done"], message["total"])
    if len(rest) > _LINE:
        ended.garbage += 1
        return b""
    return rest


def _message(line: bytes) -> dict[str, Any] | None:
    """The line if it is one that our child code could have written, else None."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    kinds: dict[frozenset[str], type] = {
        frozenset({"layers"}): dict,
        frozenset({"loaded"}): bool,
        frozenset({"forbidden"}): str,
        frozenset({"done", "total"}): int,
    }
    kind = kinds.get(frozenset(message))
    if kind is None or not all(type(value) is kind for value in message.values()):
        return None
    if kind is dict:
        layers = message["layers"]
        return message if all(isinstance(value, str) and len(value) < 300 for value in layers.values()) else None
    if kind is int and not 0 <= message["done"] <= message["total"] < 2**53:
        return None
    if kind is str:
        message["forbidden"] = message["forbidden"][:200]
    return message
