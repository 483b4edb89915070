"""Named levels of protection, that a policy can demand, and the words for a level that was not reached.

A level is a set of layers that must be on. ``confined`` is what any ordinary user gets on a kernel with Landlock and
seccomp: no file, no socket, no process. ``full`` adds what needs a privileged worker or user namespaces: a network and
IPC of its own, and a user of its own, which also makes the limit on processes count. Imports nothing: the child asks too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Level = Literal["reduced", "confined", "full"]
_CONFINED = frozenset({"environment", "descriptors", "session", "limits", "no_new_privs", "landlock", "seccomp"})
LEVELS: Mapping[Level, frozenset[str]] = {
    "reduced": frozenset(),
    "confined": _CONFINED,
    "full": _CONFINED | {"namespaces", "user"},
}
"""Each holds all layers of the one before."""
_ORDER: tuple[Level, ...] = ("reduced", "confined", "full")


def level_of(layers: Mapping[str, str]) -> Level:
    """The highest level whose layers were all on."""
    return next(level for level in reversed(_ORDER) if all(layers.get(name) == "on" for name in LEVELS[level]))


def reaches(level: str, demanded: str) -> bool:
    """Whether ``level`` is at least ``demanded``. Raises ``ValueError`` for a word that is no level."""
    order: tuple[str, ...] = _ORDER
    return order.index(level) >= order.index(demanded)


def missing(layers: Mapping[str, str], demanded: Level) -> dict[str, str]:
    """The layers that the demanded level lacks here, each with the reason why it is off."""
    return {name: layers.get(name, "not reported") for name in sorted(LEVELS[demanded]) if layers.get(name) != "on"}


def why_refused(layers: Mapping[str, str], demanded: Level) -> str:
    """The sentence for people."""
    off = "; ".join(f"{name} ({why})" for name, why in missing(layers, demanded).items())
    return (
        f"The policy demands the sandbox level “{demanded}”, and this worker reaches “{level_of(layers)}”: {off}. "
        "Nothing of the model was run. Have it run by a worker where these are on, or adopt a policy that demands less."
    )
