"""The catalogue: every check by ``key`` and by ``key@version``. Reading it imports no numerical library.

Besides the built-in checks it holds those of the plug-ins that ``trust`` was told of (the Django app does, at start).
"""

# ruff: noqa: ANN401 - a plug-in's answer can be anything
from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any

from governance.checks import plugins
from governance.checks.contract import Check, Manifest
from governance.checks.manifests import MANIFESTS
from governance.checks.plugins import Plugin, Problem
from governance.checks.results import CheckError, CheckResult

_BUILT_IN = {one.name: one for one in MANIFESTS}
_plugins: dict[str, Plugin] = {}
_problems: tuple[Problem, ...] = ()


def trust(names: Collection[str]) -> tuple[Problem, ...]:
    """Load the plug-ins of these distributions, and no other; return what is wrong with any that is installed.

    Guarantee: built-in checks stay as they are, whatever a plug-in does.
    """
    global _problems
    found, _problems = plugins.find(names, _BUILT_IN)
    _plugins.clear()
    _plugins.update({one.name: plugin for plugin in found for one in plugin.manifests})
    _known.cache_clear()
    get.cache_clear()
    return _problems


def problems() -> tuple[Problem, ...]:
    """What ``trust`` found wrong."""
    return _problems


@cache
def _known() -> dict[str, Manifest]:
    brought = {one.name: one for plugin in _plugins.values() for one in plugin.manifests}
    return {**brought, **_BUILT_IN}


def names() -> tuple[str, ...]:
    """Every ``key@version``, sorted."""
    return tuple(sorted(_known()))


def built_in() -> tuple[str, ...]:
    """Those that come with Countersign, sorted."""
    return tuple(sorted(_BUILT_IN))


def resolve(use: str) -> str:
    """The full name ``key@version`` for ``key`` (its newest version) or ``key@version``. Raises ``CheckError``."""
    if use in _known():
        return use
    versions = sorted(one.version for one in _known().values() if one.key == use)
    if "@" in use or not versions:
        known = ", ".join(sorted({one.key for one in _known().values()}))
        # Which checks an unloaded plug-in brings nobody knows, so all that are not in use are named.
        unused = "".join(f" {one.sentence}" for one in _problems)
        asked = " If it is one of that, the operator can name it in TRUSTED_CHECK_PLUGINS." if _problems else ""
        raise CheckError("check.unknown", f"There is no check “{use}”. The catalogue has: {known}.{unused}{asked}")
    return f"{use}@{versions[-1]}"


def manifest(use: str) -> Manifest:
    """What that check says about itself; needs no numerical library. Raises ``CheckError`` if unknown."""
    return _known()[resolve(use)]


def plugin_of(use: str) -> Plugin | None:
    """The plug-in that brings the check, None for a built-in one. Raises ``CheckError`` if unknown."""
    return _plugins.get(resolve(use))


@cache
def get(use: str) -> Check:
    """The check of that name. Loads its module (and numpy) on first use. Raises ``CheckError`` if unknown or broken."""
    about, plugin = manifest(use), plugin_of(use)
    module, _, attribute = about.code.partition(":")
    if plugin is None:
        made = getattr(import_module(module), attribute)()
        if not isinstance(made, Check):
            raise TypeError(f"{about.code} is not a Check")
        return made
    try:
        made = getattr(import_module(module), attribute)()
    except Exception as error:
        raise _broken(plugin, f"{about.code} cannot be loaded ({type(error).__name__}: {str(error)[:200]})") from error
    if not isinstance(made, Check) or made.manifest != about:
        raise _broken(plugin, f"{about.code} is no Check with the manifest of “{about.name}”")
    made.finish = _stamped(made.finish, about, plugin)  # type: ignore[method-assign]
    return made


def _stamped(finish: Callable[..., Any], about: Manifest, plugin: Plugin) -> Callable[..., CheckResult]:
    """The plug-in's last step; its result says which distribution gave it."""

    def stamped(state: Any, inputs: Any, params: Any) -> CheckResult:
        result = finish(state, inputs, params)
        if not isinstance(result, CheckResult) or (result.check, result.version) != (about.key, about.version):
            raise _broken(plugin, f"it gave no CheckResult of “{about.name}”")
        return replace(result, facts={**result.facts, **plugin.stamp()})

    return stamped


def _broken(plugin: Plugin, why: str) -> CheckError:
    return CheckError("check.broken", f"The plug-in {plugin.distribution} {plugin.version} is broken: {why}.")
