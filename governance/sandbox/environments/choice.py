"""The platform's environment when it satisfies what was recorded, else the recorded one, built; and the words for it."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from governance.sandbox.environments.recorded import Pin, Recorded, read_recorded
from governance.sandbox.environments.settings import Environments
from governance.sandbox.environments.store import Ready, built, built_again
from governance.sandbox.failed import EnvironmentFailed

RUNTIME = ("numpy", "pandas", "pyarrow")
"""What our own side of the child imports, so it is added where it is not recorded."""
SHOWN = 50
Beat = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Difference:
    """One requirement that the platform does not meet. ``here`` is "" for what is not installed."""

    name: str
    recorded: str
    here: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """``site`` None: the platform's own. Otherwise the directory of packages and the interpreter to run them with."""

    record: dict[str, Any]
    site: Path | None = None
    python: str = ""


@contextmanager
def choose(
    model_dir: Path, *, needs: Sequence[str], allowed: Environments | None, beat: Beat = lambda: None
) -> Iterator[Chosen]:
    """The environment for the model in ``model_dir``, kept from removal inside the ``with``.

    ``needs``: packages to load the model with, besides ``RUNTIME``. ``beat`` is called at least once a second during a
    build, and what it raises ends it. Raises ``EnvironmentFailed``.
    """
    recorded = read_recorded(model_dir)
    if allowed is not None and allowed.lock:
        with built_again(allowed.lock, python=recorded.python, allowed=allowed, beat=beat) as ready:
            yield _own(recorded, ready, ())
        return
    differences = compare(recorded)
    able = allowed is not None and bool(allowed.indexes)
    fits = not recorded.problems and not differences
    if allowed is None or not able or fits:
        yield Chosen(_platform(recorded, differences))
        return
    if recorded.problems:
        raise EnvironmentFailed(f"The recorded environment cannot be built: {recorded.problems[0]}")
    names = {pin.name for pin in recorded.pins}
    added = [Pin(name, name) for name in (*RUNTIME, *needs) if name not in names]
    with built([*recorded.pins, *added], python=recorded.python, allowed=allowed, beat=beat) as ready:
        yield _own(recorded, ready, [pin.name for pin in added])


def _own(recorded: Recorded, ready: Ready, added: Sequence[str]) -> Chosen:
    words = (
        f"It ran in its own recorded environment: {ready.packages} packages, Python {ready.python_version}, "
        f"lock sha256 {ready.digest[:12]}…"
    )
    record = {
        "kind": "recorded", "compatible": True, "source": recorded.source, "python": ready.python_version,
        "lock_digest": ready.digest, "packages": ready.packages, "added": list(added),
        "differences": [], "ignored": list(recorded.ignored[:SHOWN]), "words": words,
    }  # fmt: skip
    return Chosen(record, ready.site, ready.python)


def compare(recorded: Recorded) -> tuple[Difference, ...]:
    """Where the platform differs from what is recorded: Python by its minor version, packages by their specifiers."""
    found = []
    here = platform.python_version()
    if recorded.python and recorded.python.split(".")[:2] != here.split(".")[:2]:
        found.append(Difference("python", recorded.python, here))
    for pin in recorded.pins:
        wanted = Requirement(pin.text)
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        try:
            version = importlib.metadata.version(pin.name)
        except importlib.metadata.PackageNotFoundError:
            version = ""
        if not version or not wanted.specifier.contains(version, prereleases=True):
            found.append(Difference(pin.name, str(wanted.specifier) or "any version", version))
    return tuple(found)


def _platform(recorded: Recorded, differences: Sequence[Difference]) -> dict[str, Any]:
    compatible = bool(recorded.source) and not differences and not recorded.problems
    if not recorded.source and not recorded.problems and not differences:
        words = "It ran in the platform's environment; the model records none of its own."
    elif compatible:
        words = f"It ran in the platform's environment, which satisfies all {len(recorded.pins)} recorded requirements."
    elif differences:
        shown = "; ".join(_told(one) for one in differences[:3])
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        words = f"It ran in the platform's environment, which differs from the recorded one: {shown}{more}."
    else:
        words = f"It ran in the platform's environment; the recorded one cannot be compared: {recorded.problems[0]}"
    return {
        "kind": "platform", "compatible": compatible, "source": recorded.source, "python": platform.python_version(),
        "lock_digest": "", "packages": 0, "added": [],
        "differences": [_told(one) for one in differences[:SHOWN]],
        "ignored": [*recorded.ignored, *recorded.problems][:SHOWN], "words": words,
    }  # fmt: skip


def _told(difference: Difference) -> str:
    return f"{difference.name} {difference.recorded} recorded, here {difference.here or 'not installed'}"
