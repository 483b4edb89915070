"""The catalogue: every check by ``key`` and by ``key@version``. Reading it imports no numerical library."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from governance.checks.contract import Check, Manifest
from governance.checks.manifests import MANIFESTS
from governance.checks.results import CheckError


@cache
def _known() -> dict[str, Manifest]:
    return {one.name: one for one in MANIFESTS}


def names() -> tuple[str, ...]:
    """Every ``key@version``, sorted."""
    return tuple(sorted(_known()))


def resolve(use: str) -> str:
    """The full name ``key@version`` for ``key`` (its newest version) or ``key@version``. Raises ``CheckError``."""
    if use in _known():
        return use
    versions = sorted(one.version for one in _known().values() if one.key == use)
    if "@" in use or not versions:
        known = ", ".join(sorted({one.key for one in _known().values()}))
        raise CheckError("check.unknown", f"There is no check “{use}”. The catalogue has: {known}.")
    return f"{use}@{versions[-1]}"


def manifest(use: str) -> Manifest:
    """What that check says about itself; needs no numerical library. Raises ``CheckError`` if unknown."""
    return _known()[resolve(use)]


@cache
def get(use: str) -> Check:
    """The check of that name. Loads its module (and numpy) on first use. Raises ``CheckError`` if unknown."""
    module, _, attribute = manifest(use).code.partition(":")
    made = getattr(import_module(module), attribute)()
    if not isinstance(made, Check):
        raise TypeError(f"{module}:{attribute} is not a Check")
    return made
